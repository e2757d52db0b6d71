"""api.sdk: what web pages and apps with our own receiver meet. Source: providers.md 7.2."""

import gzip
import json
import uuid
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from api import auth, endpoint
from campaigns import ids, reports
from campaigns.models import Bulk, Message
from campaigns.store import store
from devices import attributes, subscriptions
from devices.models import Address, Application, Platform, Provider, Registration
from tests.api import documented
from tests.factories import (
    make_application,
    make_bulk,
    make_credential,
    make_registration,
    make_subscription,
    vapid_key,
)

pytestmark = pytest.mark.django_db

RECEIPTS = "/sdk/1/receipts"
SUBSCRIPTIONS = "/sdk/1/subscriptions"
ORIGIN = "https://shop.example"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    connected = store()
    yield
    auth._known.clear()
    attributes._known.clear()
    connected.flushdb()


class Page:
    """A page of a shop, or its service worker: calls with its application's code."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.headers = {"Authorization": f"App {application.code}", "Origin": ORIGIN}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body) if body is not None else ""
        answer = self.client.generic(
            method, path, data, content_type="application/json", headers={**self.headers, **headers}
        )
        documented.check(method, path, answer, body)
        return answer

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def subscribe(self, caller: str = "", **members: Any) -> Any:
        headers = {"pushregistrationid": caller} if caller else {}
        told = {"subscription": json.loads(make_subscription()), **members}
        return self.post(SUBSCRIPTIONS, told, **headers)


@pytest.fixture
def page() -> Page:
    return Page(make_application())


def refusal(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def assert_refused(answer: Any, status: int, code: str, message: str) -> None:
    assert (answer.status_code, answer.json()) == (status, refusal(code, message))
    assert answer["Access-Control-Allow-Origin"] == "*"  # or the page could not read why


def sent(bulk: Bulk, registration: Registration) -> Message:
    """A message that its cloud has accepted."""
    return Message.objects.create(
        pk=ids.message_id(bulk, registration.pk),
        bulk=bulk,
        registration_id=registration.pk,
        sent_at=timezone.now(),
        state=Message.State.ACCEPTED,
        platform=registration.platform,
    )


def fold() -> None:
    reports.consume(seconds=0.05)


# ------------------------------------------------------------------- who calls, from where


@pytest.mark.parametrize("path", [RECEIPTS, SUBSCRIPTIONS])
def test_a_call_without_a_code_is_refused(page: Page, path: str) -> None:
    answer = page.post(path, b"{", Authorization="")

    assert_refused(answer, 401, "APP_CODE_MISSING", "Application code missing")


@pytest.mark.parametrize("path", [RECEIPTS, SUBSCRIPTIONS])
def test_a_page_of_any_origin_may_ask_before_it_calls(client: Client, path: str) -> None:
    answer = client.options(
        path, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    )

    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Access-Control-Allow-Methods"] == "GET, POST"
    allowed = answer["Access-Control-Allow-Headers"].split(", ")
    assert {"authorization", "content-type", "pushregistrationid"} <= {*allowed}
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_cookies_are_neither_needed_nor_set(page: Page) -> None:
    answer = page.subscribe()

    assert answer.status_code == 200
    assert not answer.cookies
    assert "Cookie" not in answer.headers.get("Vary", "")


@pytest.mark.parametrize("path", ["/sdk", "/sdk/", "/sdk/2/receipts", "/sdk/1/receipts/"])
def test_an_unknown_path_answers_in_the_words_of_the_family(page: Page, path: str) -> None:
    assert_refused(page.post(path, {}), 404, "NOT_FOUND", "There is nothing at this path")


def test_an_unknown_method_names_the_known_ones(page: Page) -> None:
    answer = page.call("DELETE", SUBSCRIPTIONS)

    assert_refused(answer, 405, "METHOD_NOT_ALLOWED", "This path answers GET, POST")


# ------------------------------------------------------------------- receipts


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("delivered", Message.State.DELIVERED),
        ("seen", Message.State.SEEN),
        ("dismissed", Message.State.SEEN),
        ("opened", Message.State.CLICKED),
    ],
)
def test_a_receipt_moves_its_message_on(page: Page, kind: str, state: Message.State) -> None:
    device = make_registration(page.application, platform=Platform.WEB)
    message = sent(make_bulk(page.application, status=Bulk.Status.SENDING), device)
    event = {"id": str(message.pk), "kind": kind, "ago_ms": 0}

    caller = str(device.address.public_id)
    answer = page.post(RECEIPTS, {"events": [event]}, pushregistrationid=caller)
    fold()

    assert (answer.status_code, answer.content) == (204, b"")
    message.refresh_from_db()
    assert message.state == state


def test_times_are_counted_back_from_now_so_that_wrong_clocks_do_no_harm(page: Page) -> None:
    device = make_registration(page.application, platform=Platform.WEB)
    bulk = make_bulk(
        page.application, status=Bulk.Status.SENDING, starts_at=timezone.now() - timedelta(hours=2)
    )
    message, before = sent(bulk, device), timezone.now()

    events = [
        {"id": str(message.pk), "kind": "opened", "ago_ms": -5000},  # the clock was set back
        {"id": str(message.pk), "kind": "delivered", "ago_ms": 3_600_000},
    ]
    page.post(RECEIPTS, {"events": events})
    fold()

    message.refresh_from_db()
    assert message.delivered_at is not None
    assert message.clicked_at is not None
    late = timedelta(seconds=30)
    assert timedelta() <= message.delivered_at - (before - timedelta(hours=1)) < late
    assert timedelta() <= message.clicked_at - before + timedelta(milliseconds=1) < late


def test_a_time_before_the_campaign_is_that_of_a_wrong_clock(page: Page) -> None:
    device = make_registration(page.application, platform=Platform.WEB)
    bulk = make_bulk(page.application, status=Bulk.Status.SENDING)
    message = sent(bulk, device)

    page.post(
        RECEIPTS, {"events": [{"id": str(message.pk), "kind": "delivered", "ago_ms": 10**30}]}
    )
    fold()

    message.refresh_from_db()
    assert message.delivered_at == bulk.starts_at


def test_repeats_and_strange_ids_are_passed_over(page: Page) -> None:
    device = make_registration(page.application, platform=Platform.WEB)
    message = sent(make_bulk(page.application, status=Bulk.Status.SENDING), device)
    event = {"id": str(message.pk), "kind": "delivered"}
    strange = [
        {"id": str(uuid.uuid4()), "kind": "opened"},
        {"id": "no id", "kind": "opened"},
        {"id": "", "kind": "seen"},
    ]

    for _ in range(2):
        assert page.post(RECEIPTS, {"events": [event, *strange, event]}).status_code == 204
    fold()

    message.refresh_from_db()
    assert message.state == Message.State.DELIVERED


def test_nobody_speaks_for_the_message_of_another_device(page: Page) -> None:
    bulk = make_bulk(page.application, status=Bulk.Status.SENDING)
    mine, theirs = (make_registration(page.application, platform=Platform.WEB) for _ in range(2))
    message = sent(bulk, theirs)
    event = {"id": str(message.pk), "kind": "opened"}

    page.post(RECEIPTS, {"events": [event]}, pushregistrationid=str(mine.address.public_id))
    Page(make_application()).post(RECEIPTS, {"events": [event]})
    fold()

    message.refresh_from_db()
    assert message.state == Message.State.ACCEPTED


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "events should be given"),
        ({"events": {}}, "events should be array"),
        ({"events": [{"id": 7, "kind": "seen"}]}, "events.0.id should be string"),
        (
            {"events": [{"id": "x", "kind": "eaten"}]},
            "events.0.kind should be delivered, seen, opened or dismissed",
        ),
        (
            {"events": [{"id": "x", "kind": "seen", "ago_ms": "1"}]},
            "events.0.ago_ms should be integer",
        ),
        (
            {"events": [{"id": "x", "kind": "seen"}] * 101},
            "events should be array of at most 100 members",
        ),
    ],
)
def test_receipts_that_cannot_be_read_name_the_member(
    page: Page, body: dict[str, Any], message: str
) -> None:
    assert_refused(page.post(RECEIPTS, body), 400, "BAD_REQUEST", message)
    assert store().xlen(reports.STREAM) == 0


# ------------------------------------------------------------------- gzip


def test_receipts_may_come_zipped(page: Page) -> None:
    device = make_registration(page.application, platform=Platform.WEB)
    message = sent(make_bulk(page.application, status=Bulk.Status.SENDING), device)
    body = json.dumps({"events": [{"id": str(message.pk), "kind": "seen"}]}).encode()

    answer = page.post(RECEIPTS, gzip.compress(body), **{"Content-Encoding": "gzip"})
    fold()

    assert answer.status_code == 204
    message.refresh_from_db()
    assert message.state == Message.State.SEEN


@pytest.mark.parametrize("encoding", ["GZIP", "x-gzip", " gzip "])
def test_gzip_has_more_than_one_name(page: Page, encoding: str) -> None:
    body = gzip.compress(b'{"events":[]}')

    assert page.post(RECEIPTS, body, **{"Content-Encoding": encoding}).status_code == 204


@pytest.mark.parametrize("encoding", ["deflate", "br", "gzip, gzip"])
def test_what_we_cannot_unpack_is_refused_by_its_header(page: Page, encoding: str) -> None:
    answer = page.post(RECEIPTS, b"\x78\x9c", **{"Content-Encoding": encoding})

    assert_refused(answer, 400, "BAD_REQUEST", "Content-Encoding should be gzip, or left out")


def test_json_may_begin_with_a_byte_order_mark(page: Page) -> None:
    assert page.post(RECEIPTS, b'\xef\xbb\xbf{"events":[]}').status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"events":[]}', 400, "Request body should be gzip, as it says"),
        (zlib.compress(b'{"events":[]}'), 400, "Request body should be gzip, as it says"),
        (gzip.compress(b'{"events":[]}')[:-9], 400, "Request body should arrive completely"),
        (b"", 400, "Request body should arrive completely"),
        (gzip.compress(b" " * 50 * 2**20), 413, "Request body should be at most 1048576 bytes"),
    ],
    ids=["plain", "deflate", "cut", "empty", "bomb"],
)
def test_what_is_no_gzip_or_too_much_of_it_is_refused(
    page: Page, body: bytes, status: int, message: str
) -> None:
    answer = page.post(RECEIPTS, body, **{"Content-Encoding": "gzip"})

    assert_refused(answer, status, "BAD_REQUEST", message)


@pytest.mark.parametrize("path", [RECEIPTS, SUBSCRIPTIONS])
def test_a_body_over_the_limit_is_refused_unread(page: Page, path: str) -> None:
    answer = page.post(path, b" " * (endpoint.BODY_LIMIT + 1))

    assert_refused(answer, 413, "BAD_REQUEST", "Request body should be at most 1048576 bytes")


def test_the_limit_holds_for_what_comes_out(page: Page) -> None:
    body = b'{"events":[]}'.ljust(endpoint.BODY_LIMIT)

    answer = page.post(RECEIPTS, gzip.compress(body), **{"Content-Encoding": "gzip"})

    assert answer.status_code == 204


# ------------------------------------------------------------------- subscriptions


def test_a_page_learns_the_key_to_subscribe_with(page: Page) -> None:
    make_credential(page.application, Provider.WEBPUSH)

    assert page.call("GET", SUBSCRIPTIONS).json() == {"publicKey": vapid_key()["public_key"]}


@pytest.mark.parametrize("credential", [None, {"enabled": False}])
def test_without_a_key_in_use_the_page_is_told_where_to_make_one(
    page: Page, credential: dict[str, Any] | None
) -> None:
    if credential is not None:
        make_credential(page.application, Provider.WEBPUSH, **credential)

    sentence = "This application has no credential for Web Push: add one under Settings"
    assert_refused(page.call("GET", SUBSCRIPTIONS), 404, "NO_CREDENTIAL", sentence)


def test_a_browser_is_registered_with_what_it_says_of_itself(page: Page) -> None:
    kept = make_subscription()

    answer = page.post(
        SUBSCRIPTIONS,
        {
            "subscription": {**json.loads(kept), "expirationTime": None},
            "language": "de-DE",
            "timezoneOffset": 120,
            "browser": "Firefox",
            "os": "Windows",
            "osVersion": "11",
            "appVersion": "1.16.0",
            "sdkVersion": "1.0.0",
            "customAttributes": {"member": True},
        },
    )

    assert answer.status_code == 200
    address = Address.objects.get(public_id=answer.json()["registrationId"])
    device = address.registration
    assert (address.provider, address.token) == (Provider.WEBPUSH, kept)
    told = (device.platform, device.language, device.timezone_offset, device.model)
    assert told == (Platform.WEB, "de-DE", 120, "Firefox")
    assert (device.manufacturer, address.os_version, address.app_version, address.sdk_version) == (
        "Windows", "11", "1.16.0", "1.0.0",
    )  # fmt: skip
    assert device.attributes == {"member": True}
    assert device.enabled
    assert device.notifications_enabled


def test_what_a_later_call_leaves_out_stays_as_it_is(page: Page) -> None:
    first = page.subscribe(language="de", timezoneOffset=60).json()["registrationId"]
    renewed = json.loads(make_subscription())

    second = page.subscribe(first, subscription=renewed).json()["registrationId"]

    assert second == first
    address = Address.objects.get(public_id=first)
    assert subscriptions.endpoint_of(address.token) == renewed["endpoint"]
    assert (address.registration.language, address.registration.timezone_offset) == ("de", 60)


def test_the_same_browser_is_one_device_however_often_it_comes(page: Page) -> None:
    told = json.loads(make_subscription())

    ids_given = {page.subscribe(subscription=told).json()["registrationId"] for _ in range(3)}

    assert len(ids_given) == 1
    assert Registration.objects.count() == 1


def test_a_browser_that_was_gone_is_opened_again(page: Page) -> None:
    told = json.loads(make_subscription())
    page.subscribe(subscription=told)
    Address.objects.update(closed_at=timezone.now(), closed_reason=Address.Closed.UNINSTALLED)
    Registration.objects.update(enabled=False)

    page.subscribe(subscription=told)

    address = Address.objects.get()
    assert address.closed_at is None
    assert address.registration.enabled


def test_who_withdraws_its_subscription_is_reached_no_more(page: Page) -> None:
    caller = page.subscribe().json()["registrationId"]

    answer = page.post(SUBSCRIPTIONS, {"subscription": None}, pushregistrationid=caller)

    assert answer.json() == {"registrationId": caller}
    address = Address.objects.get(public_id=caller)
    assert address.token == ""
    assert not address.registration.notifications_enabled


def test_a_registration_that_we_lost_is_made_anew(page: Page) -> None:
    lost = str(uuid.uuid4())

    given = page.subscribe(lost).json()["registrationId"]

    assert given != lost
    assert Registration.objects.count() == 1


def test_a_phone_does_not_become_a_browser(page: Page) -> None:
    phone = make_registration(page.application)
    caller, token = str(phone.address.public_id), phone.address.token

    given = page.subscribe(caller).json()["registrationId"]
    withdrawn = page.post(SUBSCRIPTIONS, {"subscription": None}, pushregistrationid=caller)

    assert given != caller
    assert withdrawn.status_code == 404
    phone.refresh_from_db()
    assert (phone.platform, phone.address.token) == (Platform.ANDROID, token)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"subscription": "x"}, "subscription should be object"),
        (
            {"subscription": {"endpoint": "https://evil.example/x", "keys": {}}},
            "subscription.endpoint should be on a push service that this installation knows",
        ),
        (
            {"subscription": {"endpoint": "https://127.0.0.1/x", "keys": {}}},
            "subscription.endpoint should be at a host with a name, not an address in digits",
        ),
        (
            {"subscription": {"endpoint": "http://fcm.googleapis.com/x", "keys": {}}},
            "subscription.endpoint should be an https:// address as the browser gave it, port 443",
        ),
        (
            {"subscription": {"endpoint": "https://fcm.googleapis.com/x"}},
            "subscription.keys should be an object with p256dh and auth",
        ),
        (
            {"subscription": {"endpoint": "https://fcm.googleapis.com/x", "keys": {"auth": "x"}}},
            "subscription.keys.auth should be 16 bytes in base64url",
        ),
        (
            {"subscription": None},
            "subscription should be an object, unless pushregistrationid says whose it was",
        ),
        ({"timezoneOffset": 900}, "timezoneOffset should be minutes east of UTC, at most 840"),
        ({"language": "d\0e"}, "language should be a string without NUL"),
        ({"customAttributes": {"x": [1]}}, None),
    ],
)
def test_a_subscription_that_cannot_be_kept_names_the_member(
    page: Page, members: dict[str, Any], message: str | None
) -> None:
    answer = page.subscribe(**members)

    if message is None:  # the words are those of devices.attributes
        told = answer.json()["error"]
        assert (answer.status_code, told["code"]) == (400, "BAD_REQUEST")
        assert told["message"].startswith("customAttributes.x should be ")
    else:
        assert_refused(answer, 400, "BAD_REQUEST", message)
    assert not Registration.objects.exists()


def test_nobody_withdraws_the_subscription_of_an_unknown_device(page: Page) -> None:
    answer = page.post(SUBSCRIPTIONS, {"subscription": None}, pushregistrationid=str(uuid.uuid4()))

    assert_refused(answer, 404, "NO_REGISTRATION", "Registration not found")


def test_a_device_of_another_application_is_unknown_here(page: Page) -> None:
    caller = page.subscribe().json()["registrationId"]

    answer = Page(make_application()).post(
        SUBSCRIPTIONS, {"subscription": None}, pushregistrationid=caller
    )

    assert answer.status_code == 404
    assert Address.objects.get(public_id=caller).token
