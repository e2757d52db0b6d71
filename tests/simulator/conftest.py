"""One simulator for the whole session, reset before each test."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.simulator.posted import Receiver, receiving
from tests.simulator.running import (
    APNS,
    CALM,
    FCM,
    OAUTH,
    PROJECT,
    TOPIC,
    Client,
    Json,
    Simulator,
    account,
    apple_jwt,
    apple_key,
    message,
)
from tests.simulator.texting import AT_ONCE, AUTH, INFOBIP, SID, TWILIO


@pytest.fixture(scope="session")
def _simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    running = Simulator(tmp_path_factory.mktemp("gateways"))
    yield running
    running.stop()


@pytest.fixture
def simulator(_simulator: Simulator) -> Simulator:
    """Knows one FCM account and one APNs key; every unmarked token is accepted."""
    _simulator.post("/reset", {"credentials": True, "phones": True})
    _simulator.post("/credentials", {"fcm": [account()], "apns": [apple_key()]})
    _simulator.post("/behaviour", CALM)
    return _simulator


@pytest.fixture
def bearer(simulator: Simulator) -> str:
    with simulator.client(OAUTH) as client:
        return f"Bearer {client.access_token()}"


@pytest.fixture
def fcm(simulator: Simulator) -> Iterator[Client]:
    with simulator.client(FCM) as client:
        yield client


@pytest.fixture
def apns(simulator: Simulator) -> Iterator[Client]:
    with simulator.client(APNS) as client:
        yield client


@pytest.fixture
def send_fcm(fcm: Client, bearer: str) -> Callable[..., httpx.Response]:
    """Send to a token, or a whole body, with a valid access token."""

    def send(token: str | Json, *, project: str = PROJECT, **given: Any) -> httpx.Response:
        body = message(token, **given) if isinstance(token, str) else token
        path = f"/v1/projects/{project}/messages:send"
        return fcm.post(path, json=body, headers={"authorization": bearer})

    return send


@pytest.fixture
def send_apns(apns: Client) -> Callable[..., httpx.Response]:
    """Send to a token with a valid provider token; `headers` are added or replaced."""
    jwt = apple_jwt()

    def send(token: str, body: Any = None, **headers: str | None) -> httpx.Response:
        told: dict[str, str | None] = {
            "authorization": f"bearer {jwt}",
            "apns-topic": TOPIC,
            "apns-push-type": "alert",
        }
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = {"json": {"aps": {"alert": "Hello"}} if body is None else body}
        if isinstance(body, bytes):
            content = {"content": body}
        kept = {name: value for name, value in told.items() if value is not None}
        return apns.post(f"/3/device/{token}", headers=kept, **content)

    return send


@pytest.fixture
def sms(simulator: Simulator) -> Simulator:
    """Knows one account with each gateway."""
    simulator.post(
        "/credentials",
        {
            "infobip": [{"api_key": "key-1", "senders": ["Shop"], "credit": 1, "price": 0.01}],
            "twilio": [{"account_sid": SID, "auth_token": AUTH, "senders": ["+15005550006"]}],
        },
    )
    simulator.post("/operators", AT_ONCE)
    return simulator


@pytest.fixture
def infobip(sms: Simulator) -> Iterator[Client]:
    with sms.client(INFOBIP, http2=False) as client:
        yield client


@pytest.fixture
def twilio(sms: Simulator) -> Iterator[Client]:
    with sms.client(TWILIO, http2=False) as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found
