"""What all calls of Infobip's SDK share, and what single ones of them report and read.

Sections: contract/mobile-sdk.md 1.1 to 1.3, 4.2, 4.3, 4.5.
"""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from api import endpoint
from campaigns import ids
from campaigns.models import InboxMessage, Message
from devices.models import Person, Registration
from tests.api.apps import DEVICE, INSTANCES, App, assert_refused, refusal, token
from tests.api.phones import fold_receipts
from tests.api.sdk_devices import JDOE, path, registration
from tests.factories import make_application, make_bulk, make_registration

__all__ = ["path"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

ANDROID = {
    "User-Agent": "Infobip Mobile API Client/15.1.0(Android;14;Pixel 8)",
    "Accept": "application/json",
    "applicationcode": "0123456789",
    "installationid": "5c2a9a3e-1f0b-4d8e-9a41-0d6b5e2f7c10",
    "foreground": "true",
    "sessionId": "8621824c-86b2-41f7-bf6f-20d3b1426005_1700000000000",
}
IOS = {
    **ANDROID,
    "User-Agent": "MobileMessaging/15.5.2(iOS;17.4;iPhone15,2)",
    "foreground": "false",
}


# ------------------------------------------------------------------- headers: 1.1


@pytest.mark.parametrize("headers", [ANDROID, IOS], ids=["Android", "iOS"])
def test_every_header_of_an_sdk_may_come(app: App, path: str, headers: dict[str, str]) -> None:
    before = app.call("GET", path).json()

    answer = app.call("GET", path, pushregistrationid=before["pushRegId"], **headers)

    assert (answer.status_code, answer.json()) == (200, before)


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_names_of_headers_have_no_case(app: App, path: str, spelling: Any) -> None:
    headers = {
        spelling("authorization"): app.headers["Authorization"],
        spelling("pushregistrationid"): path.rpartition("/")[2],
        spelling("x-http-method-override"): "PATCH",
    }

    answer = app.client.post(path, {"language": "de"}, "application/json", headers=headers)

    assert (answer.status_code, answer.json()) == (200, {})
    assert registration(path).language == "de"


@pytest.mark.parametrize("kind", ["", "application/json", "application/json; charset=UTF-8"])
def test_a_post_without_a_body_needs_no_content_type(app: App, path: str, kind: str) -> None:
    app.post(f"{path}/personalize", JDOE)
    headers = {**app.headers, "pushregistrationid": path.rpartition("/")[2]}

    parted = app.client.generic("POST", f"{path}/depersonalize", b"", kind, headers=headers)
    sync = "/mobile/5/messages?platformType=GCM"
    fetched = app.client.generic("POST", sync, b"", kind, headers=headers)

    assert (parted.status_code, parted.json()) == (200, {})
    assert (fetched.status_code, fetched.json()) == (200, {"payloads": []})


# ------------------------------------------------------------------- answers: 1.2, 1.3


def test_each_answer_is_json_of_a_known_length_without_compression(app: App, path: str) -> None:
    zipped = {"Accept-Encoding": "gzip, deflate, br"}
    for method, each, status in (
        ("GET", path, 200),
        ("GET", f"{path}/user?ri=1", 200),
        ("POST", f"{path}/depersonalize", 200),
        ("GET", "/mobile/1/baseurl", 200),
        ("GET", f"{INSTANCES}/shoe", 404),
        ("DELETE", INSTANCES, 405),
        ("POST", INSTANCES, 400),
    ):
        answer = app.call(method, each, **zipped)

        assert answer.status_code == status
        assert answer["Content-Type"] == "application/json"
        assert int(answer["Content-Length"]) == len(answer.content) > 0
        assert not {"Content-Encoding", "Transfer-Encoding"} & set(answer.headers)


def test_every_answer_says_where_to_call_from_now_on(app: App, path: str, settings: Any) -> None:
    settings.NEW_BASE_URL = "https://push.example.com"
    too_long = b" " * (endpoint.BODY_LIMIT + 1)

    for status, answer in (
        (200, app.call("GET", path)),
        (200, app.post("/mobile/1/messages/deliveryreport", {"dlrIds": []})),
        (400, app.post(INSTANCES, b"{")),
        (401, app.post(INSTANCES, DEVICE, Authorization="")),
        (404, app.call("GET", f"{INSTANCES}/shoe")),
        (404, app.call("GET", "/mobile/9/moon")),
        (405, app.call("DELETE", INSTANCES)),
        (413, app.post(INSTANCES, too_long)),
    ):
        assert (answer.status_code, answer["New-Base-URL"]) == (status, "https://push.example.com")


@pytest.mark.parametrize(("error", "status"), [(OperationalError, 503), (RuntimeError, 500)])
def test_also_a_fault_says_where_to_call_from_now_on(
    app: App, settings: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: int
) -> None:
    settings.NEW_BASE_URL = "https://push.example.com"

    def broken(*args: Any, **kwargs: Any) -> None:
        raise error("gone")

    monkeypatch.setattr(connection, "cursor", broken)
    answer = app.post(INSTANCES, DEVICE)

    assert (answer.status_code, answer["New-Base-URL"]) == (status, "https://push.example.com")
    assert int(answer["Content-Length"]) == len(answer.content)


def test_every_error_has_its_whole_body(app: App, path: str) -> None:
    """Those that need more than a wrong call stand in test_mobile_people and test_user_tokens."""
    missing = (404, "NO_REGISTRATION", "Registration not found")
    unknown = {"pushregistrationid": str(uuid.uuid4())}
    user, invalid = f"{path}/user", "Invalid cloud type: use one of GCM, HMS, APNS"
    wrong_cloud = {"pushServiceType": "APNS", "os": "Android"}
    for answer, (status, code, text) in (
        (app.post(INSTANCES, DEVICE, Authorization="App x"), (401, "1", "Invalid Application Id")),
        (
            app.post(INSTANCES, DEVICE, Authorization="Basic eDp5"),
            (401, "APP_CODE_MISSING", "Application code missing"),
        ),
        (app.call("GET", f"{INSTANCES}/{uuid.uuid4()}"), missing),
        (
            app.post("/mobile/5/messages?platformType=GCM", {}, **unknown),
            (400, "NO_REGISTRATION", "Registration not found"),
        ),
        (
            app.post(f"{path}/personalize", {"userIdentity": {}}),
            (
                400, "USER_IDENTITY_INVALID",
                "UserIdentity does not have any identity field set",
            ),
        ),
        (
            app.call("PATCH", user, {"phones": [{"number": "1"}]}),
            (
                400, "PHONE_INVALID",
                "Invalid phone number: 1 (5 to 15 digits beginning with a country code)",
            ),
        ),
        (
            app.call("PATCH", user, {"emails": [{"address": "a@"}]}),
            (400, "EMAIL_INVALID", "Invalid email: a@"),
        ),
        (
            app.call("PATCH", user, {"tags": "x"}),
            (400, "REQUEST_FORMAT_INVALID", "tags should be array"),
        ),
        (app.call("GET", user, Authorization="Bearer x"), (401, "UNAUTHORIZED", "Unauthorized")),
        (app.post("/mobile/5/messages?platformType=WNS", {}), (400, "2", invalid)),
        (
            app.post(INSTANCES, wrong_cloud),
            (400, "4", "Unsupported cloud type: APNS does not reach Android"),
        ),
    ):  # fmt: skip
        assert_refused(answer, status, code, text)


# ------------------------------------------------------------------- receipts: 4.2, 4.3


def sent(app: App, device: Registration) -> Message:
    """A message that its cloud has accepted an hour ago."""
    bulk = make_bulk(app.application, starts_at=timezone.now() - timedelta(hours=1))
    return Message.objects.create(
        pk=ids.message_id(bulk, device.pk), bulk=bulk, registration=device,
        sent_at=bulk.starts_at, state=Message.State.ACCEPTED, platform=device.platform,
    )  # fmt: skip


def test_an_extension_that_knows_no_registration_reports_within_its_application(
    app: App, path: str
) -> None:
    mine = sent(app, registration(path))
    other = App(make_application())
    theirs = sent(other, make_registration(other.application))

    body = {"dlrIds": [str(mine.pk), str(theirs.pk), str(uuid.uuid4()), "shoe"]}
    answer = app.post("/mobile/1/messages/deliveryreport", body)
    fold_receipts()

    assert (answer.status_code, answer.json()) == (200, {})
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.state, theirs.state) == (Message.State.DELIVERED, Message.State.ACCEPTED)


def test_what_was_seen_was_delivered_and_stays_as_it_was_first_told(app: App, path: str) -> None:
    message = sent(app, registration(path))

    for delta in (120, 5, None):
        told = {"messageId": str(message.pk), "timestampDelta": delta}
        answer = app.post("/mobile/2/messages/seen", {"messages": [told]})
        assert (answer.status_code, answer.json()) == (200, {})
        fold_receipts()

    message.refresh_from_db()
    assert message.state == Message.State.SEEN
    assert message.seen_at is not None
    assert message.delivered_at == message.seen_at
    assert timezone.now() - message.seen_at > timedelta(seconds=110)


# ------------------------------------------------------------------- inbox: 4.5


@pytest.fixture
def copies(app: App, path: str) -> list[str]:
    """The ids of 21 messages in somebody's inbox, newest first; every other one was seen."""
    person, device = Person.objects.create(), registration(path)
    person.identities.create(kind=1, value="jdoe")
    found = []
    for number in range(21):
        at = timezone.now() - timedelta(minutes=number)
        content = {"language": "", "variant": 0, "text": str(number), "inbox_topic": "offers"}
        bulk = make_bulk(app.application, starts_at=at, content=[content], bulk_id=f"b-{number}")
        InboxMessage.objects.create(
            person=person, registration=device, bulk=bulk, topic="offers", sent_at=at,
            expires_at=timezone.now() + timedelta(days=1), seen_at=at if number % 2 else None,
        )  # fmt: skip
        found.append(str(ids.message_id(bulk, device.pk)))
    return found


@pytest.mark.parametrize(
    ("query", "shown"),
    [("", 20), ("?limit=", 20), ("?limit=1", 1), ("?limit=0", 0), ("?limit=999999999999999", 21)],
)
def test_an_inbox_has_a_limit_and_always_both_counts(
    app: App, copies: list[str], query: str, shown: int
) -> None:
    answer = app.call("GET", f"/mobile/1/user/jdoe/inbox/gcm/messages{query}").json()

    found = [each["gcm.notification.messageId"] for each in answer.pop("messages")]
    assert answer == {"countTotal": 21, "countUnread": 11}
    assert found == copies[:shown]


def test_an_inbox_says_of_each_copy_whether_it_was_seen(app: App, copies: list[str]) -> None:
    answer = app.call("GET", "/mobile/1/user/jdoe/inbox/apns/messages?messageTopic=offers").json()

    seen = {each["messageId"]: each["internalData"]["inbox"] for each in answer.pop("messages")}
    assert answer == {
        "countTotal": 21, "countUnread": 11, "countTotalFiltered": 21, "countUnreadFiltered": 11,
    }  # fmt: skip
    assert seen == {
        each: {"topic": "offers", "seen": bool(number % 2)}
        for number, each in enumerate(copies[:20])
    }


# ------------------------------------------------------------------- huge, deep, foreign


HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("method", "place", "body"),
    [
        ("POST", "", b'{"os":"iOS","customAttributes":{"x":%s}}'),
        ("PATCH", "/{id}", b'{"customAttributes":{"x":%s}}'),
        ("POST", "/{id}/personalize",
         b'{"userIdentity":{"externalUserId":"a"},"userAttributes":{"customAttributes":{"x":%s}}}'),
        ("PATCH", "/{id}/user", b'{"customAttributes":{"x":%s}}'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", [HUGE, f"-{HUGE}", f"1{'0' * 400}.5", "1e400", "-1e400"])
def test_a_number_too_large_is_named_and_nothing_is_kept(
    app: App, path: str, method: str, place: str, body: bytes, number: str
) -> None:
    before = app.call("GET", f"{path}/user?ri=1").json()
    where = INSTANCES + place.format(id=path.rpartition("/")[2])

    answer = app.call(method, where, body % number.encode())

    told = answer.json()
    assert answer.status_code == 400, told
    code, text = told["requestError"]["serviceException"].values()
    assert (code, told) == ("REQUEST_FORMAT_INVALID", refusal(code, text))
    assert "customAttributes" in text or text == "Request body should be valid JSON"
    assert app.call("GET", f"{path}/user?ri=1").json() == before
    assert Registration.objects.count() == 1


ENCODED = json.dumps({"firstName": "Żółw", "os": "iOS"}, ensure_ascii=False)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1250"])
@pytest.mark.parametrize(("method", "place"), [("POST", ""), ("PATCH", "/{id}/user")])
def test_a_body_in_another_encoding_is_refused(
    app: App, path: str, method: str, place: str, encoding: str
) -> None:
    where = INSTANCES + place.format(id=path.rpartition("/")[2])

    answer = app.call(method, where, ENCODED.encode(encoding))

    text = "Request body should be valid JSON"
    assert_refused(answer, 400, "REQUEST_FORMAT_INVALID", text)


CALLS = [
    ("GET", ""), ("PATCH", ""), ("POST", "/personalize"), ("POST", "/repersonalize"),
    ("POST", "/depersonalize"), ("GET", "/user"), ("PATCH", "/user"),
    ("POST", "/user/events/session"), ("POST", "/user/events/custom"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "call"), CALLS)
def test_a_device_of_another_application_is_not_there(
    app: App, path: str, method: str, call: str
) -> None:
    app.post(f"{path}/personalize", JDOE)
    before = app.call("GET", f"{path}/user?ri=1&rt=1").json()
    stranger = App(make_application())
    body = {**JDOE, "firstName": "Eve", "events": [], "pushServiceToken": token()}

    answer = stranger.call(method, f"{path}{call}", None if method == "GET" else body)

    assert_refused(answer, 404, "NO_REGISTRATION", "Registration not found")
    assert app.call("GET", f"{path}/user?ri=1&rt=1").json() == before
