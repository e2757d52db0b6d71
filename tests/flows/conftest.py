"""A shop whose pushes go to the simulated clouds."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from campaigns import channels, tasks
from campaigns.store import store
from devices.models import Application, Provider, Role
from tests.browsers import let_in, new_page, new_profile
from tests.complaints import Complaints
from tests.factories import (
    apns_key,
    client_of,
    make_application,
    make_credential,
    make_user,
    service_account,
)
from tests.flows.journeys import HANDS, HOLD, Hands
from tests.flows.processes import Gateways, Worker
from tests.simulator.running import CALM

# Operators that deliver every text and say so, once and soon.
QUIET = {
    "seconds": 0.3, "silent": 0, "absent": 0, "barred": 0, "expired": 0, "unknown": 0,
    "stopped": 0, "intermediate": 0, "out_of_order": 0, "repeated": 0, "strangers": 0,
}  # fmt: skip
# Phones that show every push and say so, once and soon; nobody looks.
FAITHFUL = {
    "delivered": 1, "seen": 0, "offline": 0, "repeated": 0, "unknown": 0, "wrong_clock": 0,
    "out_of_order": 0, "uninstalled": 0, "speed": 50,
}  # fmt: skip


def public_half(pem: str) -> str:
    key = serialization.load_pem_private_key(pem.encode(), None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def known_credentials() -> dict[str, Any]:
    """What the clouds know of the credentials of `make_shop`."""
    account, key = service_account(), apns_key()
    names = ("project_id", "client_email", "private_key_id")
    return {
        "fcm": [
            {name: account[name] for name in names}
            | {"public_key_pem": public_half(account["private_key"])}
        ],
        "apns": [
            {
                "team_id": key["team_id"],
                "key_id": key["key_id"],
                "public_key_pem": public_half(key["key_pem"]),
                "topics": [key["topic"]],
                "environment": "production",
            }
        ],
    }


@pytest.fixture
def gateways(tmp_path: Path, settings: Any) -> Iterator[Gateways]:
    """Simulated clouds that know the credentials of `make_shop`."""
    running = Gateways(tmp_path / "gateways")
    running.ask("POST", "/credentials", known_credentials())
    settings.GATEWAYS = ("127.0.0.1", running.port)
    settings.GATEWAYS_CA_FILE = running.ca_file
    yield running
    running.stop()
    running.tell()


@pytest.fixture
def clouds_at_hand(gateways: Gateways) -> Iterator[None]:
    """Clouds that this process sends to, and that keep what they are told."""
    gateways.ask("POST", "/behaviour", {**CALM, "keep_payloads": True})
    store().flushdb()
    yield
    channels.close_all()


def make_shop() -> Application:
    """An application with working credentials for both clouds."""
    application = make_application()
    make_credential(application, Provider.FCM)
    make_credential(application, Provider.APNS)
    return application


@pytest.fixture
def worker(
    tmp_path: Path, gateways: Gateways, transactional_db: None
) -> Iterator[Callable[..., Worker]]:
    """Start workers on the test's database; all end with the test.

    Beside a failure stands what they wrote last, and what they have left undone.
    """
    started: list[Worker] = []

    def start(
        name: str = "worker", *, queues: str = "dispatch", children: int = 2, **environment: str
    ) -> Worker:
        log = tmp_path / f"{name}-{len(started)}.log"
        running = Worker(
            log,
            queues=queues,
            children=children,
            environment={**gateways.environment(), **environment},
        )
        started.append(running)
        return running

    yield start
    for running in started:
        running.stop()
        running.tell()
    tell_what_is_open()


@pytest.fixture
def timetable(worker: Callable[..., Worker]) -> Iterator[None]:
    """What is due every few seconds is queued for the workers, as the scheduler does it."""
    ended = threading.Event()

    def queue() -> None:
        while not ended.wait(2):
            for task in (tasks.revive, tasks.consume_receipts):
                task.apply_async(expires=3)

    clock = threading.Thread(target=queue)
    clock.start()
    yield
    ended.set()
    clock.join()


@pytest.fixture
def desk(
    browser: Browser, live_server: LiveServer, complaints: Complaints
) -> Iterator[Callable[[User], Page]]:
    """Seat somebody at a browser of their own, signed in: several people work at once."""
    contexts = []

    def seat(user: User) -> Page:
        context = new_profile(browser, live_server.url)
        contexts.append(context)
        context.on("page", complaints.listen)
        let_in(context, client_of(user), live_server.url)
        return new_page(context)

    yield seat
    for context in contexts:
        context.close()
    assert complaints.unexpected() == []


@pytest.fixture
def everything_runs(
    shop: Application,
    gateways: Gateways,
    worker: Callable[..., Worker],
    timetable: None,
    live_server: LiveServer,
    settings: Any,
) -> None:
    """Clouds that keep what they are told, faithful phones, and workers for every queue."""
    store().flushdb()
    settings.LAUNCH_HOLD_SECONDS = HOLD
    settings.PUBLIC_BASE_URL = live_server.url
    gateways.ask("POST", "/behaviour", {**CALM, "latency_ms": 20, "keep_payloads": True})
    codes = {"shop-test": shop.code, "com.example.shop": shop.code}
    phones = {"base_url": live_server.url, "applications": codes, "rates": FAITHFUL}
    gateways.ask("POST", "/phones", phones)
    place = {"PUBLIC_BASE_URL": live_server.url}
    worker(queues="dispatch", children=1, **place)
    worker("quick", queues="urgent,receipts,default", children=2, **place)


@pytest.fixture(params=HANDS)
def by(request: pytest.FixtureRequest) -> str:
    """What somebody does everything with."""
    return str(request.param)


@pytest.fixture
def seat(
    everything_runs: None, desk: Callable[[User], Page], shop: Application, by: str
) -> Callable[[Role], Hands]:
    """Seat somebody with a role in the shop at the dashboard, while everything runs."""
    return lambda role: Hands(desk(make_user(role, shop)), by)


OPEN = """
SELECT b.id AS bulk, b.status, b.step, c.platform, c.attempt, c.reason, c.held,
       extract(epoch FROM c.not_before - now())::int AS due_in,
       extract(epoch FROM c.lease_until - now())::int AS leased_for,
       c.window_to IS NOT NULL AS on_the_wire, count(*) AS chunks, sum(c.size - c.cursor) AS devices
FROM campaigns_chunk c JOIN campaigns_bulk b ON b.id = c.bulk_id
WHERE c.status = 0
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
ORDER BY 1, due_in LIMIT 40
"""


def tell_what_is_open() -> None:
    """Print the chunks that are still to be sent."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(OPEN)
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except DatabaseError as error:
        print(f"\nthe database does not tell what is open: {error}")
        return
    print("\n--- chunks that are open:", *map(str, rows), sep="\n")
