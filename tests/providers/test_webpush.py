"""providers.webpush: what a push service is sent, and what its answers mean."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from providers.base import (
    Addressed,
    CarouselItem,
    Cause,
    CredentialError,
    Network,
    NotPossible,
    Outcome,
    PayloadTooLarge,
    PushNotification,
    Scope,
    Verdict,
)
from providers.webpush import WebPushPayload, WebPushProvider
from providers.webpush.encryption import LARGEST_BODY, LARGEST_PLAINTEXT
from tests.providers.browsers import GOOGLE, MOZILLA, Browser, make_vapid

V, C = Verdict, Cause
NOW = 1_760_000_000.0
MESSAGE_ID = UUID("018f0000-0000-8000-8000-0000000000a1")
Answer = Callable[[httpx.Request], httpx.Response]


def stored(request: httpx.Request) -> httpx.Response:
    return httpx.Response(201, headers={"location": f"https://{request.headers['host']}/m/77"})


class Wire:
    """What push services were asked, and how they answer."""

    def __init__(self, answer: Answer = stored) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request)

    @property
    def hosts(self) -> list[str]:
        return [request.headers["host"] for request in self.requests]


def provider(wire: Answer, **given: Any) -> WebPushProvider:
    return WebPushProvider(
        make_vapid(),
        network=Network(),
        rate=1e6,
        transport=httpx.MockTransport(wire),
        clock=lambda: NOW,
        **given,
    )


def addressed(
    browsers: Sequence[Browser], ttl: int = 3600, **fields: Any
) -> tuple[WebPushPayload, list[Addressed]]:
    payload = WebPushPayload(PushNotification(**{"text": "Hi", **fields}))
    return payload, [Addressed(payload, uuid4(), browser.token, ttl=ttl) for browser in browsers]


def send(wire: Answer, *browsers: Browser, ttl: int = 3600, **fields: Any) -> list[Outcome]:
    """One window to these."""
    return send_windows(wire, list(browsers), ttl=ttl, **fields)[0]


def send_windows(
    wire: Answer, *windows: Sequence[Browser], ttl: int = 3600, **fields: Any
) -> list[list[Outcome]]:
    """One window after another through the same provider."""

    async def work() -> list[list[Outcome]]:
        web = provider(wire)
        try:
            return [await web.send(addressed(browsers, ttl, **fields)[1]) for browsers in windows]
        finally:
            await web.close()

    return asyncio.run(work())


def received(ttl: int = 3600, **fields: Any) -> tuple[dict[str, Any], httpx.Request]:
    """What the browser reads of a notification, and the request that carried it."""
    wire, browser = Wire(), Browser()
    payload = WebPushPayload(PushNotification(**fields))

    async def work() -> None:
        web = provider(wire)
        await web.send([Addressed(payload, MESSAGE_ID, browser.token, ttl=ttl)])
        await web.close()

    asyncio.run(work())
    [request] = wire.requests
    told = json.loads(browser.decrypt(request.content))
    assert isinstance(told, dict)
    return told, request


# ------------------------------------------------------------------- what is sent


def test_a_request_as_push_services_want_it() -> None:
    browser = Browser(f"https://{MOZILLA}/wpush/v2/abc?x=1")
    wire = Wire()

    [outcome] = send(wire, browser, ttl=86_400, urgency="normal")

    [request] = wire.requests
    assert request.method == "POST"
    assert request.url.raw_path == b"/wpush/v2/abc?x=1"
    told = {name: request.headers.get(name) for name in (
        "host", "ttl", "urgency", "topic", "content-encoding", "content-type", "x-wns-type"
    )}  # fmt: skip
    assert told == {
        "host": MOZILLA,
        "ttl": "86400",
        "urgency": "normal",
        "topic": None,
        "content-encoding": "aes128gcm",
        "content-type": "application/octet-stream",
        "x-wns-type": None,
    }
    assert request.headers["authorization"].startswith("vapid t=")
    assert outcome == Outcome(verdict=V.ACCEPTED, status=201, provider_id="77")


def test_what_the_browser_reads() -> None:
    told, _ = received(
        title="Sale",
        text="Heute nur: -30 % 🎉",
        image_url="https://cdn.example/x.png",
        badge=0,
        category="mm_accept_decline",
        browser_url="https://shop.example/sale",
        custom_payload={"order": 7, "nested": {"ok": True}},
        collapse_key="score",
        thread_id="orders",
        channel_id="promo",
        in_app_style="MODAL",
        application_name="Shop",
    )

    assert told == {
        "title": "Sale",
        "body": "Heute nur: -30 % 🎉",
        "image": "https://cdn.example/x.png",
        "tag": "score",
        "renotify": True,
        "actions": [
            {"action": "mm_accept", "title": "Accept"},
            {"action": "mm_decline", "title": "Decline"},
        ],
        "data": {
            "messageId": str(MESSAGE_ID),
            "url": "https://shop.example/sale",
            "badge": 0,
            "category": "mm_accept_decline",
            "customPayload": {"order": 7, "nested": {"ok": True}},
        },
    }


def test_a_plain_text_says_nothing_else() -> None:
    told, request = received(text="Hi", application_name="Shop")

    assert told == {
        "title": "Shop",
        "body": "Hi",
        "tag": str(MESSAGE_ID),
        "data": {"messageId": str(MESSAGE_ID)},
    }
    assert request.headers["urgency"] == "high"


def test_sound_and_vibration() -> None:
    assert received(text="x", sound="")[0]["silent"] is True
    assert received(text="x", vibrate=False)[0]["vibrate"] == []
    # Browsers throw on both together, and a quiet one must not call again.
    quiet = received(text="x", sound="", vibrate=False, collapse_key="k")[0]
    assert "vibrate" not in quiet
    assert "renotify" not in quiet


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"deep_link": "shop://sale"}, "shop://sale"),
        ({"web_view_url": "https://a.example"}, "https://a.example"),
        ({"browser_url": "https://b.example"}, "https://b.example"),
        ({"deep_link": "shop://sale", "browser_url": "https://b.example"}, "https://b.example"),
    ],
)
def test_a_tap_opens_what_a_browser_can_open_best(given: dict[str, Any], url: str) -> None:
    assert received(text="x", **given)[0]["data"]["url"] == url


@pytest.mark.parametrize("key", ["camp17-889c", "a" * 32])
def test_a_topic_is_the_collapse_key_where_that_can_be_one(key: str) -> None:
    told, request = received(text="x", collapse_key=key)

    assert (told["tag"], request.headers["topic"]) == (key, key)


@pytest.mark.parametrize("key", ["a" * 33, "two words", "два\r\nx: y"])
def test_a_topic_is_a_digest_of_32_letters_where_it_cannot(key: str) -> None:
    told, request = received(text="x", collapse_key=key)

    digest = base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()).decode()
    assert (told["tag"], request.headers["topic"]) == (key, digest[:32])


def test_a_repeat_replaces_its_twin_where_that_is_asked_for() -> None:
    assert received(text="x", replace_twin=True)[1].headers["topic"] == MESSAGE_ID.hex
    assert "topic" not in received(text="x")[1].headers
    both = received(text="x", replace_twin=True, collapse_key="k")[1]
    assert both.headers["topic"] == "k"


@pytest.mark.parametrize(("ttl", "said"), [(0, "0"), (-5, "0"), (30, "30")])
def test_time_to_live_is_what_is_left(ttl: int, said: str) -> None:
    assert received(ttl, text="x")[1].headers["ttl"] == said


def test_microsoft_is_told_what_it_asks_for() -> None:
    wire = Wire()
    browser = Browser("https://wns2-par02p.notify.windows.com/w/?token=BQ%3d")

    send(wire, browser, ttl=60)
    send(wire, browser, ttl=0)

    said = [(r.headers["x-wns-type"], r.headers["x-wns-cache-policy"]) for r in wire.requests]
    assert said == [("wns/raw", "cache"), ("wns/raw", "no-cache")]
    assert wire.requests[0].url.raw_path == b"/w/?token=BQ%3d"


@pytest.mark.parametrize("letter", ["x", "ж", "🎉"], ids=["latin", "cyrillic", "emoji"])
def test_the_largest_body_is_4096_bytes_in_any_script(letter: str) -> None:
    bare = WebPushPayload(PushNotification(text="x")).size() - 1
    room = LARGEST_PLAINTEXT - bare
    width = len(letter.encode())
    text = letter * (room // width) + "x" * (room % width)

    payload = WebPushPayload(PushNotification(text=text))
    _, request = received(text=text)

    assert payload.size() == LARGEST_PLAINTEXT
    assert len(request.content) == LARGEST_BODY
    with pytest.raises(PayloadTooLarge) as refused:  # the body would have 4097 bytes
        WebPushPayload(PushNotification(text=text + "x"))
    assert (refused.value.size, refused.value.limit) == (LARGEST_PLAINTEXT + 1, LARGEST_PLAINTEXT)


def test_a_browser_shows_the_first_picture_of_a_carousel() -> None:
    items = tuple(
        CarouselItem(id=number, headline="x" * 200, image_url=f"https://cdn.example/{number}.png")
        for number in range(20)
    )

    told, _ = received(text="x", carousel=items)

    assert told["image"] == "https://cdn.example/0.png"
    assert "carousel" not in json.dumps(told)


def test_a_text_is_cut_where_its_author_allowed_it() -> None:
    told, request = received(text="ж" * 3000, may_trim=True)

    assert told["body"].endswith("…")
    assert len(request.content) == LARGEST_BODY


def test_the_size_told_is_that_of_what_is_sent() -> None:
    payload = WebPushPayload(PushNotification(title="Größe", text="½ \ud800", deep_link="a:b"))

    assert payload.size() == len(payload.plaintext(MESSAGE_ID))


def test_a_silent_push_is_refused_with_its_remedy() -> None:
    with pytest.raises(NotPossible, match="leave the web out") as refused:
        provider(Wire()).compile(PushNotification(text="x", silent=True))
    assert refused.value.field == "silent"


def test_a_credential_that_cannot_be_one_is_refused_at_once() -> None:
    with pytest.raises(CredentialError):
        WebPushProvider({}, network=Network())


# ------------------------------------------------------------------- what is answered


@pytest.mark.parametrize(
    ("status", "body", "verdict", "cause"),
    [
        (200, None, V.ACCEPTED, C.NONE),
        (201, None, V.ACCEPTED, C.NONE),
        (202, None, V.ACCEPTED, C.NONE),
        (204, None, V.ACCEPTED, C.NONE),
        (301, None, V.REJECTED, C.CLOUD_ERROR),
        (307, None, V.REJECTED, C.CLOUD_ERROR),
        (400, None, V.REJECTED, C.PAYLOAD_REFUSED),
        (400, {"errno": 110}, V.REJECTED, C.PAYLOAD_REFUSED),
        (400, {"errno": 113, "message": "Invalid Topic"}, V.REJECTED, C.PAYLOAD_REFUSED),
        (400, {"reason": "BadTopic"}, V.REJECTED, C.PAYLOAD_REFUSED),
        (400, {"errno": 105}, V.UNREGISTERED, C.UNINSTALLED),
        (401, {"errno": 109}, V.UNREGISTERED, C.MISMATCHED_SENDER),
        (401, None, V.UNREGISTERED, C.MISMATCHED_SENDER),
        (403, {"reason": "BadJwtToken"}, V.UNREGISTERED, C.MISMATCHED_SENDER),
        (400, {"reason": "VapidPkHashMismatch"}, V.UNREGISTERED, C.MISMATCHED_SENDER),
        (404, None, V.UNREGISTERED, C.UNINSTALLED),
        (404, {"errno": 102}, V.UNREGISTERED, C.UNINSTALLED),
        (405, None, V.REJECTED, C.CLOUD_ERROR),
        (410, None, V.UNREGISTERED, C.UNINSTALLED),
        (410, {"errno": 103}, V.UNREGISTERED, C.UNINSTALLED),
        (410, {"errno": 106}, V.UNREGISTERED, C.UNINSTALLED),
        (413, None, V.REJECTED, C.TOO_LARGE),
        (413, {"errno": 104}, V.REJECTED, C.TOO_LARGE),
        (429, None, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (500, None, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (502, {"errno": 902}, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (502, None, V.UNKNOWN, C.NO_ANSWER),
        (502, "<html>Bad gateway</html>", V.UNKNOWN, C.NO_ANSWER),
        (503, None, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (503, {"errno": 201}, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (503, {"errno": 202}, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
        (504, "", V.UNKNOWN, C.NO_ANSWER),
        (599, None, V.TRY_LATER, C.CLOUD_UNAVAILABLE),
    ],
)
def test_each_answer_of_the_contract(
    status: int, body: Any, verdict: Verdict, cause: Cause
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        if isinstance(body, dict):
            return httpx.Response(status, json=body, headers={"location": "https://evil.example"})
        return httpx.Response(status, text=body or "")

    wire = Wire(answer)
    [outcome] = send(wire, Browser())

    assert (outcome.verdict, outcome.cause, outcome.status) == (verdict, cause, status)
    assert outcome.scope is Scope.DEVICE  # another push service is not concerned
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("headers", "body", "seconds", "asked"),
    [
        ({}, {}, 60, False),
        ({"retry-after": "30"}, {}, 30, True),
        ({"retry-after": "Thu, 09 Oct 2025 08:55:00 GMT"}, {}, 100, True),
        ({"retry-after": "soon"}, {}, 60, False),
        ({}, {"errno": 201}, 60, False),
        ({}, {"errno": 202}, 1, True),
    ],
)
def test_how_long_to_wait(
    headers: dict[str, str], body: dict[str, Any], seconds: float, asked: bool
) -> None:
    [outcome] = send(lambda _: httpx.Response(503, headers=headers, json=body), Browser())

    assert (outcome.verdict, outcome.retry_after, outcome.asked) == (V.TRY_LATER, seconds, asked)


def test_the_services_own_words_are_kept() -> None:
    told = {"code": 410, "errno": 106, "error": "Gone", "message": "x"}
    [outcome] = send(lambda _: httpx.Response(410, json=told), Browser())
    assert outcome.reason == "errno 106 Gone"

    [outcome] = send(lambda _: httpx.Response(410, json={"reason": "Unsubscribed"}), Browser())
    assert outcome.reason == "Unsubscribed"

    [outcome] = send(lambda _: httpx.Response(410), Browser())
    assert outcome.reason == "HTTP 410"


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (httpx.ConnectError("x"), V.NOT_SENT),
        (httpx.ConnectTimeout("x"), V.NOT_SENT),
        (httpx.PoolTimeout("x"), V.NOT_SENT),
        (httpx.ReadTimeout("x"), V.UNKNOWN),
        (httpx.ReadError("x"), V.UNKNOWN),
        (httpx.WriteError("x"), V.UNKNOWN),
        (httpx.RemoteProtocolError("x"), V.UNKNOWN),
    ],
)
def test_what_got_no_answer_is_repeated_only_if_it_never_left(
    error: httpx.TransportError, verdict: Verdict
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    [outcome] = send(fail, Browser())

    assert outcome.verdict is verdict


def test_a_host_that_somebody_made_up_is_not_tried_for_ever() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no such name")

    [outcome] = send(fail, Browser("https://made-up.notify.windows.com/x"))

    assert outcome.verdict is V.TRY_LATER  # takes an attempt, unlike NOT_SENT


# ------------------------------------------------------------------- whose fault 403 is


def refuse(paths: set[str]) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403) if request.url.path in paths else stored(request)

    return answer


def on(host: str, *names: str) -> list[Browser]:
    return [Browser(f"https://{host}/{name}") for name in names]


def test_a_key_refused_by_several_subscriptions_of_a_host_is_a_bad_key() -> None:
    outcomes = send(refuse({"/a", "/b"}), *on(MOZILLA, "a", "b"))

    assert [(o.verdict, o.cause) for o in outcomes] == [(V.MISCONFIGURED, C.CREDENTIAL_REFUSED)] * 2


def test_a_bad_key_comes_with_what_to_do_and_a_lost_subscription_does_not() -> None:
    bad = send(refuse({"/a", "/b"}), *on(MOZILLA, "a", "b"))
    [alone] = send(refuse({"/a"}), *on(MOZILLA, "a"))

    assert all("enter the key pair" in one.remedy and MOZILLA in one.remedy for one in bad)
    assert alone.remedy == ""


def test_a_service_that_tells_the_time_shows_that_our_clock_is_wrong() -> None:
    late = {"date": "Thu, 09 Oct 2025 21:53:20 GMT"}

    outcomes = send(lambda _: httpx.Response(401, headers=late), *on(MOZILLA, "a", "b"))

    assert all("780 minutes late" in one.remedy for one in outcomes)


def test_several_may_come_one_by_one() -> None:
    first, again, second = send_windows(
        refuse({"/a", "/b"}), on(MOZILLA, "a"), on(MOZILLA, "a"), on(MOZILLA, "b")
    )

    assert first[0].verdict is V.UNREGISTERED
    assert again[0].verdict is V.UNREGISTERED  # the same one says nothing new
    assert second[0].verdict is V.MISCONFIGURED


def test_one_subscription_of_each_host_is_one_alone() -> None:
    outcomes = send(refuse({"/a"}), *on(MOZILLA, "a"), *on(GOOGLE, "a"))

    assert [o.verdict for o in outcomes] == [V.UNREGISTERED] * 2


def test_a_key_that_others_take_is_good_so_the_rest_were_made_with_another() -> None:
    outcomes = send(refuse({"/a", "/b"}), *on(MOZILLA, "a", "b", "c"))

    assert [(o.verdict, o.cause) for o in outcomes] == [
        (V.UNREGISTERED, C.MISMATCHED_SENDER),
        (V.UNREGISTERED, C.MISMATCHED_SENDER),
        (V.ACCEPTED, C.NONE),
    ]


def test_an_acceptance_clears_an_old_suspicion() -> None:
    _, _, last = send_windows(
        refuse({"/a", "/b"}), on(MOZILLA, "a"), on(MOZILLA, "c"), on(MOZILLA, "b")
    )

    assert last[0].verdict is V.UNREGISTERED


# ------------------------------------------------------------------- one service, many services


def test_a_pause_of_one_host_stops_no_other() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["host"] == MOZILLA:
            return httpx.Response(429, headers={"retry-after": "30"})
        return stored(request)

    wire = Wire(answer)
    mixed = [*on(MOZILLA, "a"), *on(GOOGLE, "a")]

    first, second = send_windows(wire, mixed, mixed)

    assert [o.verdict for o in first] == [V.TRY_LATER, V.ACCEPTED]
    assert [o.verdict for o in second] == [V.NOT_SENT, V.ACCEPTED]
    assert 28 < (second[0].retry_after or 0) <= 30
    assert second[0].status == 0
    assert wire.hosts == [MOZILLA, GOOGLE, GOOGLE]


def test_one_503_is_no_outage_and_three_are() -> None:
    wire = Wire(lambda _: httpx.Response(503))
    windows = [on(MOZILLA, name) for name in "abcd"]

    outcomes = send_windows(wire, *windows)

    assert [o.verdict for [o] in outcomes] == [V.TRY_LATER] * 3 + [V.NOT_SENT]
    assert len(wire.requests) == 3


def test_failures_between_answers_are_no_outage() -> None:
    wire = Wire(refuse_every_other())

    outcomes = send_windows(wire, *[on(MOZILLA, str(number)) for number in range(12)])

    assert len(wire.requests) == 12
    assert [o.verdict for [o] in outcomes] == [V.TRY_LATER, V.ACCEPTED] * 6


def refuse_every_other() -> Answer:
    turns = iter(range(10**6))

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503) if next(turns) % 2 == 0 else stored(request)

    return answer


def test_a_host_without_a_connection_rests_longer_and_longer() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    wire = Wire(fail)
    outcomes = send_windows(wire, *[on(MOZILLA, str(number)) for number in range(5)])

    assert len(wire.requests) == 3
    assert [o.verdict for [o] in outcomes] == [V.NOT_SENT] * 5
    assert [o.retry_after is None for [o] in outcomes] == [True] * 3 + [False] * 2


def test_messages_leave_at_the_pace_of_their_host() -> None:
    sent: list[float] = []

    async def work() -> None:
        def note(request: httpx.Request) -> httpx.Response:
            sent.append(asyncio.get_running_loop().time())
            return stored(request)

        web = WebPushProvider(
            make_vapid(), network=Network(), rate=100, transport=httpx.MockTransport(note)
        )
        begun = asyncio.get_running_loop().time()
        await web.send(addressed([Browser() for _ in range(6)])[1])
        sent.insert(0, begun)
        await web.close()

    asyncio.run(work())

    begun, *moments = sent
    assert all(at >= begun + place / 100 - 0.001 for place, at in enumerate(moments))


def test_more_hosts_than_can_be_kept_are_served_all_the_same() -> None:
    wire = Wire()
    browsers = [Browser(f"https://h{number}.notify.windows.com/x") for number in range(230)]

    outcomes = send_windows(wire, browsers[:115], browsers[115:])

    assert {o.verdict for window in outcomes for o in window} == {V.ACCEPTED}


def test_outcomes_stand_in_the_order_of_the_window() -> None:
    browsers = [*on(MOZILLA, "gone"), Browser("https://evil.example/x"), *on(GOOGLE, "ok")]

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(410) if request.url.path == "/gone" else stored(request)

    outcomes = send(answer, *browsers)

    assert [o.verdict for o in outcomes] == [V.UNREGISTERED, V.REJECTED, V.ACCEPTED]
    assert send(answer) == []


# ------------------------------------------------------------------- where nothing is sent


@pytest.mark.parametrize(
    "endpoint", ["http://fcm.googleapis.com/x", "https://127.0.0.1/x", "https://evil.example/x"]
)
def test_an_endpoint_that_may_not_be_called_is_not(endpoint: str) -> None:
    wire = Wire()

    [outcome] = send(wire, Browser(endpoint))

    assert (outcome.verdict, outcome.cause) == (V.REJECTED, C.MALFORMED_TOKEN)
    assert wire.requests == []
    assert endpoint not in outcome.reason


@pytest.mark.parametrize(
    "addresses", [["10.0.0.5"], ["127.0.0.1"], ["8.8.8.8", "169.254.169.254"], ["::1"]]
)
def test_a_known_name_that_leads_inside_is_not_connected_to(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    async def work() -> list[Outcome]:
        web = WebPushProvider(make_vapid(), network=Network())
        try:
            return await web.send(addressed([Browser()])[1])
        finally:
            await web.close()

    [outcome] = asyncio.run(work())

    assert (outcome.verdict, outcome.cause) == (V.REJECTED, C.MALFORMED_TOKEN)
    assert "private network" in outcome.reason


def test_a_redirect_is_not_followed() -> None:
    wire = Wire(lambda _: httpx.Response(308, headers={"location": "https://evil.example/"}))

    [outcome] = send(wire, Browser())

    assert outcome.verdict is V.REJECTED
    assert wire.hosts == [MOZILLA]


# ------------------------------------------------------------------- the test of a credential


def tried(answer: Answer) -> Outcome:
    async def work() -> Outcome:
        web = provider(answer)
        try:
            return await web.test()
        finally:
            await web.close()

    return asyncio.run(work())


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_credential_works_when_only_the_subscription_is_refused(status: int) -> None:
    outcome = tried(lambda _: httpx.Response(status))

    assert outcome.verdict is V.ACCEPTED
    assert str(status) in outcome.reason


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(401, V.MISCONFIGURED), (403, V.MISCONFIGURED), (503, V.TRY_LATER), (405, V.REJECTED)],
)
def test_a_credential_fails_its_test(status: int, verdict: Verdict) -> None:
    assert tried(lambda _: httpx.Response(status)).verdict is verdict


@pytest.mark.parametrize(
    ("date", "verdict", "words"),
    [
        ("Thu, 09 Oct 2025 08:53:20 GMT", V.ACCEPTED, ""),
        ("Thu, 09 Oct 2025 09:53:20 GMT", V.ACCEPTED, ""),  # tokens are good for twelve hours
        ("Thu, 09 Oct 2025 20:53:20 GMT", V.MISCONFIGURED, "720 minutes late"),
        ("Wed, 08 Oct 2025 20:53:20 GMT", V.MISCONFIGURED, "720 minutes ahead"),
        ("yesterday", V.ACCEPTED, ""),
    ],
)
def test_a_credential_fails_its_test_where_our_clock_spoils_it(
    date: str, verdict: Verdict, words: str
) -> None:
    outcome = tried(lambda _: httpx.Response(404, headers={"date": date}))

    assert outcome.verdict is verdict
    assert words in outcome.remedy
    assert bool(outcome.remedy) == bool(words)
