"""A whole campaign: freeze, claim, render, send over TLS and HTTP/2, record.

Worker processes as in production (without Celery around them), the database, and a sink that
takes every push, all on this machine. The baseline, in the same run: the same devices by
one task per 500 messages that loads rows with the ORM, sends with httpx over HTTP/2 and
saves a row per message.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import django

django.setup()

import httpx  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from campaigns import dispatch, fanout, partitions, statistics  # noqa: E402
from campaigns.models import Bulk, Message  # noqa: E402
from devices.models import Address, Application, Platform, Provider, ProviderCredential  # noqa: E402
from tests.factories import apns_key, make_bulk  # noqa: E402

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


@contextlib.contextmanager
def sink() -> Iterator[tuple[int, str]]:
    """The port of a sink, and the certificate to trust."""
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("sink.py")), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline()), str(Path(folder) / "ca.pem")
        finally:
            server.stdin.close()
            server.wait(10)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", action="store_true", help="be one of the workers")
    options = parser.parse_args()
    if options.work:
        work(seconds=600)
        return
    partitions.make_ahead()
    with sink() as (port, ca_file):
        settings.GATEWAYS, settings.GATEWAYS_CA_FILE = ("127.0.0.1", port), ca_file
        application = make_devices(options.devices)
        half = make_devices(options.devices // 2)
        runs, halves, peers = [], [], []
        for _ in range(options.rounds):
            runs.append(campaign(application, options.workers))
            halves.append(campaign(half, options.workers))
            peers.append(naive(half, min(1000, options.devices // 2)))
    freeze, rate, peak = (median(run[n] for run in runs) for n in range(3))
    half_rate, peer = median(run[1] for run in halves), median(peers)
    print(f"{options.devices:,} devices, {options.workers} workers, medians of {options.rounds}")
    print(f"{'freeze':44}{freeze:>12,.0f} devices/s")
    print(f"{'whole campaign':44}{rate:>12,.0f} messages/s")
    print(f"{'the same with half the devices':44}{half_rate:>12,.0f} messages/s")
    print(f"{'ORM rows and httpx, one task per 500':44}{peer:>12,.0f} messages/s")
    print(f"{'whole campaign / ORM and httpx':44}{rate / peer:>12.1f} x")
    print(f"{'largest worker':44}{peak:>12,.0f} MB")


if __name__ == "__main__":
    main()
