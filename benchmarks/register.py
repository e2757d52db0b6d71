"""Registering devices and their receipts: an app's calls, through all middleware, on one core.

The threads of one process call the web application as its server's do. Beside the rate stands
the processor time of this process and of its database, which other work on the machine changes
little. The baseline, in the same run: a call that does nothing, at a path there is not, and a
device written row by row with the ORM. Delivery reports count from the first call until the
last receipt is folded into Postgres, one after the other in this process.
"""

import argparse
import io
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

os.environ.setdefault("DATABASE_POOL", "8")  # as pushadmin.wsgi does

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from benchmarks.receipts import assert_exact, sent_bulk, told  # noqa: E402
from benchmarks.results import Row, Table, report  # noqa: E402
from campaigns import partitions, reports  # noqa: E402
from campaigns.store import store  # noqa: E402
from devices import normalizing  # noqa: E402
from devices.models import Address, Application, Platform, Provider, Registration  # noqa: E402
from devices.versions import pack_version  # noqa: E402
from tests.factories import make_application  # noqa: E402

TICKS = 100  # of the kernel's clock in a second: USER_HZ, the same on all Linux machines
THREADS = 4
PATH = "/mobile/1/appinstance"
SEEN = "/mobile/2/messages/seen"
DELIVERED = "/mobile/1/messages/deliveryreport"
IDS = 100  # of one delivery report

T = TypeVar("T")


class Run(NamedTuple):
    """Calls a second, and milliseconds of processor time for each."""

    rate: float
    here: float
    database: float


def instance(token: str) -> dict[str, Any]:
    """What Infobip's SDK says of a phone (contract/mobile-sdk.md 2.1)."""
    return {
        "regEnabled": True,
        "notificationsEnabled": True,
        "sdkVersion": "15.1.0",
        "appVersion": "4.10.0",
        "os": "Android",
        "osVersion": "15",
        "deviceManufacturer": "Google",
        "deviceModel": "Pixel 9",
        "deviceName": "Pixel 9",
        "deviceSecure": True,
        "language": "de-AT",
        "deviceTimezoneOffset": "GMT+02:00",
        "customAttributes": {"plan": "gold", "orders": 3},
        "pushServiceType": "GCM",
        "pushServiceToken": token,
    }


class Caller:
    """Calls the web application as its server does."""

    def __init__(self, application: Application) -> None:
        self._call = WSGIHandler()
        self._code = application.code

    def __call__(
        self, method: str, path: str, body: dict[str, Any], device: str = ""
    ) -> tuple[int, bytes]:
        content = json.dumps(body).encode()
        answered: list[int] = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost",
            "HTTP_USER_AGENT": "Infobip Mobile API Client/15.1.0",
            "HTTP_AUTHORIZATION": f"App {self._code}",
            "HTTP_PUSHREGISTRATIONID": device,
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(content)),
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(content),
            "wsgi.errors": io.StringIO(),
        }

        def start(status: str, headers: object, _: object = None) -> Callable[[bytes], object]:
            answered.append(int(status[:3]))
            return len

        response = self._call(environ, start)
        text = b"".join(response)
        response.close()
        return answered[0], text


def database_seconds() -> float:
    """Processor time of all sessions of this database so far."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
        )
        pids = [pid for (pid,) in cursor.fetchall()]
    spent = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent += (int(fields[11]) + int(fields[12])) / TICKS
    return spent


def measure(call: Callable[[T], object], given: Sequence[T]) -> Run:
    """Call with each of these, in the threads of one process."""
    before, here, began = database_seconds(), time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(call, given):
            pass
    took, here = time.perf_counter() - began, time.process_time() - here
    database = database_seconds() - before
    count = len(given)
    return Run(count / took, 1000 * here / count, 1000 * database / count)


def through_the_api(
    caller: Caller, method: str, path: str, body: dict[str, Any], device: str = ""
) -> str:
    status, text = caller(method, path, body, device)
    assert status == 200, (status, text)
    return str(json.loads(text).get("pushRegId", ""))


def row_by_row(application: Application, token: str) -> None:
    said = instance(token)
    with transaction.atomic():
        digest = normalizing.digest(token)
        known = Address.objects.select_for_update().filter(
            application=application, token_digest=digest
        )
        device, _ = Registration.objects.update_or_create(
            pk=known.values_list("pk", flat=True).first(),
            defaults={
                "application": application, "platform": Platform.ANDROID,
                "app_version": pack_version(said["appVersion"]), "language": said["language"],
                "manufacturer": said["deviceManufacturer"], "model": said["deviceModel"],
                "attributes": said["customAttributes"],
            },
        )  # fmt: skip
        Address.objects.update_or_create(
            registration=device,
            defaults={
                "application": application, "public_id": uuid.uuid4(), "provider": Provider.FCM,
                "token": token, "token_digest": digest, "app_version": said["appVersion"],
            },
        )  # fmt: skip


def measured(count: int) -> dict[str, Run]:
    application = make_application(name=f"bench {uuid.uuid4()}")
    caller = Caller(application)
    tokens = [f"{uuid.uuid4().hex}:APA91b{uuid.uuid4().hex * 4}" for _ in range(count)]
    ids: list[str] = []

    def nothing(token: str) -> None:
        status, _ = caller("POST", "/mobile/1/nothing", instance(token))
        assert status == 404, status

    def register(token: str) -> None:
        ids.append(through_the_api(caller, "POST", PATH, instance(token)))

    def change(public_id: str) -> None:
        body = {"appVersion": "4.11.0"}
        through_the_api(caller, "PATCH", f"{PATH}/{public_id}", body, public_id)

    def see(public_id: str) -> None:
        body = {"messages": [{"messageId": str(uuid.uuid4()), "timestampDelta": 3}]}
        through_the_api(caller, "POST", SEEN, body, public_id)

    def peer(token: str) -> None:
        try:
            row_by_row(application, f"peer:{token}")
        finally:
            connection.close()  # back into the pool, as at the end of a request

    # What is loaded once, and the sessions of the pool.
    measure(register, [f"first-{n}:{token}" for n, token in enumerate(tokens[: 10 * THREADS])])
    ids.clear()
    found = {
        "nothing": measure(nothing, tokens),
        "new": measure(register, tokens),
        "known": measure(register, tokens),
        "refreshed": measure(change, ids[:count]),
        "seen": measure(see, ids[:count]),
        "row by row": measure(peer, tokens),
    }
    application.delete()
    store().delete(reports.STREAM)
    return found


def reported(calls: int) -> tuple[Run, float]:
    """Delivery reports of many ids: the calls, and receipts a second until all are folded."""
    application = make_application(name=f"bench {uuid.uuid4()}")
    caller = Caller(application)
    bulk = sent_bulk(application, calls * IDS)
    ids = [str(receipt.message_id) for _, receipt in told(bulk, calls * IDS)]

    def deliver(some: list[str]) -> None:
        through_the_api(caller, "POST", DELIVERED, {"dlrIds": some})

    deliver([])
    began = time.perf_counter()
    run = measure(deliver, [ids[first : first + IDS] for first in range(0, len(ids), IDS)])
    folded = 0
    while store().xlen(reports.STREAM):  # a consumer at the end of the stream would wait
        folded += reports.consume(seconds=0.1)
    took = time.perf_counter() - began
    assert folded == len(ids), folded
    assert_exact(bulk, len(ids))
    return run, len(ids) / took


def statements() -> dict[str, int]:
    """Statements of the database for one call of each kind."""
    caller = Caller(make_application(name=f"bench {uuid.uuid4()}"))
    through_the_api(caller, "POST", PATH, instance("first"))
    found = {}
    for name in ("new", "known"):
        with CaptureQueriesContext(connection) as queries:
            device = through_the_api(caller, "POST", PATH, instance("second"))
        found[name] = len(queries)
    with CaptureQueriesContext(connection) as queries:
        through_the_api(caller, "PATCH", f"{PATH}/{device}", {"appVersion": "4.11.0"}, device)
    return {**found, "changed": len(queries)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings.ALLOWED_HOSTS = ["*"]
    logging.getLogger("django.request").setLevel(logging.ERROR)
    partitions.make_ahead()
    store().delete(reports.STREAM)
    rounds = [measured(options.calls) for _ in range(options.rounds)]
    receipts = [reported(max(1, options.calls // 4)) for _ in range(options.rounds)]
    for each, (run, _) in zip(rounds, receipts, strict=True):
        each["reported"] = run
    titles = {
        "new": ("a device that is new", 1_000.0),
        "known": ("a device that is known, with its token", 1_000.0),
        "refreshed": ("a change of one member", 1_000.0),
        "seen": ("a message that was seen", 1_000.0),
        "reported": (f"a delivery report of {IDS} ids", None),
        "nothing": ("a call that does nothing", None),
        "row by row": ("the ORM row by row, without HTTP", None),
    }
    rows = []
    for name, (title, floor) in titles.items():
        rate, here, database = (median(each[name][n] for each in rounds) for n in range(3))
        note = f"{here:.2f} ms of processor time here, {database:.2f} in the database"
        rows.append(Row(title, rate, "calls/s", note, floor=floor))
        if floor is not None:
            alone = "the same, by processor time of the web server alone"
            rows.append(Row(alone, 1000 / here, "calls/s", floor=floor))
    rows.append(
        Row(
            f"delivery reports of {IDS} ids, until all are folded",
            median(rate for _, rate in receipts),
            "receipts/s",
            floor=20_000,
        )
    )
    new, peer = (median(each[name].rate for each in rounds) for name in ("new", "row by row"))
    rows.append(Row("a new device / row by row", new / peer, "x"))
    rows += [
        Row(f"statements for one that is {name}", count, "statements")
        for name, count in statements().items()
    ]
    how = f"manage.py bench register --calls {options.calls} --rounds {options.rounds}"
    report(Table("register", "The calls of an app over the mobile API, on one core", how, rows))


if __name__ == "__main__":
    main()
