"""Rules of the protocol, with frames that no client library would send."""

import ssl
import struct
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from hpack import Decoder, Encoder

from tests.simulator.running import (
    APNS,
    FCM,
    OAUTH,
    PROJECT,
    TOPIC,
    Simulator,
    apns_token,
    apple_jwt,
    fcm_token,
    message,
)
from tests.waiting import eventually

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
REFUSED_STREAM, CALM = 7, 11


@dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def number(self) -> int:
        """The 32 bits a payload begins with: an error code, an increment."""
        return int(struct.unpack(">I", self.payload[:4])[0])


@dataclass
class Wire:
    """A client that does exactly what a test says."""

    socket: ssl.SSLSocket
    encoder: Encoder = field(default_factory=Encoder)
    rest: bytes = b""

    def begin(self, settings: bytes = b"") -> dict[int, int]:
        """Preface and SETTINGS; the settings of the server."""
        self.socket.sendall(PREFACE + raw(SETTINGS, 0, 0, settings))
        told = self.until(SETTINGS)
        self.send(raw(SETTINGS, 1, 0))
        return dict(struct.iter_unpack(">HI", told.payload))

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def frames(self) -> Iterator[Frame]:
        """Whatever comes, until the server closes."""
        while True:
            while len(self.rest) >= 9:
                size = int.from_bytes(self.rest[:3])
                if len(self.rest) < 9 + size:
                    break
                kind, flags, stream = struct.unpack(">BBI", self.rest[3:9])
                payload, self.rest = self.rest[9 : 9 + size], self.rest[9 + size :]
                yield Frame(kind, flags, stream, payload)
            try:
                more = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return
            if not more:
                return
            self.rest += more

    def until(self, kind: int, stream: int | None = None) -> Frame:
        """The next frame of a kind, acknowledgements of SETTINGS left out."""
        for frame in self.frames():
            wanted = frame.kind == kind and stream in (None, frame.stream)
            if wanted and (kind != SETTINGS or not frame.flags & 1):
                return frame
        raise AssertionError("the server closed")

    def request(self, stream: int, host: str, path: str, **headers: str) -> bytes:
        fields = [(":method", "POST"), (":scheme", "https"), (":authority", host)]
        fields += [(":path", path)]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
        return raw(HEADERS, 0x4, stream, self.encoder.encode(fields))


def raw(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream)
    return head + payload


@pytest.fixture
def wire(simulator: Simulator) -> Iterator[Callable[[str], Wire]]:
    opened: list[Wire] = []

    def connect(host: str) -> Wire:
        opened.append(Wire(simulator.wire(host)))
        return opened[-1]

    yield connect
    for one in opened:
        one.socket.close()


PATH = f"/v1/projects/{PROJECT}/messages:send"


def body(token: str = "") -> bytes:
    return httpx.Request("POST", "http://x", json=message(token or fcm_token())).read()


def apns_request(wire: Wire, stream: int, token: str = "") -> bytes:
    path = f"/3/device/{token or apns_token()}"
    told = {"authorization": f"bearer {apple_jwt()}", "apns_topic": TOPIC}
    end = raw(DATA, 1, stream, b'{"aps":{"alert":"Hi"}}')
    return wire.request(stream, APNS, path, **told) + end


def test_each_cloud_advertises_its_limits(wire: Callable[[str], Wire]) -> None:
    fcm, apns = wire(FCM).begin(), wire(APNS).begin()

    assert fcm == {1: 4096, 3: 100, 4: 65535, 5: 16384}
    assert apns == {1: 4096, 3: 1, 4: 65535, 5: 16384, 6: 8000}


def test_a_stranger_s_name_ends_the_handshake(simulator: Simulator) -> None:
    with pytest.raises(ssl.SSLError):
        simulator.wire("example.com")


@pytest.mark.parametrize("tls", ["expired", "wrong_name", "refused"])
def test_a_wrong_certificate_is_refused_by_clients(simulator: Simulator, tls: str) -> None:
    simulator.post("/behaviour", {"fcm": {"tls": tls}})

    with simulator.client(FCM) as client, pytest.raises(httpx.ConnectError):
        client.post(PATH)


def test_apns_opens_up_after_the_first_valid_token(wire: Callable[[str], Wire]) -> None:
    apns = wire(APNS)
    apns.begin()

    apns.send(apns_request(apns, 1))

    raised = apns.until(SETTINGS)
    assert dict(struct.iter_unpack(">HI", raised.payload)) == {3: 1000}


def test_a_stream_over_the_limit_is_refused_and_the_others_live(
    wire: Callable[[str], Wire], simulator: Simulator
) -> None:
    apns = wire(APNS)
    apns.begin()
    path = {"authorization": f"bearer {apple_jwt()}", "apns_topic": TOPIC}

    apns.send(apns.request(1, APNS, "/3/device/" + apns_token(), **path), apns_request(apns, 3))
    refused = apns.until(RST)
    apns.send(raw(DATA, 1, 1, b'{"aps":{"alert":"Hi"}}'))

    assert (refused.stream, refused.number) == (3, REFUSED_STREAM)
    assert apns.until(HEADERS).stream == 1
    assert simulator.get("/statistics")["traffic"]["apns"]["refused_streams"] == 1
    assert simulator.get("/ledger")["apns"]["accepted"] == 1


def test_who_does_not_stop_is_told_to_calm_down(wire: Callable[[str], Wire]) -> None:
    apns = wire(APNS)
    apns.begin()
    apns.send(*[apns.request(2 * n + 1, APNS, "/3/device/x") for n in range(23)])

    farewell = apns.until(GOAWAY)

    assert struct.unpack(">I", farewell.payload[4:8])[0] == CALM


@pytest.mark.parametrize(
    "broken",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        PREFACE + raw(PING, 0, 0, b"12345678"),  # SETTINGS must be first
        PREFACE + raw(SETTINGS, 0, 0) + raw(DATA, 0, 1, b"x"),
        PREFACE + raw(SETTINGS, 0, 0) + raw(HEADERS, 0x4, 2, b"\x82"),
        PREFACE + raw(SETTINGS, 0, 0) + raw(HEADERS, 0x4, 1, b"\xff\xff\xff\xff\x7f"),
        PREFACE + raw(SETTINGS, 0, 0) + raw(WINDOW, 0, 0, b"\0\0\0\0"),
        PREFACE + raw(SETTINGS, 0, 0) + raw(PING, 0, 0, b"short"),
        PREFACE + raw(SETTINGS, 0, 0) + b"\xff\xff\xff\0\0\0\0\0\x01",
        PREFACE + raw(SETTINGS, 0, 0) + raw(HEADERS, 0, 1, b"\x82") + raw(PING, 0, 0, b"12345678"),
        PREFACE + raw(SETTINGS, 0, 0, b"\0\x04\xff\xff\xff\xff"),
    ],
)
def test_a_broken_protocol_ends_with_goaway(wire: Callable[[str], Wire], broken: bytes) -> None:
    fcm = wire(FCM)
    fcm.send(broken)

    kinds = [frame.kind for frame in fcm.frames()]

    assert kinds[-1] == GOAWAY


def test_ping_is_answered(wire: Callable[[str], Wire]) -> None:
    fcm = wire(FCM)
    fcm.begin()
    fcm.send(raw(PING, 0, 0, b"12345678"))

    answer = fcm.until(PING)

    assert (answer.flags, answer.payload) == (1, b"12345678")


def test_an_answer_waits_for_the_client_s_window(wire: Callable[[str], Wire], bearer: str) -> None:
    fcm = wire(FCM)
    fcm.begin(b"\0\x04\0\0\0\x05")  # INITIAL_WINDOW_SIZE 5
    fcm.send(fcm.request(1, FCM, PATH, authorization=bearer) + raw(DATA, 1, 1, body()))

    first = fcm.until(DATA)
    fcm.send(raw(WINDOW, 0, 1, b"\0\0\0\x04"))
    second = fcm.until(DATA)
    fcm.send(raw(WINDOW, 0, 1, b"\0\0\x10\0"))
    last = fcm.until(DATA)

    assert (len(first.payload), len(second.payload), last.flags) == (5, 4, 1)
    assert b"messages" in first.payload + second.payload + last.payload


def test_a_small_window_makes_bodies_wait(
    wire: Callable[[str], Wire], simulator: Simulator, bearer: str
) -> None:
    simulator.post("/behaviour", {"fcm": {"window": 100}})
    fcm = wire(FCM)
    assert fcm.begin()[4] == 100
    sent = body()
    fcm.send(fcm.request(1, FCM, PATH, authorization=bearer), raw(DATA, 0, 1, sent[:100]))

    granted = fcm.until(WINDOW, 1)
    fcm.send(raw(DATA, 0, 1, sent[100:200]), raw(DATA, 0, 1, b"x" * 101))

    assert granted.number == 100
    assert fcm.until(RST).number == 3  # FLOW_CONTROL_ERROR: the last was too large


def test_padding_and_single_bytes_are_valid_frames(simulator: Simulator, bearer: str) -> None:
    simulator.post("/behaviour", {"fcm": {"padding": 9, "dribble": True}})

    with simulator.client(FCM) as client:
        answer = client.post(PATH, content=body(), headers={"authorization": bearer})

    assert answer.json()["name"].startswith("projects/")


def test_a_client_s_padding_and_continuations_are_read(
    wire: Callable[[str], Wire], bearer: str
) -> None:
    fcm = wire(FCM)
    fcm.begin()
    block = fcm.request(1, FCM, PATH, authorization=bearer)[9:]
    fcm.send(raw(HEADERS, 0, 1, block[:9]), raw(9, 0, 1, block[9:20]), raw(9, 4, 1, block[20:]))
    fcm.send(raw(DATA, 0x9, 1, b"\x03" + body() + b"\0\0\0"))

    fields = dict(iter(Decoder().decode(fcm.until(HEADERS).payload, raw=True)))
    assert fields[b":status"] == b"200"


def test_a_lowered_limit_holds_when_it_is_acknowledged(
    wire: Callable[[str], Wire], simulator: Simulator, bearer: str
) -> None:
    fcm = wire(FCM)
    fcm.begin()
    fcm.send(*[fcm.request(n, FCM, PATH, authorization=bearer) for n in (1, 3)])
    fcm.send(raw(PING, 0, 0, b"12345678"))
    fcm.until(PING)
    told = simulator.post("/connections", {"cloud": "fcm", "do": "limit", "streams": 1})
    lowered = fcm.until(SETTINGS)

    fcm.send(fcm.request(5, FCM, PATH, authorization=bearer), raw(SETTINGS, 1, 0))
    fcm.send(fcm.request(7, FCM, PATH, authorization=bearer))

    assert told == {"connections": 1}
    assert lowered.payload == b"\0\x03\0\0\0\x01"
    assert fcm.until(RST).stream == 7  # 5 came before the acknowledgement


def test_polite_goaway_comes_twice_and_answers_what_came_between(
    wire: Callable[[str], Wire], simulator: Simulator, bearer: str
) -> None:
    fcm = wire(FCM)
    fcm.begin()
    fcm.send(raw(PING, 0, 0, b"12345678"))
    fcm.until(PING)
    simulator.post("/connections", {"cloud": "fcm", "do": "goaway", "reason": "Shutdown"})
    first = fcm.until(GOAWAY)
    fcm.send(fcm.request(1, FCM, PATH, authorization=bearer) + raw(DATA, 1, 1, body()))

    answer, second = fcm.until(HEADERS), fcm.until(GOAWAY)
    rest = list(fcm.frames())

    assert (first.number, first.payload[8:]) == (2**31 - 1, b"Shutdown")
    assert (answer.stream, second.number) == (1, 1)
    assert rest == []  # and it closed


@pytest.mark.parametrize(
    ("flavour", "last", "answered"), [("curt", 1, True), ("rude", 1, False), ("zero", 0, True)]
)
def test_a_goaway_after_every_stream(
    wire: Callable[[str], Wire],
    simulator: Simulator,
    bearer: str,
    flavour: str,
    last: int,
    answered: bool,
) -> None:
    simulator.post("/behaviour", {"fcm": {"goaway_every": 1, "goaway_flavour": flavour}})
    fcm = wire(FCM)
    fcm.begin()
    fcm.send(fcm.request(1, FCM, PATH, authorization=bearer) + raw(DATA, 1, 1, body()))

    frames = list(fcm.frames())

    [farewell] = [frame for frame in frames if frame.kind == GOAWAY]
    assert farewell.number == last
    assert any(frame.kind == HEADERS for frame in frames) is answered
    assert simulator.get("/ledger")["fcm"]["accepted"] == 1


def test_an_idle_connection_is_closed(wire: Callable[[str], Wire], simulator: Simulator) -> None:
    simulator.post("/behaviour", {"fcm": {"idle_seconds": 0.1}})
    fcm = wire(FCM)
    fcm.begin()

    assert [frame.kind for frame in fcm.frames()][-1] == GOAWAY


@pytest.mark.parametrize(
    ("fate", "accepted", "reset"),
    [
        ("lost-answer", 1, None),
        ("lost-request", 0, None),
        ("reset", 1, 2),
        ("refused-stream", 0, REFUSED_STREAM),
    ],
)
def test_what_is_lost_is_in_the_ledger_only_if_it_was_taken(
    wire: Callable[[str], Wire],
    simulator: Simulator,
    bearer: str,
    fate: str,
    accepted: int,
    reset: int | None,
) -> None:
    fcm = wire(FCM)
    fcm.begin()
    sent = body(fcm_token(f"fate-{fate}-1"))
    fcm.send(fcm.request(1, FCM, PATH, authorization=bearer) + raw(DATA, 1, 1, sent))

    if reset is None:
        assert not [frame for frame in fcm.frames() if frame.kind in {HEADERS, RST}]
    else:
        assert fcm.until(RST).number == reset
    assert simulator.get("/ledger")["fcm"]["accepted"] == accepted


def test_a_stalled_stream_stays_open_while_others_are_answered(
    wire: Callable[[str], Wire], simulator: Simulator, bearer: str
) -> None:
    fcm = wire(FCM)
    fcm.begin()
    for stream, name in ((1, "fate-stalled-1"), (3, "")):
        sent = raw(DATA, 1, stream, body(fcm_token(name)))
        fcm.send(fcm.request(stream, FCM, PATH, authorization=bearer) + sent)

    assert fcm.until(HEADERS).stream == 3
    statistics = simulator.get("/statistics")["traffic"]["fcm"]
    assert statistics["in_flight"] == 1
    assert simulator.get("/ledger")["fcm"]["accepted"] == 2


def test_apns_says_why_it_shuts_down(wire: Callable[[str], Wire]) -> None:
    apns = wire(APNS)
    apns.begin()
    apns.send(apns_request(apns, 1, apns_token("fa7e50d0")))

    assert apns.until(GOAWAY).payload[8:] == b'{"reason":"Shutdown"}'


def test_connections_are_counted_and_a_storm_is_noticed(simulator: Simulator) -> None:
    for _ in range(11):
        simulator.wire(FCM).close()

    def traffic() -> dict[str, int]:
        told: dict[str, int] = simulator.get("/statistics")["traffic"]["fcm"]
        return told

    eventually(lambda: traffic()["open_connections"] == 0, "all are closed")
    assert (traffic()["connections"], traffic()["storms"]) == (11, 1)


def test_curl_gets_its_token(simulator: Simulator, tmp_path: Path) -> None:
    """A client nobody here wrote, over HTTP/2 and over 1.1 with a chunked body."""
    for version in ("--http2", "--http1.1"):
        found = subprocess.run(
            [
                "curl", "-sS", version, "--cacert", simulator.ca_file, "--connect-to",
                f"{OAUTH}:443:127.0.0.1:{simulator.port}", "-w", "%{http_version} %{http_code}",
                "-H", "expect: 100-continue", "-H", "transfer-encoding: chunked",
                "-d", f"grant_type=nothing&x={uuid.uuid4()}", f"https://{OAUTH}/token",
            ],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
        assert "unsupported_grant_type" in found.stdout, found.stderr
        assert found.stdout.endswith("2 400" if version == "--http2" else "1.1 400")
