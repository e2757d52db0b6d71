"""A shop whose pushes go to the simulated clouds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from django.db import DatabaseError, connection

from devices.models import Application, Provider
from tests.factories import apns_key, make_application, make_credential, service_account
from tests.flows.processes import Gateways, Worker


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
