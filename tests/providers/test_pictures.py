"""providers.pictures: what a phone would find at an address, without trusting the address."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from providers.pictures import MOST, Picture, load, look
from tests.drawings import bmp, gif, jpeg, png, webp
from tests.receiver import Receiver, receiving

LOOPBACK = [ip_network("127.0.0.0/8")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def loaded(url: str, **given: Any) -> Picture:
    return asyncio.run(load(url, **{"allowed": LOOPBACK, **given}))


@pytest.mark.parametrize(
    ("file", "found"),
    [
        (png(1024, 512), ("PNG", 1024, 512)),
        (jpeg(640, 480), ("JPEG", 640, 480)),
        (jpeg(4000, 3000, notes=60_000), ("JPEG", 4000, 3000)),
        (gif(32, 16), ("GIF", 32, 16)),
        (bmp(300, 200), ("BMP", 300, 200)),
        (webp(b"VP8 ", 550, 368), ("WebP", 550, 368)),
        (webp(b"VP8L", 386, 395), ("WebP", 386, 395)),
        (webp(b"VP8X", 70_000, 2), ("WebP", 70_000, 2)),
        (bytes(4) + b"ftypavif", ("AVIF", 0, 0)),
        (bytes(4) + b"ftypheic", ("HEIC", 0, 0)),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', ("SVG", 0, 0)),
        (b"<!DOCTYPE html><html><svg></svg></html>", ("", 0, 0)),
        (b"%PDF-1.7", ("", 0, 0)),
        (png()[:20], ("", 0, 0)),
        (b"\xff\xd8\xff", ("JPEG", 0, 0)),
        (b"", ("", 0, 0)),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(file: bytes, found: tuple[str, int, int]) -> None:
    assert look(file) == found


def test_whatever_bytes_come_they_are_looked_at_without_a_fault() -> None:
    whole = [png(8, 8), jpeg(9, 9, notes=20), gif(1, 1), bmp(3, 3), webp(b"VP8X", 5, 5)]
    for file in whole:
        for end in range(len(file)):
            look(file[:end])
            look(file[:end] + b"\xff" * 12)


def test_a_picture_is_measured(receiver: Receiver) -> None:
    file = png(1024, 512, size=90_000)
    receiver.answer = lambda got: (200, {"Content-Type": "image/png; q=1"}, file)

    found = loaded(f"{receiver.url}/sale.png?v=2")

    assert found == Picture("PNG", 1024, 512, 90_000, 200, "image/png")
    assert receiver.received[0].path == "/sale.png?v=2"


def test_what_is_no_picture_is_told_by_what_it_is(receiver: Receiver) -> None:
    receiver.answer = lambda got: (200, {"Content-Type": "image/png"}, b"<html>Sign in</html>")
    assert loaded(receiver.url) == Picture(size=20, status=200, named="image/png")

    receiver.answer = lambda got: (404, {"Content-Type": "text/html"}, b"gone")
    assert loaded(receiver.url) == Picture(status=404, named="text/html")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a.png",
        "https://localhost/a.png",
        "https://[::1]/a.png",
        "https://10.0.0.1/a.png",
        "https://169.254.169.254/latest/meta-data/",
        "https://2130706433/a.png",
    ],
)
def test_addresses_of_ours_are_not_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **given: object) -> None:
        raise AssertionError("nothing may be connected to")

    monkeypatch.setattr(socket.socket, "connect", refuse)

    assert "private network" in loaded(url, allowed=[]).problem


def test_a_redirect_is_followed_to_https_alone(receiver: Receiver) -> None:
    receiver.answer = lambda got: (302, {"Location": "/elsewhere"}, b"")

    assert loaded(receiver.url).problem == "it leads on to an address without https"
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [300, 302, 304])
def test_an_answer_that_leads_nowhere_is_no_picture(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda got: (status, {"Content-Type": "text/html"}, b"")

    assert loaded(receiver.url) == Picture(status=status, named="text/html")


def test_a_redirect_does_not_lead_inside(receiver: Receiver) -> None:
    receiver.answer = lambda got: (302, {"Location": "https://10.0.0.1/admin"}, b"")

    assert "private network" in loaded(receiver.url).problem


def test_a_file_that_does_not_end_is_let_go_of(receiver: Receiver) -> None:
    receiver.answer = lambda got: (200, {}, png(64, 64) + bytes(2 * MOST))

    found = loaded(receiver.url)

    assert found.kind == "PNG"
    assert found.size > MOST


def test_an_address_that_does_not_answer_is_waited_for_so_long(receiver: Receiver) -> None:
    answered = threading.Event()

    def never(got: object) -> Any:
        answered.wait(60)
        return 200, {}, b""

    receiver.answer = never
    try:
        found = loaded(receiver.url, seconds=0.2)
    finally:
        answered.set()

    assert found == Picture(problem="no answer within 0 seconds")


def test_what_cannot_be_asked_is_a_problem_and_no_fault() -> None:
    for url in ("", "https://", "https://[", "ftp://a/b.png", "https://a\x7f/", "https://x:y/"):
        assert loaded(url).problem, url
