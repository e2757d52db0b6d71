"""providers.posting: one guarded POST."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from providers import outside
from providers.posting import LONGEST_ANSWER, Posted, post
from tests.receiver import Received, Receiver, receiving

LOOPBACK = [ip_network("127.0.0.0/8")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def posted(url: str, **given: Any) -> Posted:
    return asyncio.run(post(url, b'{"results":[]}', {"webhook-id": "1"}, **given))


def test_a_body_is_posted_as_it_is(receiver: Receiver) -> None:
    answer = posted(f"{receiver.url}/dlr?a=b", allowed=LOOPBACK)

    assert (answer.status, answer.answer, answer.taken) == (200, "ok", True)
    [got] = receiver.received
    assert (got.path, got.body) == ("/dlr?a=b", b'{"results":[]}')
    assert got.headers["webhook-id"] == "1"
    assert f"http://{got.headers['host']}" == receiver.url


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/",
        "http://localhost/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://0x7f.1/",
    ],
)
def test_addresses_of_ours_are_not_called(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **given: object) -> None:
        raise AssertionError("nothing may be connected to")

    monkeypatch.setattr(socket.socket, "connect", refuse)

    assert "private network" in posted(url).problem


def test_a_network_that_is_allowed_is_called_and_no_other(receiver: Receiver) -> None:
    assert posted(receiver.url, allowed=LOOPBACK).taken
    assert "private network" in posted(receiver.url, allowed=[ip_network("10.0.0.0/8")]).problem
    assert len(receiver.received) == 1


def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(receiver.url.rpartition(":")[2])
    asked = []
    find = socket.getaddrinfo

    def rebinding(host: Any, *args: Any, **given: Any) -> Any:
        """The first answer may be called, the second leads elsewhere."""
        if host != "shop.example":
            return find(host, *args, **given)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)

    answer = posted(f"http://shop.example:{port}/", allowed=[ip_network("127.0.0.1/32")])

    assert answer.taken
    assert asked == ["shop.example"]
    assert receiver.received[0].headers["host"] == f"shop.example:{port}"


def test_one_address_of_a_name_that_is_inside_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*args: Any, **given: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 80)) for each in ("8.8.8.8", "10.0.0.1")]  # fmt: skip # noqa: E501

    monkeypatch.setattr(socket, "getaddrinfo", both)

    with pytest.raises(outside.InsideError):
        asyncio.run(outside.resolve("shop.example", 80))


def test_a_redirect_is_an_answer(receiver: Receiver) -> None:
    receiver.answer = lambda got: (302, {"Location": f"{receiver.url}/elsewhere"}, b"")

    answer = posted(receiver.url, allowed=LOOPBACK)

    assert (answer.status, answer.taken) == (302, False)
    assert len(receiver.received) == 1


def test_of_a_long_answer_only_the_beginning_is_read(receiver: Receiver) -> None:
    receiver.answer = lambda got: (200, {}, b"x" * 10_000_000)

    answer = posted(receiver.url, allowed=LOOPBACK)

    assert answer.taken
    assert answer.answer == "x" * LONGEST_ANSWER


def test_who_does_not_answer_in_time_is_hung_up_on(receiver: Receiver) -> None:
    ends = threading.Event()

    def slow(got: Received) -> tuple[int, dict[str, str], bytes]:
        ends.wait(30)
        return 200, {}, b""

    receiver.answer = slow
    answer = posted(receiver.url, allowed=LOOPBACK, seconds=0.3)
    ends.set()

    assert (answer.status, answer.taken) == (0, False)
    assert "no answer within" in answer.problem


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:1/", "could not connect"),
        ("http://[bad/", "the address cannot be read"),
        ("ftp://127.0.0.1/", "the address cannot be read"),
        ("http://a..b/", "the name was not found"),
        ("http://nobody.invalid/", "the name was not found"),
        ("http://127.0.0.1:99999/", "the address cannot be read"),
    ],
)
def test_what_cannot_be_called_says_why(url: str, problem: str) -> None:
    assert posted(url, allowed=LOOPBACK).problem == problem


def test_a_name_and_password_of_the_address_are_sent_as_such(receiver: Receiver) -> None:
    url = receiver.url.replace("http://", "http://shop:open%20sesame@")

    assert posted(url, allowed=LOOPBACK).taken
    assert receiver.received[0].headers["authorization"] == "Basic c2hvcDpvcGVuIHNlc2FtZQ=="
