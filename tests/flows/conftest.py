"""A shop whose pushes go to the simulated clouds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

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


def make_shop() -> Application:
    """An application with working credentials for both clouds."""
    application = make_application()
    make_credential(application, Provider.FCM)
    make_credential(application, Provider.APNS)
    return application


@pytest.fixture
def worker(tmp_path: Path, gateways: Gateways) -> Iterator[Callable[..., Worker]]:
    """Start workers on the test's database; all end with the test."""
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
