"""Sends by API: POST /push/3/messages through a real web server, and what is asked afterwards.

One worker process of Granian; its processor time says what one core carries. What is sent is
then handed over by a real worker to a simulated cloud, one request at a time.
"""

import argparse
import hashlib
import http.client
import json
import math
import secrets
import socket
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.receipts import cpu_of  # noqa: E402
from benchmarks.results import Row, Table, report  # noqa: E402
from campaigns import ids, partitions  # noqa: E402
from campaigns.models import Bulk, Destination, Message  # noqa: E402
from campaigns.store import store  # noqa: E402
from devices.models import ApiKey, Application, Registration  # noqa: E402
from tests.factories import make_application, make_credential, make_registrations  # noqa: E402
from tests.flows.conftest import known_credentials  # noqa: E402
from tests.flows.processes import Gateways, Process, Worker  # noqa: E402
from tests.waiting import eventually  # noqa: E402

CONNECTIONS = 8
MANY = 1000  # destinations of one request
EACH = 400  # requests of a turn, where two servers take turns
GRANIAN = (
    "-m", "granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads", "2",
    "--no-ws", "--host", "127.0.0.1",
)  # fmt: skip
LEDGER = """
INSERT INTO campaigns_message (id, bulk_id, registration_id, sent_at, delivered_at, app_version,
    state, reason, platform, variant, attempt, language, answer)
SELECT (lpad(to_hex(%(high)s::bigint), 16, '0')
        || lpad(to_hex(%(low)s::bigint | n), 16, '0'))::uuid,
       %(bulk)s, n, now(), now(), 0, 3, 0, 1, 0, 0, '', ''
FROM generate_series(1, %(count)s) n
"""


def make_key() -> str:
    value = secrets.token_hex(16)
    ApiKey.objects.create(
        name="benchmark", prefix=value[:8], digest=hashlib.sha256(value.encode()).digest(),
        scopes=["mobile-app-messaging:manage"],
    )  # fmt: skip
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Web(Process):
    """The web server, with one worker process."""

    def __init__(self, folder: Path, key: str, **more: str) -> None:
        self.port = free_port()
        environment = {
            "ALLOWED_HOSTS": "127.0.0.1",
            "PUSH_CALLS_PER_SECOND": "1000000",
            "PUSH_LOGS_PER_MINUTE": "1000000",
            "OLDER_PUSH_CALLS_PER_SECOND": "1000000",
            "LOG_LEVEL": "WARNING",
            **more,
        }
        arguments = [*GRANIAN, "--port", str(self.port), "pushadmin.wsgi:application"]
        super().__init__(arguments, folder / f"web-{self.port}.log", environment)
        self.headers = {"Authorization": f"App {key}", "Content-Type": "application/json"}
        eventually(self.answers, seconds=60, what="the web server answers")

    def answers(self) -> bool:
        try:
            return self.caller()("GET", "/push/1/statistics?bulkId=x", None) is not None
        except OSError:
            return False

    def caller(self) -> Callable[[str, str, bytes | None], Any]:
        """Calls over one connection."""
        opened = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

        def call(method: str, path: str, body: bytes | None) -> Any:
            opened.request(method, path, body, self.headers)
            answer = opened.getresponse()
            content = answer.read()
            assert answer.status == 200, (answer.status, content[:500])
            return json.loads(content)

        return call

    def cpu(self) -> float:
        return sum(cpu_of(pid) for pid in (self.pid, *self.children()))


def body_of(application: Application, devices: list[Registration]) -> bytes:
    message = {
        "sender": application.code,
        "destinations": [
            {"type": "REGISTRATION", "pushRegistrationId": str(each.address.public_id)}
            for each in devices
        ],
        "content": {"type": "TEXT", "title": "Hi", "text": "Your order was shipped"},
        "options": {"customPayload": {"order": 7}},
    }
    return json.dumps({"messages": [message]}).encode()


def singles(web: Web, bodies: list[bytes], count: int) -> tuple[float, float]:
    """Requests a second, and for each second of the web server's processor."""

    def work(number: int) -> None:
        call = web.caller()
        for turn in range(count // CONNECTIONS):
            call("POST", "/push/3/messages", bodies[(number + turn) % len(bodies)])

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        cpu, began = web.cpu(), time.perf_counter()
        list(pool.map(work, range(CONNECTIONS)))
        took, used = time.perf_counter() - began, web.cpu() - cpu
    done = count // CONNECTIONS * CONNECTIONS
    return done / took, done / used


def cost_of_recording(recording: Web, silent: Web, bodies: list[bytes], rounds: int) -> float:
    """How much more of a processor a send takes where calls are recorded: 0.02 is 2 %.

    The same requests to both servers, by turns, so that both meet the same moments.
    """
    ratios = []
    for turn in range(rounds):
        pair = (recording, silent) if turn % 2 else (silent, recording)
        rates = {web: singles(web, bodies, EACH)[1] for web in pair}
        ratios.append(rates[silent] / rates[recording])
    return median(ratios) - 1


def times(ask: Callable[[], Any], rounds: int) -> list[float]:
    """Milliseconds; the first is not counted."""
    ask()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return sorted(taken)


def p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def until_accepted(web: Web, application: Application, device: Registration, count: int) -> float:
    """Milliseconds from a request to the cloud's acceptance, 95 of 100 below, one at a time."""
    call, taken = web.caller(), []
    for _ in range(count):
        body = body_of(application, [device])
        began = datetime.now().astimezone()
        answer = call("POST", "/push/3/messages", body)
        message = uuid.UUID(answer["messages"][0]["messageId"])
        sent = Message.objects.filter(pk=message, state__gte=Message.State.ACCEPTED)
        eventually(sent.exists, seconds=30, what="the cloud accepted it")
        taken.append((sent.get().sent_at - began).total_seconds() * 1000)
    return p95(taken)


def fill(web: Web, application: Application, device: Registration, count: int) -> str:
    """A bulk of one rule with so many delivered messages, each with its report; its bulk id."""
    answer = web.caller()("POST", "/push/3/messages", body_of(application, [device]))
    bulk = Bulk.objects.get(bulk_id=answer["bulkId"])
    low, high = ids.id_range(bulk)
    Destination.objects.filter(bulk=bulk).update(
        message_from=low, message_to=high, devices=count, registration=None
    )
    bulk.chunks.all().delete()
    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.DONE, audience=count)
    first = ids.first_id(bulk)
    low64 = first & (2**64 - 1)
    given = {
        "high": first >> 64, "low": low64 - 2**64 if low64 >= 2**63 else low64,
        "bulk": bulk.pk, "count": count,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(LEDGER, given)
        cursor.execute(
            "INSERT INTO campaigns_report (message_id, bulk_id, at)"
            " SELECT id, bulk_id, now() FROM campaigns_message WHERE id BETWEEN %s AND %s",
            [low, high],
        )
        cursor.execute(
            "INSERT INTO campaigns_counter (bulk_id, minute, platform, variant, sent, accepted,"
            " delivered, seen, clicked, failed, expired, unknown)"
            " VALUES (%s, date_trunc('minute', now()), 1, 0, %s, %s, %s, 0, 0, 0, 0, 0)",
            [bulk.pk, count, count, count],
        )
        cursor.execute("ANALYZE campaigns_message, campaigns_report, campaigns_destination")
    return str(answer["bulkId"])


# As many sends to one device each: a bulk, a submission, a destination, a message, a report.
SINGLES = """
INSERT INTO campaigns_bulk (bulk_id, application_id, origin, step, status, status_reason, content,
    rule, primary_only, ttl, repeat_policy, "window", starts_at, audience, left_out, frozen_at)
SELECT 'single-' || n, %(application)s, 'api', 0, 'done', '', '[{"text": "Hi"}]', '{}', false,
       172800, 'when_refused', '{}', %(now)s, 1, 0, %(now)s
FROM generate_series(1, %(count)s) n;
INSERT INTO campaigns_submission (bulk_id, application_id, sender, content, callback_data,
    reference, entity_id, platform_application_id, webhook)
SELECT bulk_id, application_id, 'sender-' || id %% 10, '{"type": "TEXT"}', '', '', '', '', '{}'
FROM campaigns_bulk WHERE bulk_id LIKE 'single-%%';
INSERT INTO campaigns_destination (submission_id, bulk_id, public_id, "to", asked, rejection,
    devices, registration_id, message_from, message_to, starts_at)
SELECT s.id, b.id, x.id, 'customer-' || b.id, '{}', 0, 1, %(device)s, x.id::uuid, x.id::uuid,
       %(now)s
FROM campaigns_bulk b JOIN campaigns_submission s ON s.bulk_id = b.bulk_id,
LATERAL (SELECT lpad(to_hex(%(ms)s::bigint), 12, '0') || '8'
    || lpad(to_hex((b.id %% 4294967296) >> 20), 3, '0')
    || to_hex((-9223372036854775808)::bigint | ((b.id & 1048575) << 42) | %(device)s) AS id) x
WHERE b.bulk_id LIKE 'single-%%';
INSERT INTO campaigns_message (id, bulk_id, registration_id, sent_at, delivered_at, app_version,
    state, reason, platform, variant, attempt, language, answer)
SELECT message_from, bulk_id, %(device)s, now(), now(), 0, 3, 0, 1, 0, 0, '', ''
FROM campaigns_destination WHERE "to" LIKE 'customer-%%';
INSERT INTO campaigns_report (message_id, bulk_id, at)
SELECT message_from, bulk_id, now() FROM campaigns_destination WHERE "to" LIKE 'customer-%%';
INSERT INTO campaigns_counter (bulk_id, minute, platform, variant, sent, accepted, delivered, seen,
    clicked, failed, expired, unknown)
SELECT id, date_trunc('minute', now()), 1, 0, 1, 1, 1, 0, 0, 0, 0, 0
FROM campaigns_bulk WHERE bulk_id LIKE 'single-%%';
ANALYZE campaigns_bulk, campaigns_submission, campaigns_destination, campaigns_message,
    campaigns_report, campaigns_counter;
"""


def fill_singles(application: Application, device: Registration, count: int) -> Destination:
    """As many messages, each sent by a request of its own; one of them."""
    now = timezone.now()
    bulk = Bulk(pk=1, starts_at=now)
    given = {
        "application": application.pk, "device": device.pk, "count": count, "now": now,
        "ms": ids.first_id(bulk) >> ids.TIME_SHIFT,
    }  # fmt: skip
    with connection.cursor() as cursor:
        for statement in SINGLES.split(";\n"):
            if statement.strip():
                cursor.execute(statement, given)
    found = Destination.objects.filter(to__startswith="customer-").order_by("pk")
    return found[count // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--messages", type=int, default=200_000, help="of one bulk")
    parser.add_argument("--bulks", type=int, default=200_000, help="of one message")
    parser.add_argument("--turns", type=int, default=15, help="with the inspector and without")
    options = parser.parse_args()
    partitions.make_ahead()
    store().flushdb()
    application = make_application(name=f"bench {uuid.uuid4()}")
    make_credential(application)
    devices = make_registrations(application, MANY)
    single = [body_of(application, [device]) for device in devices]
    rows: list[Row] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        web = Web(folder, make_key())
        stack.callback(web.stop)
        singles(web, single, 400)
        rate, core = singles(web, single, options.requests)
        rows.append(
            Row(
                "one recipient: requests for each second of one core", core, "requests/s",
                f"{1000 / core:.2f} ms of the web server's processor", floor=500,
            )
        )  # fmt: skip
        rows.append(Row("the same, as the clock on the wall has it", rate, "requests/s"))
        silent = Web(folder, make_key(), API_CALLS_KEPT="0")
        stack.callback(silent.stop)
        singles(silent, single, EACH)
        cost = 100 * cost_of_recording(web, silent, single, options.turns)
        rows.append(
            Row(
                "what recording calls for their page costs of a send: median", cost, "%",
                f"{options.turns} turns of {EACH} requests each, with it and without", ceiling=5,
            )
        )  # fmt: skip
        call, many = web.caller(), body_of(application, devices)
        slow = times(lambda: call("POST", "/push/3/messages", many), 10)
        rows.append(Row(f"{MANY:,} destinations: median", median(slow), "ms", ceiling=300))
        Bulk.objects.update(status=Bulk.Status.CANCELLED)
        rows += asked_afterwards(web, application, devices[0], options.messages, options.bulks)
        gateways = Gateways(folder / "gateways")
        stack.callback(gateways.stop)
        gateways.ask("POST", "/credentials", known_credentials())
        environment = gateways.environment()
        quick = Worker(folder / "quick.log", queues="urgent", children=1, environment=environment)
        stack.callback(quick.stop)
        accepted = until_accepted(web, application, devices[0], 60)
        rows.append(Row("request to acceptance, 95 of 100 below", accepted, "ms", ceiling=500))
    how = (
        f"manage.py bench api_send --requests {options.requests} --messages {options.messages}"
        f" --bulks {options.bulks} --turns {options.turns}"
    )
    report(Table("api_send", "Sends by API, single process of the web server", how, rows))


def asked_afterwards(
    web: Web, application: Application, device: Registration, count: int, bulks: int
) -> list[Row]:
    """What is asked of one bulk with many messages, and of many bulks with one."""
    bulk_id = fill(web, application, device, count)
    large = {
        "statistics": f"/push/1/statistics?bulkId={bulk_id}",
        "50 reports": "/push/3/reports",
        "50 reports of the bulk": f"/push/3/reports?bulkId={bulk_id}",
        "50 entries of the log": "/push/3/logs?useCursor=true",
    }
    rows = [asked(web, f"{name}, {count:,} messages of one bulk", large[name]) for name in large]
    one = fill_singles(application, device, bulks)
    assert one.submission is not None
    small = {
        "statistics": f"/push/1/statistics?bulkId={one.submission.bulk_id}",
        "50 reports": "/push/3/reports",
        "50 entries of the log": "/push/3/logs?useCursor=true",
        "log of a message": f"/push/3/logs?messageId={one.public_id}",
        "log of a bulk": f"/push/3/logs?bulkId={one.submission.bulk_id}",
        "log of a recipient": f"/push/3/logs?destination={one.to}",
    }
    return rows + [asked(web, f"{name}, {bulks:,} bulks of one", small[name]) for name in small]


def asked(web: Web, name: str, path: str) -> Row:
    call = web.caller()
    slow = p95(times(lambda: call("GET", path, None), 40))
    return Row(f"{name}: 95 of 100 below", slow, "ms", ceiling=50)


if __name__ == "__main__":
    main()
