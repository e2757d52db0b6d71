"""A whole campaign: freeze, claim, render, send over TLS and HTTP/2, record.

Worker processes as in production (without Celery around them), the database, and a sink that
takes every push, all on this machine. The baselines, in the same run: a Celery task per 500
messages with firebase-admin, which records nothing at all, and tasks that load rows with the
ORM, send with httpx over HTTP/2 and save a row per message.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import django

django.setup()

import httpx  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks import nginx_sink  # noqa: E402
from benchmarks.contenders import fcm_token, service_account  # noqa: E402
from benchmarks.results import TWICE, Row, Table, report  # noqa: E402
from campaigns import dispatch, fanout, partitions, statistics  # noqa: E402
from campaigns.models import Bulk, Message  # noqa: E402
from devices.models import Address, Application, Platform, Provider, ProviderCredential  # noqa: E402
from tests.factories import apns_key, make_bulk  # noqa: E402

PEER_MESSAGES = 2000  # of a peer in each round
MANY_DEVICES = """
WITH made AS (
    INSERT INTO devices_registration (application_id, platform, language, app_version, os_version,
        sdk_version, enabled, notifications_enabled, "primary", manufacturer, model, person_tags,
        attributes)
    SELECT %(application)s, 2, (ARRAY['en', 'de', 'fr', 'es'])[1 + n %% 4], 1 + n %% 50, 0, 0,
           true, true, false, 'Apple', 'iPhone', '{}', '{}'
    FROM generate_series(1, %(count)s) n
    RETURNING id
)
INSERT INTO devices_address (registration_id, application_id, public_id, provider, kind,
    environment, token, token_digest, closed_reason, closed_answer, app_version, os_version,
    sdk_version, device_name)
SELECT id, %(application)s, gen_random_uuid(), 'apns', 'token', 'production',
       md5(id::text) || md5('x' || id), sha256((md5(id::text) || md5('x' || id))::bytea),
       '', '', '', '', '', ''
FROM made
"""


def make_devices(count: int) -> Application:
    application = Application.objects.create(name=f"bench {uuid.uuid4()}")
    ProviderCredential.objects.create(
        application=application, provider=Provider.APNS, data=apns_key(), hint="bench"
    )
    with connection.cursor() as cursor:
        cursor.execute(MANY_DEVICES, {"application": application.pk, "count": count})
        cursor.execute("ANALYZE devices_registration, devices_address")
    connection.cursor().execute("VACUUM devices_registration, devices_address")
    return application


def work(seconds: float) -> None:
    """One worker process, until there is nothing left; prints its peak memory."""
    dispatch.work(seconds=seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peak_mb": peak}), flush=True)


def campaign(application: Application, workers: int) -> tuple[float, float, float]:
    """Devices a second frozen, messages a second sent, and the largest worker in MB."""
    bulk = make_bulk(application, starts_at=timezone.now())
    began = time.perf_counter()
    fanout.freeze(bulk)
    frozen = time.perf_counter() - began
    bulk.refresh_from_db()
    host, port = settings.GATEWAYS or ("", 0)
    began = time.perf_counter()
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.campaign", "--work"],
            env={**os.environ, "GATEWAYS": f"{host}:{port}",
                 "GATEWAYS_CA_FILE": settings.GATEWAYS_CA_FILE},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(workers)
    ]  # fmt: skip
    outputs = [process.communicate()[0] for process in processes]
    took = time.perf_counter() - began
    bulk.refresh_from_db()
    funnel = statistics.funnel(bulk)
    assert bulk.status == Bulk.Status.DONE, f"{bulk.status}: {funnel}"
    assert funnel == statistics.recount(bulk)
    assert funnel.accepted == bulk.audience, funnel
    peak = max(json.loads(output.splitlines()[-1])["peak_mb"] for output in outputs)
    return bulk.audience / frozen, bulk.audience / took, peak


def naive(application: Application, count: int) -> float:
    """Messages a second of the usual way: ORM rows, httpx over HTTP/2, a row saved for each."""
    bulk = make_bulk(application, starts_at=timezone.now())
    host, port = settings.GATEWAYS or ("", 0)
    context = ssl.create_default_context(cafile=settings.GATEWAYS_CA_FILE)
    context.check_hostname = False
    addresses = list(Address.objects.filter(application=application)[:count])

    async def send(page: list[Address]) -> list[int]:
        async with httpx.AsyncClient(http2=True, verify=context, timeout=60) as client:
            gate = asyncio.Semaphore(100)

            async def one(address: Address) -> int:
                async with gate:
                    body = {"aps": {"alert": {"title": "Sale", "body": "Today only"}}}
                    url = f"https://{host}:{port}/3/device/{address.token}"
                    return (await client.post(url, json=body)).status_code

            return await asyncio.gather(*[one(address) for address in page])

    began = time.perf_counter()
    for start in range(0, len(addresses), 500):
        page = addresses[start : start + 500]
        for address, status in zip(page, asyncio.run(send(page)), strict=True):
            Message.objects.create(
                id=uuid.uuid4(), bulk=bulk, registration_id=address.pk, sent_at=timezone.now(),
                platform=Platform.IOS,
                state=Message.State.ACCEPTED if status == 200 else Message.State.FAILED,
            )  # fmt: skip
    return len(addresses) / (time.perf_counter() - began)


@contextlib.contextmanager
def celery_peer(workers: int, port: int, folder: Path) -> Iterator[Callable[[int], float]]:
    """Messages a second that a Celery worker with firebase-admin reaches, for so many."""
    environment = {**os.environ, "PEER_PORT": str(port), "PEER_FOLDER": str(folder)}
    os.environ.update(environment)
    service_account(folder)
    command = [sys.executable, "-m", "celery", "-q", "-A", "benchmarks.celery_peer", "worker"]
    command += ["-c", str(workers), "-l", "ERROR", "--without-gossip", "--without-mingle"]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    from benchmarks.celery_peer import COUNT, PAGE, send, store  # noqa: PLC0415

    def reach(messages: int) -> float:
        store().delete(COUNT)
        began = time.perf_counter()
        for start in range(0, messages, PAGE):
            send.delay([fcm_token(n) for n in range(start, min(start + PAGE, messages))])
        while int(store().get(COUNT) or 0) < messages:
            assert process.poll() is None, "the Celery worker ended"
            assert time.perf_counter() - began < 60, "the Celery worker does not get on"
            time.sleep(0.01)
        return messages / (time.perf_counter() - began)

    try:
        reach(PAGE * workers)  # its processes are up, their libraries loaded
        yield reach
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", action="store_true", help="be one of the workers")
    options = parser.parse_args()
    if options.work:
        work(seconds=600)
        return
    partitions.make_ahead()
    with (
        tempfile.TemporaryDirectory() as place,
        nginx_sink.serving(Path(place)) as port,
        celery_peer(options.workers, port, Path(place)) as celery,
    ):
        settings.GATEWAYS = ("127.0.0.1", port)
        settings.GATEWAYS_CA_FILE = f"{place}/ca.pem"
        application = make_devices(options.devices)
        half = make_devices(options.devices // 2)
        runs, halves, peers, tasks = [], [], [], []
        for _ in range(options.rounds):
            runs.append(campaign(application, options.workers))
            halves.append(campaign(half, options.workers))
            peers.append(naive(half, min(1000, options.devices // 2)))
            tasks.append(celery(PEER_MESSAGES))
    freeze, rate, peak = (median(run[n] for run in runs) for n in range(3))
    half_rate, peer = median(run[1] for run in halves), median(peers)
    task = median(tasks)
    size = f"{options.devices:,} devices"
    rows = [
        Row("freezing an audience", freeze, "devices/s", floor=500_000),
        Row(f"whole campaign, {size}", rate, "messages/s", floor=10_000),
        Row("the same with half the devices", half_rate, "messages/s"),
        Row("time for twice the devices", 2 * half_rate / rate, "x", TWICE, ceiling=2.2),
        Row("largest worker", peak, "MB", ceiling=300),
        Row("Celery task per 500 with firebase-admin", task, "messages/s", "records nothing"),
        Row("ORM rows and httpx", peer, "messages/s"),
        Row("whole campaign / Celery with firebase-admin", rate / task, "x", floor=10),
        Row("whole campaign / ORM and httpx", rate / peer, "x"),
    ]
    how = f"manage.py bench campaign --devices {options.devices} --rounds {options.rounds}"
    title = f"A whole campaign, {options.workers} workers, database and sink on the same machine"
    report(Table("campaign", title, how, rows))


if __name__ == "__main__":
    main()
