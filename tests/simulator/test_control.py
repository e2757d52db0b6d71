import contextlib
import socket
import ssl
from typing import Any

import pytest

from tests.simulator.running import (
    FCM,
    Simulator,
    account,
    apple_key,
    ec_key,
    public_pem,
    rsa_key,
)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/credentials", {"fcm": [{}]}, "fcm[0]"),
        ("/credentials", {"fcm": {}}, "fcm"),
        ("/credentials", {"gcm": []}, "gcm"),
        ("/credentials", {"fcm": [account() | {"public_key_pem": "x"}]}, "fcm[0].public_key_pem"),
        (
            "/credentials",
            {"fcm": [account() | {"public_key_pem": public_pem(ec_key())}]},
            "fcm[0].public_key_pem",
        ),
        (
            "/credentials",
            {"apns": [apple_key(public_key_pem=public_pem(rsa_key()))]},
            "apns[0].public_key_pem",
        ),
        ("/credentials", {"apns": [apple_key(environment="test")]}, "apns[0].environment"),
        ("/behaviour", {"fcm": {"unregistered": 2}}, "fcm.unregistered"),
        ("/behaviour", {"fcm": {"unregisterd": 0}}, "fcm.unregisterd"),
        ("/behaviour", {"latency_ms": "fast"}, "latency_ms"),
        ("/behaviour", {"apns": {"goaway_flavour": "kind"}}, "apns.goaway_flavour"),
        ("/behaviour", {"rules": [{"fate": "sad"}]}, "rules[0].fate"),
        ("/behaviour", {"fcm": {"outage": "unregistered"}}, "fcm.outage"),
        ("/phones", {"base_url": "https://example.com"}, "base_url"),
        ("/phones", {"base_url": "http://10.0.0.1:80"}, "base_url"),
        ("/phones", {"rates": {"delivered": 1.5}}, "rates.delivered"),
        ("/devices", {"apns": [{"token": ""}]}, "apns[0].token"),
        ("/clock", {}, "offset"),
        ("/connections", {"cloud": "fcm", "do": "dance"}, "do"),
        ("/reset", [], "body"),
    ],
)
def test_bad_input_names_the_field(simulator: Simulator, path: str, body: Any, field: str) -> None:
    answer = simulator.ask("POST", path, body)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["field"].startswith(field)
    assert error["message"]


def test_a_refused_change_changes_nothing(simulator: Simulator) -> None:
    before = simulator.get("/behaviour")

    simulator.ask("POST", "/behaviour", {"fcm": {"busy": 0.5}, "apns": {"busy": 5}})

    assert simulator.get("/behaviour") == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/ledger", 405), ("DELETE", "/reset", 405)],
)
def test_unknown_requests_are_refused(
    simulator: Simulator, method: str, path: str, status: int
) -> None:
    assert simulator.ask(method, path).status_code == status


@pytest.mark.parametrize("query", ["after=x", "limit=-1", "limit=99999", "page=2"])
def test_a_wrong_page_is_refused(simulator: Simulator, query: str) -> None:
    assert simulator.ask("GET", f"/ledger/messages?{query}").status_code == 400


def test_what_is_no_http_is_answered_and_closed(simulator: Simulator) -> None:
    port = int(simulator.control.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(b"hello\r\n\r\n")

        assert plain.recv(1000).startswith(b"HTTP/1.1 400")
        assert plain.recv(1000) == b""


def test_a_common_setting_concerns_both_clouds(simulator: Simulator) -> None:
    simulator.post("/behaviour", {"latency_ms": 20, "fcm": {"busy": 0.25}})

    told = simulator.get("/behaviour")
    assert told["fcm"]["latency_ms"] == told["apns"]["latency_ms"] == 20
    assert (told["fcm"]["busy"], told["apns"]["busy"]) == (0.25, 0)


def test_a_connection_is_reset_on_command(simulator: Simulator) -> None:
    wire = simulator.wire(FCM)

    assert simulator.post("/connections", {"cloud": "fcm", "do": "reset"}) == {"connections": 1}
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while wire.recv(1000):  # times out, and fails, if it were still open
            pass
