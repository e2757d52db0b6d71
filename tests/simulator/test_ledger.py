import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.simulator.running import (
    FCM,
    OAUTH,
    PROJECT,
    Simulator,
    account,
    fcm_token,
    message,
)

Send = Callable[..., httpx.Response]
PATH = f"/v1/projects/{PROJECT}/messages:send"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Simulator]:
    """A simulator for this test alone, so that it can be killed."""
    running = Simulator(tmp_path / "gateways")
    running.post("/credentials", {"fcm": [account()]})
    yield running
    running.stop()


def send(simulator: Simulator, count: int) -> list[str]:
    """Send that many over one connection; their message ids."""
    bodies = [message(fcm_token("fate-accepted-1")) for _ in range(count)]
    with simulator.client(OAUTH) as client:
        bearer = {"authorization": f"Bearer {client.access_token()}"}
    with simulator.client(FCM) as client:
        for body in bodies:
            assert client.post(PATH, json=body, headers=bearer).status_code == 200
    return [body["message"]["data"]["messageId"] for body in bodies]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_answered_survives_the_end_of_the_process(
    own: Simulator, number: signal.Signals
) -> None:
    ids = send(own, 5)

    own.restart(number)

    rows = own.get("/ledger/messages")["messages"]
    assert [row["message_id"] for row in rows] == ids
    assert own.get("/ledger")["fcm"] == {"accepted": 5, "distinct": 5, "refused": 0}
    more = send(own, 1)  # its credentials are still known
    assert own.get("/ledger/messages?after=5")["messages"][0]["message_id"] == more[0]


def test_a_torn_last_line_is_dropped(own: Simulator) -> None:
    ids = send(own, 2)
    own.stop(signal.SIGKILL)
    with (own.home / "ledger.jsonl").open("ab") as ledger:
        ledger.write(b'{"id":3,"provider":"fc')

    own._start(())
    ids += send(own, 1)

    rows = own.get("/ledger/messages")["messages"]
    assert [row["message_id"] for row in rows] == ids
    assert [row["id"] for row in rows] == [1, 2, 3]


def test_the_same_message_twice_is_told_apart_from_two(
    send_fcm: Send, simulator: Simulator
) -> None:
    body = message(fcm_token())
    for one in (body, body, message(fcm_token())):
        send_fcm(one)

    assert simulator.get("/ledger")["fcm"] == {"accepted": 3, "distinct": 2, "refused": 0}


def test_pages_continue_where_the_last_one_ended(own: Simulator) -> None:
    ids = send(own, 12)

    first = own.get("/ledger/messages?limit=7")
    second = own.get(f"/ledger/messages?after={first['next']}")
    third = own.get(f"/ledger/messages?after={second['next']}")

    found = [row["message_id"] for row in first["messages"] + second["messages"]]
    assert found == ids
    assert (first["next"], second["next"], second["total"]) == (7, 12, 12)
    assert third == {"messages": [], "next": 12, "total": 12}


def test_one_home_has_one_simulator(own: Simulator) -> None:
    with pytest.raises(AssertionError, match="used by another simulator"):
        Simulator(own.home)


def test_only_loopback_is_listened_on(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="loopback"):
        Simulator(tmp_path / "open", "--host", "0.0.0.0")  # noqa: S104


def test_a_stop_leaves_no_port_and_no_facts_behind(tmp_path: Path) -> None:
    running = Simulator(tmp_path / "gateways")
    wire = running.wire(FCM)

    assert running.stop() == 0

    assert not (running.home / "gateways.json").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", running.port), timeout=1)
    wire.close()


def test_private_files_are_for_their_owner(own: Simulator) -> None:
    for name in ("ca.key", "access.key", "credentials.json", "ledger.jsonl"):
        assert (own.home / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kept", [True, False])
def test_payloads_are_kept_where_that_is_asked_for(own: Simulator, kept: bool) -> None:
    own.post("/behaviour", {"keep_payloads": kept})
    [message_id] = send(own, 1)

    [row] = own.get("/ledger/messages")["messages"]

    assert ("payload" in row) is kept
    assert not kept or row["payload"]["data"]["messageId"] == message_id
