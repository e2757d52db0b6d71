"""api.insider.statistics, message_center. Sections: contract/insider.md 7, 8."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from api.insider.statistics import rate
from campaigns import push_api
from campaigns.models import Message, PushApiSend
from devices.models import ApiKey, Platform, Registration
from tests.api.insider import (
    KEY,
    MESSAGES,
    STATISTICS,
    Caller,
    connect,
    make_insider_key,
    notification,
)
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

NOON = "2026-11-21T12:00:00Z"
BAD_KEY = {
    "error": "bad_api_key",
    "message": (
        "'api_key' is either empty or wrong. You can get your API key from Insider Dashboard"
    ),
}


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def ana(caller: Caller) -> Registration:
    make_insider_key()
    shop = make_application()
    connect(shop, Platform.ANDROID)
    return make_registration(shop, person=make_person(external_id="ana", email="ana@example.com"))


def ended(send: PushApiSend, state: Message.State) -> None:
    Message.objects.create(
        id=send.message_id,
        bulk_id=send.bulk_id,
        registration_id=1,
        sent_at=send.sent_at,
        state=state,
        platform=Platform.ANDROID,
    )


def statistics(caller: Caller) -> Any:
    answer = caller.post(STATISTICS, {"api_key": KEY})
    assert answer.status_code == 200
    return answer.json()


def test_the_answer_of_the_vendors_page(ana: Registration, caller: Caller) -> None:
    link = {"deep_link": {"dl_key1": "value1"}}
    push = notification(
        camp_id=5125,
        camp_name="My app push name",
        title="This is my title",
        message="This is my message",
        image_url="https://example.com/i.jpg",
        android=link,
    )
    with time_machine.travel(NOON, tick=False):
        caller.send(*[push] * 3)
        states = (Message.State.DELIVERED, Message.State.SEEN, Message.State.FAILED)
        for send, state in zip(PushApiSend.objects.order_by("pk"), states, strict=True):
            ended(send, state)

        assert statistics(caller) == {
            "campaigns": [
                {
                    "id": 5125,
                    "name": "My app push name",
                    "delivery_count": 2,
                    "session_count": 1,
                    "open_rate": "% 50.00",
                    "message": "This is my message",
                    "title": "This is my title",
                    "segment_name": "",
                    "deep_link": {"dl_key1": "value1"},
                    "push_image": "https://example.com/i.jpg",
                }
            ],
            "total_camp_count": 1,
            "total_delivery_count": 2,
            "total_session_count": 1,
            "total_open_rate": "% 50.00",
        }


def test_an_account_without_campaigns(ana: Registration, caller: Caller) -> None:
    assert statistics(caller) == {
        "campaigns": [],
        "total_camp_count": 0,
        "total_delivery_count": 0,
        "total_session_count": 0,
        "total_open_rate": "% 0.00",
    }


def test_who_opens_twice_is_one_user(ana: Registration, caller: Caller) -> None:
    make_registration(ana.application, person=make_person(external_id="bea"))
    bea = notification(identifiers={"uuid": "bea"})
    with time_machine.travel(NOON, tick=False):
        caller.send(notification(), notification(), bea, notification(camp_id=8))
        for send in PushApiSend.objects.all():
            ended(send, Message.State.CLICKED)
        told = statistics(caller)

    assert [each["id"] for each in told["campaigns"]] == [7, 8]
    assert [each["session_count"] for each in told["campaigns"]] == [2, 1]
    assert (told["total_delivery_count"], told["total_session_count"]) == (4, 3)
    assert told["total_open_rate"] == "% 75.00"


def test_only_campaigns_that_began_today_are_told(ana: Registration, caller: Caller) -> None:
    with time_machine.travel("2026-11-20T23:59:59.999Z", tick=False):
        caller.send(notification())
    with time_machine.travel("2026-11-21T00:00:00Z", tick=False) as clock:
        caller.send(notification(), notification(camp_id=8))
        assert [each["id"] for each in statistics(caller)["campaigns"]] == [8]
        clock.move_to("2026-11-22T00:00:00Z")
        assert statistics(caller)["campaigns"] == []


def test_a_key_of_one_application_is_told_of_that_one(ana: Registration, caller: Caller) -> None:
    caller.send(notification())
    other = make_application()
    ApiKey.objects.update(application=other)

    assert statistics(caller)["campaigns"] == []
    assert caller.post(MESSAGES, {"identifiers": {"UUID": "ana"}}, **HEADER).json() == []


@pytest.mark.parametrize(
    ("opened", "delivered", "text"),
    [
        (0, 0, "% 0.00"),
        (1085, 1_640_069, "% 0.07"),
        (1337, 1_000_000, "% 0.13"),
        (1, 8, "% 12.50"),
        (125, 100_000, "% 0.13"),  # half is rounded up
        (5, 5, "% 100.00"),
    ],
)
def test_a_rate_is_written_as_the_vendor_does(opened: int, delivered: int, text: str) -> None:
    assert rate(opened, delivered) == text


@pytest.mark.parametrize("body", [{}, {"api_key": ""}, {"api_key": None}])
def test_an_empty_key_is_told_in_plain_text(caller: Caller, body: dict[str, Any]) -> None:
    answer = caller.post(STATISTICS, body)

    assert (answer.status_code, answer.content) == (401, b"Api key can not be empty.")
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_a_wrong_key(caller: Caller) -> None:
    answer = caller.post(STATISTICS, {"api_key": "wrong"})

    assert (answer.status_code, answer.json()) == (401, {"error": "Bad Api Key."})


# ------------------------------------------------------------------- message centre

HEADER = {"X-INSIDER-API-KEY": KEY}


def at(moment: datetime) -> int:
    return int(moment.timestamp())


def test_the_pushes_of_a_person_newest_first(ana: Registration, caller: Caller) -> None:
    links = {"deep_link": {"ins_dl_internal": "https://shop.example/sale"}}
    image = "https://shop.example/a.jpg"
    with time_machine.travel("2023-05-10T19:08:39Z", tick=False) as clock:
        caller.send(notification(camp_id=897, android=links, image_url=image))
        clock.shift(timedelta(minutes=1))
        caller.send(notification(camp_id=898, title="Sale"))
    older, newer = PushApiSend.objects.order_by("pk")

    answer = caller.post(MESSAGES, {"identifiers": {"UUID": "ana"}}, **HEADER)

    assert (answer.status_code, answer.json()) == (
        200,
        [
            {
                "camp_id": 898,
                "camp_type": "Single Push",
                "created_at": "2023-05-10T19:09:39Z",
                "deep_links": {},
                "image_url": "",
                "message": "Your size is here again.",
                "title": "Sale",
                "variant_id": newer.bulk_id,
            },
            {
                "camp_id": 897,
                "camp_type": "Single Push",
                "created_at": "2023-05-10T19:08:39Z",
                "deep_links": {"ins_dl_internal": "https://shop.example/sale"},
                "image_url": "https://shop.example/a.jpg",
                "message": "Your size is here again.",
                "title": "Back in stock",
                "variant_id": older.bulk_id,
            },
        ],
    )


def test_pushes_are_chosen_by_time_and_number(ana: Registration, caller: Caller) -> None:
    first = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    with time_machine.travel(first, tick=False) as clock:
        for number in range(1, 5):
            caller.send(notification(camp_id=number))
            clock.shift(60)

    def numbers(**given: int) -> list[int]:
        body = {"identifiers": {"Email": "ana@example.com"}, **given}
        return [each["camp_id"] for each in caller.post(MESSAGES, body, **HEADER).json()]

    assert numbers() == [4, 3, 2, 1]
    assert numbers(limit=2) == [4, 3]
    assert numbers(start_date=at(first) + 60) == [4, 3, 2]
    assert numbers(end_date=at(first) + 60) == [2, 1]
    assert numbers(start_date=at(first) + 60, end_date=at(first) + 60, limit=100) == [2]


def test_somebody_nobody_knows_has_no_messages(ana: Registration, caller: Caller) -> None:
    body = {"identifiers": {"Phone Number": "+385911111111"}}

    assert caller.post(MESSAGES, body, **HEADER).json() == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"start_date": 2, "end_date": 1}, b"bad payload"),
        ({"start_date": -1}, b"bad payload"),
        ({"end_date": 10**12}, b"bad payload"),
        ({"start_date": "today"}, b"bad payload"),
        ({"identifiers": {}}, b"bad payload"),
        ({"identifiers": None}, b"bad payload"),
        ({"identifiers": {"UUID": ["ana"]}}, b"bad payload"),
        ({"limit": "5"}, b"bad payload"),
        ({"limit": 0}, b"limit should be between 1 and 100."),
        ({"limit": 101}, b"limit should be between 1 and 100."),
    ],
)
def test_what_is_wrong_with_a_question(
    ana: Registration, caller: Caller, given: dict[str, Any], says: bytes
) -> None:
    answer = caller.post(MESSAGES, {"identifiers": {"UUID": "ana"}, **given}, **HEADER)

    assert (answer.status_code, answer.content) == (400, says)
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 10_000])
def test_a_question_that_is_no_object(ana: Registration, caller: Caller, body: bytes) -> None:
    answer = caller.post(MESSAGES, body, **HEADER)

    assert (answer.status_code, answer.content) == (400, b"bad payload")


@pytest.mark.parametrize("headers", [{}, {"X-INSIDER-API-KEY": "wrong"}])
def test_the_key_stands_in_the_header(caller: Caller, headers: dict[str, str]) -> None:
    answer = caller.post(MESSAGES, {"api_key": KEY, "identifiers": {"UUID": "ana"}}, **headers)

    assert (answer.status_code, answer.json()) == (401, BAD_KEY)


# ------------------------------------------------------------------- retention


def test_sends_are_kept_as_long_as_messages(
    ana: Registration, caller: Caller, settings: Any
) -> None:
    settings.MESSAGE_RETENTION_DAYS = 30
    with time_machine.travel(NOON, tick=False) as clock:
        caller.send(notification())
        clock.shift(timedelta(days=29))
        caller.send(notification())
        assert push_api.drop_old() == 0
        clock.shift(timedelta(days=2))
        assert push_api.drop_old() == 1
    assert PushApiSend.objects.count() == 1
