"""api.insider.sending: whom it reaches, and what it answers. Sections: contract/insider.md."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from campaigns.models import Bulk, Chunk, Destination, PushApiCampaign, PushApiSend
from devices.models import Address, Application, Environment, Person, Platform
from tests.api.insider import (
    BOTH,
    KEY,
    SEND,
    Caller,
    caller,
    connect,
    make_ana,
    make_insider_key,
    notification,
    sample,
    seen,
    shop,
)
from tests.factories import make_application, make_person, make_registration

__all__ = ["caller", "shop"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def test_the_sample_of_the_vendors_page(shop: Application, caller: Caller) -> None:
    person = make_person(
        email="example@gmail.com",
        first_name="Ana",
        last_name="Horvat",
        gender=Person.Gender.FEMALE,
        birthday=date(1990, 11, 22),
        preferred_language="hr",
        attributes={"sms_optin": False, "carrier": "Mybrand"},
    )
    device = make_registration(
        shop,
        platform=Platform.IOS,
        person=person,
        language="hr-HR",
        model="iPhone15,2",
        timezone_offset=60,
        attributes={"screen_width": 393},
    )
    versions = {"app_version": "4.10", "os_version": "17.1", "sdk_version": "12.0"}
    Address.objects.filter(pk=device.pk).update(environment="sandbox", **versions)
    shop.credentials.filter(provider="apns").update(environment=Environment.SANDBOX)

    with time_machine.travel("2026-11-21T12:00:00Z", tick=False):
        answer = caller.post("/api/v2/notification/user", sample())

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == {
        "successes": [
            {
                "INSIDER.carrier": "Mybrand",
                "INSIDER.idfa": None,
                "INSIDER.name": "Ana",
                "INSIDER.surname": "Horvat",
                "INSIDER.gender": "F",
                "INSIDER.age": 35,
                "INSIDER.birthday": "1990-11-22T00:00:00Z",
                "INSIDER.email": "example@gmail.com",
                "INSIDER.phone_number": None,
                "INSIDER.language": "hr",
                "INSIDER.email_optin": True,
                "INSIDER.sms_optin": False,
                "INSIDER.push_optin": True,
                "INSIDER.location_optin": False,
                "INSIDER.insider_id": str(person.pk),
                "INSIDER.environment": "development",
                "INSIDER.device_token": device.address.token,
                "INSIDER.udid": str(device.address.public_id),
                "INSIDER.model": "iPhone15,2",
                "INSIDER.app_version": "4.10",
                "INSIDER.os_version": "17.1",
                "INSIDER.screen_width": 393,
                "INSIDER.screen_height": None,
                "INSIDER.platform": "iOS",
                "INSIDER.timezone": "GMT+01:00",
                "INSIDER.device_language": "hr-HR",
                "INSIDER.sdk_version": "12.0",
                "INSIDER.last_ip": None,
                "INSIDER.package_name": "com.example.shop",
            }
        ],
        "errors": {},
        "optin": {"total": 1, "optin_count": 1, "optout_count": 0},
    }
    assert list(answer.json()["successes"][0]) == list(dict.fromkeys(sample()["report_attributes"]))


def test_the_answer_of_the_vendors_page(shop: Application, caller: Caller) -> None:
    """S4's sample answer: one who is reached, one whom nobody knows."""
    known = make_person(
        email="sample@mail.com", phone="651234567891", attributes={"carrier": "Mybrand"}
    )
    make_registration(shop, person=known, token="1a2b3c4d5e6f")

    answer = caller.send(
        notification(identifiers={"INSIDER.email": "sample@mail.com"}),
        notification(identifiers={"INSIDER.email": "sample2@mail.com"}),
        report_attributes=[
            "INSIDER.carrier",
            "INSIDER.device_token",
            "INSIDER.email",
            "INSIDER.phone_number",
        ],
    )

    assert answer.json() == {
        "successes": [
            {
                "INSIDER.carrier": "Mybrand",
                "INSIDER.device_token": "1a2b3c4d5e6f",
                "INSIDER.email": "sample@mail.com",
                "INSIDER.phone_number": "+651234567891",
            }
        ],
        "errors": {"NoUserFound": [{"INSIDER.email": "sample2@mail.com"}]},
    }


def test_without_report_attributes_a_success_names_the_token(
    shop: Application, caller: Caller
) -> None:
    device = make_ana(shop)

    assert caller.send(notification()).json() == {
        "successes": [{"INSIDER.device_token": device.address.token}],
        "errors": {},
    }


def test_attributes_nobody_knows_are_null_and_none_is_told_twice(
    shop: Application, caller: Caller
) -> None:
    make_ana(shop)
    asked = ["INSIDER.shoe_size", "email", "INSIDER.email", "INSIDER.email"]

    answer = caller.send(notification(), report_attributes=asked)

    assert answer.json()["successes"] == [
        {"INSIDER.shoe_size": None, "email": None, "INSIDER.email": "ana@example.com"}
    ]
    assert caller.send(notification(), report_attributes=[]).json()["successes"] == [{}]


@pytest.mark.parametrize(
    "identifiers",
    [
        {"email": "Ana@Example.com"},
        {"INSIDER.email": "ana@example.com"},
        {"phone_number": "+385981234567"},
        {"INSIDER.phone_number": "385981234567"},
        {"uuid": "ana"},
        {"INSIDER.uuid": "ana"},
        {"loyalty": "L-1"},
        {"member": 17},
        {"email": "nobody@example.com", "phone_number": "+9059713551597135123", "uuid": "ana"},
    ],
)
def test_somebody_is_found_by_whatever_names_them(
    shop: Application, caller: Caller, identifiers: dict[str, Any]
) -> None:
    device = make_ana(shop)
    Person.objects.update(attributes={"loyalty": "L-1", "member": 17})
    make_person(external_id="bea", attributes={"loyalty": "L-2"})

    answer = caller.send(notification(identifiers=identifiers)).json()

    assert answer["successes"] == [{"INSIDER.device_token": device.address.token}]


def test_the_first_identifier_that_fits_decides(shop: Application, caller: Caller) -> None:
    make_ana(shop)
    bea = make_registration(shop, person=make_person(external_id="bea"))

    answer = caller.send(notification(identifiers={"uuid": "bea", "email": "ana@example.com"}))

    assert answer.json()["successes"] == [{"INSIDER.device_token": bea.address.token}]


def test_an_attribute_of_several_people_names_nobody(shop: Application, caller: Caller) -> None:
    for name in ("ana", "bea"):
        person = make_person(external_id=name, attributes={"city": "Split"})
        make_registration(shop, person=person)

    answer = caller.send(notification(identifiers={"city": "Split"}))

    assert answer.json()["errors"] == {"NoUserFound": [{"city": "Split"}]}


def test_a_push_goes_to_the_device_that_was_used_last(shop: Application, caller: Caller) -> None:
    courier = make_application()
    connect(courier, *BOTH)
    old = make_ana(shop)
    assert old.person is not None
    newest = make_registration(courier, person=old.person)
    newer = make_registration(shop, person=old.person)
    for device, days_ago in ((old, 3), (newest, 1), (newer, 2)):
        seen(device, days_ago=days_ago)

    def reached() -> list[int]:
        caller.send(notification())
        return list(Chunk.objects.order_by("pk").values_list("recipients", flat=True))[-1]

    assert reached() == [newest.pk]
    seen(newer, days_ago=1)
    seen(old, days_ago=0)
    assert reached() == [old.pk]
    at = timezone.now()
    Address.objects.update(last_contact_at=at)
    assert reached() == [newer.pk]  # of equals the newest


def test_a_key_of_one_application_reaches_its_devices_alone(caller: Caller) -> None:
    shop, courier = make_application(), make_application()
    for each in (shop, courier):
        connect(each, *BOTH)
    make_insider_key(shop)
    device = make_ana(courier)

    assert caller.send(notification()).json()["errors"] == {"NoUserFound": [{"uuid": "ana"}]}
    mine = make_registration(shop, person=device.person)
    seen(mine, days_ago=5)
    assert caller.send(notification()).json()["errors"] == {}


def test_a_send_is_a_bulk_with_its_destination_and_an_urgent_chunk(
    shop: Application, caller: Caller
) -> None:
    device = make_ana(shop)

    with time_machine.travel("2026-11-21T12:00:00Z", tick=False):
        caller.send(notification(ttl=3600))

    bulk, chunk = Bulk.objects.get(), Chunk.objects.get()
    assert (bulk.origin, bulk.status, bulk.ttl, bulk.audience) == ("insider", "sending", 3600, 1)
    assert (chunk.bulk_id, chunk.urgent, chunk.recipients) == (bulk.pk, True, [device.pk])
    destination, sent = Destination.objects.get(), PushApiSend.objects.get()
    assert destination.registration_id == device.pk
    assert (sent.message_id, sent.bulk_id) == (destination.message_from, bulk.pk)
    assert (sent.person_id, sent.application_id) == (device.person_id, shop.pk)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(None, 2_419_200), (0, 2_419_200), (1, 30), (60, 60), (10**40, 2_419_200)],
)
def test_how_long_a_push_may_take(
    shop: Application, caller: Caller, asked: int | None, seconds: int
) -> None:
    make_ana(shop)
    caller.send(notification(ttl=asked))

    assert Bulk.objects.get().ttl == seconds


def test_equal_pushes_of_a_platform_are_one_bulk(shop: Application, caller: Caller) -> None:
    for name, platform in (("a", BOTH[0]), ("b", BOTH[1]), ("c", BOTH[0])):
        make_registration(shop, platform=platform, person=make_person(external_id=name))

    answer = caller.send(
        *(notification(identifiers={"uuid": name}) for name in ("a", "b", "c", "a")),
        notification(identifiers={"uuid": "c"}, title="Another"),
    )

    assert len(answer.json()["successes"]) == 5
    audiences = sorted(Bulk.objects.values_list("audience", flat=True))
    assert audiences == [1, 1, 1, 2]  # c's other title; b on iOS; a once more; a and c
    assert len(set(PushApiSend.objects.values_list("message_id", flat=True))) == 5


def test_an_asynchronous_request_is_accepted_without_a_list(
    shop: Application, caller: Caller
) -> None:
    make_ana(shop)

    answer = caller.send(notification(), **{"async": True})

    assert (answer.status_code, answer.json()) == (202, {"message": "Async request accepted"})
    assert Bulk.objects.count() == 1


def test_sends_of_one_number_are_one_campaign_that_shows_the_latest(
    shop: Application, caller: Caller
) -> None:
    make_ana(shop)
    links = {"deep_link": {"ins_dl_external": "https://shop.example/sale"}}

    caller.send(notification())
    caller.send(notification(camp_name="Sale", title="Sale", android=links))
    caller.send(notification(camp_id=8))

    shown = PushApiCampaign.objects.order_by("camp_id").values_list("camp_id", "name", "deep_link")
    assert list(shown) == [(7, "Sale", links["deep_link"]), (8, "Back in stock", {})]
    first, second = PushApiCampaign.objects.order_by("camp_id")
    assert (first.sends.count(), second.sends.count()) == (2, 1)
    assert first.last_sent_at > first.created_at


def test_what_reached_nobody_makes_a_campaign_but_changes_none(
    shop: Application, caller: Caller
) -> None:
    make_ana(shop)
    nobody = {"identifiers": {"uuid": "nobody"}, "title": "Never sent"}

    caller.send(notification(), notification(**nobody))
    caller.send(notification(**nobody), notification(camp_id=8, **nobody))

    shown = PushApiCampaign.objects.order_by("camp_id").values_list("camp_id", "title")
    assert list(shown) == [(7, "Back in stock"), (8, "Never sent")]


def test_a_request_costs_the_same_queries_for_twenty_as_for_one(
    shop: Application, caller: Caller, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        make_registration(shop, person=make_person(external_id=f"p{number}"))

    def ask(count: int) -> None:
        each = [notification(identifiers={"uuid": f"p{n}"}) for n in range(count)]
        assert len(caller.send(*each).json()["successes"]) == count

    ask(1)
    with django_assert_num_queries(13):
        ask(1)
    with django_assert_num_queries(13):
        ask(20)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_repeated_call_with_a_key_gets_the_first_answer(
    shop: Application, caller: Caller, asynchronous: bool
) -> None:
    make_ana(shop)
    body = {"api_key": KEY, "notifications": [notification()], "async": asynchronous}
    header = {"Idempotency-Key": "order-7"}

    first, again = (caller.post(SEND, body, **header) for _ in range(2))

    assert first.status_code == again.status_code == (202 if asynchronous else 200)
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Bulk.objects.count() == 1
    other = caller.post(SEND, {**body, "report_attributes": []}, **header)
    assert (other.status_code, other.json()["error"]) == (400, "invalid_payload")
    assert "Idempotency-Key" in other.json()["message"]


@pytest.mark.django_db(transaction=True)
def test_fifty_repeats_at_once_send_one_push(shop: Application) -> None:
    make_ana(shop)
    body = {"api_key": KEY, "notifications": [notification()]}

    together = Barrier(50)

    def ask(_: int) -> tuple[int, bytes]:
        together.wait()
        try:
            answer = Caller().post(SEND, body, **{"Idempotency-Key": "order-7"})
            return answer.status_code, answer.content
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as callers:
        ((status, _),) = set(callers.map(ask, range(50)))

    assert status == 200
    assert Bulk.objects.count() == PushApiSend.objects.count() == 1


def test_what_cannot_be_read_sends_nothing(shop: Application, caller: Caller) -> None:
    make_ana(shop)
    bad = notification(camp_id=0)

    assert caller.send(notification(), bad).status_code == 400
    assert json.loads(caller.send(notification(), bad).content)["error"] == "negative_integer"
    assert not Bulk.objects.exists()
    assert not PushApiCampaign.objects.exists()
