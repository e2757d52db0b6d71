"""The web server itself: bodies in every form in which they come, to a call of each family.

tests/api/test_hostile_bodies.py sends what is wrong inside a body to every call there is; here is
what only a server sees: lengths, chunks, packing, types, request lines.
"""

import gzip
import json
import socket
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse

import pytest
from pytest_django import DjangoDbBlocker

from api.openapi.calls import JSON, Call, Family
from api.openapi.document import calls, operation_id
from campaigns.store import store
from tests.api import documented
from tests.api.test_every_status import World
from tests.api.test_hostile_bodies import RAW, rows
from tests.flows.processes import WebServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

# A call of each family that may be made again and again, with the document's example.
AGAIN = [
    ("post", "/push/3/messages"),
    ("post", "/push/2/message/single"),
    ("post", "/omni/1/text"),
    ("post", "/api/v2/notification/user"),
    ("post", "/api/message_center/v1"),
    ("patch", "/people/2/contactInformation/push/{pushRegId}"),
    ("patch", "/people/2/persons"),
    ("patch", "/mobile/1/appinstance/{pushRegId}"),
    ("post", "/mobile/5/messages"),
    ("post", "/sdk/1/receipts"),
    ("post", "/segments/1/segments"),
    ("put", "/lists/1/lists/{id}"),
    ("post", "/callbacks/huawei/{applicationCode}"),
    ("post", "/callbacks/sms/{application}/{token}"),
]
CALLS = [(family, call) for family, call in calls() if (call.method, call.path) in AGAIN]
every_family = pytest.mark.parametrize(
    ("family", "call"),
    [pytest.param(family, call, id=operation_id(family, call)) for family, call in CALLS],
)
TAKEN = {200, 204, 409}  # 409: a segment of that name was made just before


@dataclass(frozen=True, slots=True)
class Sent:
    """What is sent, however it is packed."""

    body: bytes | Iterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    absolute: bool = False  # the request line names the server, as old clients write it


@dataclass(frozen=True, slots=True)
class Answer:
    status_code: int
    headers: Mapping[str, str]
    content: bytes

    def __getitem__(self, name: str) -> str:
        return self.headers[name]


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[WebServer]:  # fmt: skip
    with django_db_blocker.unblock():
        web = WebServer(tmp_path_factory.mktemp("web") / "log", {"ALLOWED_HOSTS": "127.0.0.1"})
    yield web
    web.stop()


class Caller:
    """Calls the server as whoever may make a call."""

    def __init__(self, server: WebServer) -> None:
        self.server = server
        self.world = World()

    def example(self, family: Family, call: Call) -> bytes:
        self.world.prepare(family, call)
        return json.dumps(self.world.body_of(family, call)).encode()

    def call(self, family: Family, call: Call, sent: Sent) -> Answer:
        store().flushdb()  # how often there were calls
        path, method = self.world.path_of(call), call.method.upper()
        known = {"Content-Type": call.body_type, **self.world.headers_of(family), **sent.headers}
        line = f"{self.server.url}{path}" if sent.absolute else path
        talking = HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            # Who sends too much is answered, and not listened to until the end.
            with suppress(BrokenPipeError, ConnectionResetError):
                talking.request(method, line, sent.body, known)
            told = _read(talking.getresponse())
        finally:
            talking.close()
        documented.check(method, path, told)
        return told

    def lines_of(self, family: Family) -> list[str]:
        known = {"Host": "127.0.0.1", "Content-Type": JSON, **self.world.headers_of(family)}
        return [f"{name}: {value}" for name, value in known.items()]


def _read(response: HTTPResponse) -> Answer:
    content = response.read()
    named = {name.title(): value for name, value in response.getheaders()}
    assert int(named.get("Content-Length", 0)) == len(content)
    assert "Transfer-Encoding" not in named
    return Answer(response.status, named, content)


@pytest.fixture
def caller(server: WebServer) -> Caller:
    return Caller(server)


def in_pieces(body: bytes, size: int = 7) -> Iterator[bytes]:
    yield from (body[at : at + size] for at in range(0, len(body), size))


def in_chunks(body: bytes) -> Sent:
    return Sent(in_pieces(body))


def packed(body: bytes) -> Sent:
    return Sent(gzip.compress(body), {"Content-Encoding": "gzip"})


def packed_in_chunks(body: bytes) -> Sent:
    return Sent(in_pieces(gzip.compress(body)), {"Content-Encoding": "gzip"})


def to_a_server_by_name(body: bytes) -> Sent:
    return Sent(body, absolute=True)


def typed(kind: str) -> Callable[[bytes], Sent]:
    return lambda body: Sent(body, {"Content-Type": kind})


FORMS = (
    Sent,
    in_chunks,
    packed,
    packed_in_chunks,
    to_a_server_by_name,
    typed("application/json; charset=utf-8"),
    typed("text/plain"),
    typed("application/x-www-form-urlencoded"),
    typed("multipart/form-data; boundary=x"),
    typed(""),
)


@every_family
def test_a_body_is_read_in_whatever_form_it_comes(
    caller: Caller, family: Family, call: Call
) -> None:
    good = caller.example(family, call)
    for form in FORMS:
        answer = caller.call(family, call, form(good))
        assert answer.status_code in TAKEN, (form, answer.content)

        before = rows()
        answer = caller.call(family, call, form(b'{"'))
        assert answer.status_code == 400, (form, answer.content)
        assert rows() == before


@every_family
def test_no_body_breaks_a_call_however_it_comes(caller: Caller, family: Family, call: Call) -> None:
    good = caller.example(family, call)
    twice = b'{"x": 1, "x": 2, ' + good[1:]  # a member that stands there twice
    for body in (*RAW, twice):
        for form in (Sent, in_chunks, packed):
            before = rows()
            answer = caller.call(family, call, form(body))
            assert answer.status_code < 500, (body[:40], form, answer.content)
            if answer.status_code >= 300:
                assert rows() == before, (body[:40], form)


def bomb() -> bytes:
    """A few kilobytes that unpack to many megabytes."""
    packing = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    parts = [packing.compress(b" " * 2**20) for _ in range(64)]
    return b"".join([*parts, packing.flush()])


@every_family
def test_what_is_packed_wrongly_is_refused(caller: Caller, family: Family, call: Call) -> None:
    good = caller.example(family, call)
    before = rows()
    for body, status in [
        (good, 400),  # not packed at all
        (gzip.compress(good)[:-9], 400),  # its end is missing
        (bomb(), 413),
    ]:
        answer = caller.call(family, call, Sent(body, {"Content-Encoding": "gzip"}))
        assert answer.status_code == status, answer.content
    assert rows() == before


# ------------------------------------------------------------------- what arrives is not whole


def talk(server: WebServer, head: bytes, *parts: bytes) -> bytes:
    """What the server answers to these bytes, if anything, when nothing more comes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as wire:
        wire.sendall(head)
        for part in parts:
            wire.sendall(part)
        told = b""
        with suppress(OSError):  # it may have hung up
            wire.shutdown(socket.SHUT_WR)
            while found := wire.recv(65536):
                told += found
    return told


@every_family
def test_what_was_cut_off_is_not_done(caller: Caller, family: Family, call: Call) -> None:
    """Where only its length says that there was more, and where its JSON is not whole."""
    good = caller.example(family, call)
    cut = good[:-1]
    line = f"{call.method.upper()} {caller.world.path_of(call)} HTTP/1.1"
    before = rows()
    for length, body in [
        (f"Content-Length: {len(good) + 10}", good),
        ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n" % (len(cut), cut)),
        ("Transfer-Encoding: chunked", b"%x\r\n%b" % (len(good), cut)),
        ("Transfer-Encoding: chunked", b"%x\r\n%b\r\nnot a length\r\n" % (len(cut), cut)),
        ("Content-Length: -1", good),
        (f"Content-Length: {len(good)}\r\nContent-Length: 2", good),
        ("Content-Length: 1e3", good),
        ("Transfer-Encoding: gzip", good),
    ]:
        head = "\r\n".join([line, *caller.lines_of(family), length, "", ""]).encode()
        told = talk(caller.server, head, body)
        assert not told.startswith(b"HTTP/1.1 5"), (length, told)
        assert rows() == before, (length, body, told)
    assert caller.call(family, call, Sent(good)).status_code in TAKEN, "the server still answers"


def test_one_request_is_never_two(caller: Caller) -> None:
    """Chunks win over a length, as RFC 9112 6.3 says: what follows them is no second request."""
    family, call = CALLS[0]
    good = caller.example(family, call)
    lengths = [f"Content-Length: {len(good)}", "Transfer-Encoding: chunked"]
    lines = [f"POST {call.path} HTTP/1.1", *caller.lines_of(family), *lengths, "", ""]
    head = "\r\n".join(lines)
    before = rows()

    told = talk(caller.server, head.encode(), b"0\r\n\r\n", good)

    assert told.count(b"HTTP/1.1 ") <= 2, told
    assert b"HTTP/1.1 2" not in told, told
    assert rows() == before
