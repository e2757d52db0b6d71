import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from simulator.mailboxes import Delivery, Mailbox
from tests.simulator.running import (
    PROJECT,
    TOPIC,
    Simulator,
    apns_token,
    fcm_token,
    message,
)
from tests.waiting import eventually

Send = Callable[..., httpx.Response]
RELIABLE = {
    "delivered": 1, "seen": 1, "offline": 0, "repeated": 0, "unknown": 0, "wrong_clock": 0,
    "out_of_order": 0, "uninstalled": 0, "speed": 1000,
}  # fmt: skip


class DeviceApi:
    """A web server that phones report to."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, str, dict[str, Any]]] = []  # path, authorization, body
        self.statuses: list[int] = []  # of the next answers; then 200
        self.connections = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                api.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = api.statuses.pop(0) if api.statuses else 200
                if status == 200:
                    told = self.headers["authorization"], json.loads(body)
                    api.reports.append((self.path, *told))
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def delivered(self) -> Counter[str]:
        path = "/mobile/1/messages/deliveryreport"
        return Counter(one for at, _, body in self.reports if at == path for one in body["dlrIds"])

    def seen(self) -> dict[str, int]:
        """Message id → seconds ago."""
        path = "/mobile/2/messages/seen"
        return {
            one["messageId"]: one["timestampDelta"]
            for at, _, body in self.reports
            if at == path
            for one in body["messages"]
        }


@pytest.fixture
def api(simulator: Simulator) -> Iterator[DeviceApi]:
    made = DeviceApi()
    simulator.post(
        "/phones",
        {
            "base_url": made.url,
            "applications": {PROJECT: "shop-code", TOPIC: "shop-code"},
            "rates": RELIABLE,
        },
    )
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_phones_report_delivered_and_seen(api: DeviceApi, send_fcm: Send, send_apns: Send) -> None:
    body = message(fcm_token(), android={"priority": "HIGH"})
    apple_id = str(uuid.uuid4())
    send_fcm(body)
    alert = {"aps": {"alert": "Hi", "mutable-content": 1}, "messageId": apple_id}
    send_apns(apns_token(), alert)

    eventually(lambda: len(api.reports) == 4, "four reports came")

    ids = {body["message"]["data"]["messageId"], apple_id}
    assert set(api.delivered()) == set(api.seen()) == ids
    assert {authorization for _, authorization, _ in api.reports} == {"App shop-code"}


def test_a_bare_iphone_cannot_report_delivery(api: DeviceApi, send_apns: Send) -> None:
    send_apns(apns_token(), {"aps": {"alert": "Hi"}, "messageId": "m-1"})

    eventually(api.seen, "it was seen")
    assert api.delivered() == {}


def test_a_silent_phone_and_an_unknown_application_report_nothing(
    api: DeviceApi, send_fcm: Send, simulator: Simulator
) -> None:
    send_fcm(fcm_token("fate-silent-1"))
    simulator.post("/phones", {"applications": {TOPIC: "shop-code"}})
    send_fcm(fcm_token())

    figures = simulator.get("/statistics")["phones"]
    assert figures["application_unknown"] == 1
    assert figures["scheduled"] == figures["waiting"] == 0


def test_a_server_that_is_away_gets_its_report_later(
    api: DeviceApi, send_fcm: Send, simulator: Simulator
) -> None:
    api.statuses = [503, 429]
    send_fcm(fcm_token())

    eventually(api.delivered, "it was reported at last")

    assert simulator.get("/statistics")["phones"]["repeated_after_failure"] == 2


def test_a_refused_report_is_counted_and_not_repeated(
    api: DeviceApi, send_fcm: Send, simulator: Simulator
) -> None:
    api.statuses = [401]
    send_fcm(fcm_token())

    def figures() -> dict[str, int]:
        told: dict[str, int] = simulator.get("/statistics")["phones"]
        return told

    eventually(lambda: figures().get("refused") == 1, "it was refused")
    assert figures()["waiting"] == 0
    assert api.reports == []


def test_mishaps_happen(api: DeviceApi, send_fcm: Send, simulator: Simulator) -> None:
    rates = {"repeated": 1, "unknown": 1, "wrong_clock": 1, "uninstalled": 1}
    simulator.post("/phones", {"rates": rates})
    token = fcm_token()
    body = message(token, android={"priority": "HIGH"})
    message_id = body["message"]["data"]["messageId"]
    send_fcm(body)

    eventually(lambda: len(api.reports) == 4, "four reports came")

    assert api.delivered()[message_id] == 2
    assert len(api.delivered()) == 2  # one of them about an id that nobody sent
    assert abs(api.seen()[message_id]) > 2
    assert send_fcm(token).status_code == 404  # uninstalled meanwhile


def test_connections_are_kept(api: DeviceApi, send_fcm: Send, simulator: Simulator) -> None:
    simulator.post("/phones", {"connections": 2})
    for _ in range(20):
        send_fcm(fcm_token())

    eventually(lambda: sum(api.delivered().values()) == 20, "all reported")
    assert api.connections <= 4  # two of before the change


def test_an_offline_device_hears_when_it_is_back(
    api: DeviceApi, send_fcm: Send, simulator: Simulator
) -> None:
    simulator.post("/phones", {"rates": {"offline": 1}})
    token = fcm_token()
    kept = message(token, android={"ttl": "3600s"})
    lost = message(token, android={"ttl": "0s"})
    for one in (kept, lost):
        send_fcm(one)

    eventually(api.delivered, "it came back", seconds=60)  # the wait is drawn, its tail is long
    assert set(api.delivered()) == {kept["message"]["data"]["messageId"]}
    assert simulator.get("/statistics")["phones"]["now_or_never"] == 1


def delivery(number: int, *, cloud: str = "fcm", key: str = "", expires: float = 100) -> Delivery:
    return Delivery(
        cloud=cloud, application="a", token="t", message_id=f"m-{number}", draw=0,
        expires=expires, collapse_key=key, reports_delivery=True, visible=True,
    )  # fmt: skip


def left(deliveries: list[Delivery]) -> tuple[list[str], Counter[str]]:
    box, dropped = Mailbox(), Counter[str]()
    for one in deliveries:
        box.put(one, dropped)
    return [one.message_id for one in box.take(50, dropped)], +dropped


def test_a_collapse_key_keeps_the_newest_and_four_keys_wait() -> None:
    ids, dropped = left([delivery(n, key=f"k{n % 5}") for n in range(6)])

    assert ids == ["m-2", "m-3", "m-4", "m-5"]
    assert dropped["collapsed"] == 2


def test_the_hundred_and_first_drops_all() -> None:
    ids, dropped = left([delivery(n) for n in range(101)])

    assert ids == []
    assert dropped["too_many"] == 101


def test_apple_keeps_one_and_nothing_is_kept_past_its_time() -> None:
    assert left([delivery(n, cloud="apns") for n in range(3)])[0] == ["m-2"]
    assert left([delivery(1, expires=40)])[1]["expired"] == 1
