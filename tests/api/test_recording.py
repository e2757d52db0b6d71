"""api.recording, campaigns.calls, and the pages that show calls."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from campaigns import calls, failover
from campaigns.models import Journey, RecordedCall, Scenario
from campaigns.store import store
from devices.models import Application, Platform, Provider, Role
from tests.api.pushing import to
from tests.api.sending import carry_out, send
from tests.api.systems import System, make_key
from tests.factories import (
    make_application,
    make_credential,
    make_gateway,
    make_person,
    make_registration,
    make_registrations,
    signed_in,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]
SEND = "/push/3/messages"
PHONE = "+4915112345678"


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    _see_anew()
    yield
    _see_anew()


def _see_anew() -> None:
    for timer in threading.enumerate():  # what a call of another test set off is over
        if isinstance(timer, threading.Timer) and timer.function is calls.flush:
            timer.join()
    store().delete(calls.STREAM)
    calls._sample = calls._Sample()
    calls._sample.planned = True  # tests write by themselves, and not after a second


@pytest.fixture
def system() -> System:
    make_key(name="Order system", scopes=["mobile-app-messaging:manage"])
    return System()


@pytest.fixture
def application() -> Application:
    return make_application()


def recorded() -> list[RecordedCall]:
    """What web processes saw is written, and kept."""
    calls.flush()
    calls._sample.planned = True
    calls.consume(seconds=60)
    return list(RecordedCall.objects.order_by("pk"))


def page_of(client: Client, application: Application, query: str = "") -> str:
    answer = client.get(reverse("campaigns:calls", args=[application.pk]) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_call_is_kept_as_it_came_and_was_answered(
    system: System, application: Application
) -> None:
    (name,) = send(system, application, to(make_registration(application)), bulk_id="b-1")

    [call] = recorded()

    assert (call.application, call.caller) == (application, "Order system (key-of-a…)")
    assert (call.method, call.path, call.status) == ("POST", SEND, 200)
    assert '"text": "Order shipped"' in call.body
    assert f'"messageId": "{name}"' in call.answer
    assert {name, "b-1"} <= set(call.names)
    assert call.request_id
    assert application.code not in call.body


def test_nothing_that_opens_a_door_or_names_a_person_is_kept(
    system: System, application: Application
) -> None:
    person = make_person(phone=PHONE.removeprefix("+"), email="ana@shop.example")
    make_registration(application, person=person)
    secret = "sk_live_Zq83nfhaKqpW"
    body = {
        "messages": [
            {
                "sender": application.code,
                "destinations": [
                    {"type": "PHONE_NUMBER", "phoneNumber": PHONE},
                    {"type": "EMAIL", "email": "ana@shop.example"},
                ],
                "content": {"type": "TEXT", "text": f"Ana, call {PHONE}"},
                "options": {"customPayload": {"apiKey": secret, "pin_token": 1234567}},
            }
        ]
    }
    assert system.post(SEND, body).status_code == 200
    system.get(f"/push/3/logs?destination={PHONE}&token={secret}")
    insider = {"api_key": secret, "notifications": [], "phone_number": 4915112345678}
    system.post("/api/v2/notification/user", insider)
    system.post(SEND, b'{"password": "' + secret.encode() + b'"')

    kept = recorded()

    assert len(kept) == 4
    for call in kept:
        text = call.path + call.body + call.answer + call.caller
        for private in (secret, PHONE, PHONE[1:], "ana@shop.example", "1234567", "key-of-a-shop"):
            assert private not in text, call
    assert '"type": "EMAIL"' in kept[0].body, "everything else stays readable"


def test_calls_that_are_refused_are_kept_with_why(system: System, application: Application) -> None:
    System(key="nobody's").get("/push/3/reports")
    system.post(SEND, {"messages": []})
    system.get("/push/nowhere")

    first, second, third = recorded()

    assert (first.status, first.caller, first.application) == (401, "", None)
    assert (second.status, second.caller) == (400, "Order system (key-of-a…)")
    assert "must not be empty" in second.answer
    assert third.status == 404


def test_calls_of_phones_and_insider_are_kept(application: Application) -> None:
    phone = Client(headers={"Authorization": f"App {application.code}"})
    phone.put("/mobile/1/messages/deliveryreport")
    make_key("key-of-insider", name="Insider", family="insider", scopes=[])
    System().post("/api/v2/notification/user", {"api_key": "key-of-insider", "notifications": []})

    mobile, insider = recorded()

    assert mobile.application == application
    assert insider.caller == "Insider"
    assert "key-of-insider" not in insider.body


def test_pages_of_the_dashboard_are_no_calls(application: Application) -> None:
    page_of(signed_in(application, Role.ADMINISTRATOR), application)

    assert recorded() == []


def test_of_many_calls_in_a_second_a_few_are_kept(system: System) -> None:
    for _ in range(calls.OF_SYSTEMS + 15):
        system.get("/push/1/applications")
        system.get("/push/nowhere")

    kept = recorded()

    assert [call.status for call in kept].count(200) == calls.OF_SYSTEMS
    assert [call.status for call in kept].count(404) == calls.OF_SYSTEMS
    system.get("/push/1/applications")
    assert len(recorded()) == len(kept) + 1, "the next second has room again"


def test_the_newest_of_each_application_are_kept(system: System, settings: Any) -> None:
    settings.API_CALLS_KEPT = 3
    shops = [make_application(), make_application()]
    for shop in shops:
        for _ in range(5):
            send(system, shop, to(make_registration(shop)))

    kept = recorded()

    assert [call.application for call in kept] == [shops[0]] * 3 + [shops[1]] * 3
    assert max(call.pk for call in kept) == RecordedCall.objects.latest("pk").pk


def test_long_and_broken_bodies_are_cut(system: System) -> None:
    system.post(SEND, b'{"x": "' + b"\xff" * 100_000 + b'"}')
    system.post(SEND, b"\0[")
    system.post(SEND, b"[" * 30_000)

    kept = recorded()

    assert [call.status for call in kept] == [400, 400, 400]
    assert all(len(call.body) <= calls.LONGEST for call in kept)


def test_half_a_letter_keeps_no_call_from_being_kept(system: System) -> None:
    """JSON can name what UTF-8 cannot write; the calls after it would wait for ever."""
    half = "\\ud800"
    body = f'{{"messages": [{{"sender": "{half}", "bulkId": "{half}"}}], "{half}": "{half}"}}'
    system.post(SEND, body.encode())
    system.get("/push/3/reports")

    first, second = recorded()

    assert (first.status, second.path) == (400, "/push/3/reports")
    assert '"sender": "?"' in first.body
    assert "?" in first.names


def test_without_the_store_calls_are_answered_and_not_kept(system: System, settings: Any) -> None:
    settings.STORE_URL = "unix:///nowhere/at/all"

    calls.note(calls.Seen(0.0, None, "", "GET", "/", "", 200, 1, "", "", ""))
    calls.flush()

    assert not RecordedCall.objects.exists()


def test_where_no_calls_are_kept_none_is_seen(settings: Any) -> None:
    settings.API_CALLS_KEPT = 0

    System().get("/push/nowhere")

    assert recorded() == []


def test_seeing_a_call_asks_the_database_nothing(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(0):
        System().get("/push/nowhere")


# ------------------------------------------------------------------- pages


def test_calls_are_found_by_ids_status_path_and_key(
    system: System, application: Application
) -> None:
    (name,) = send(system, application, to(make_registration(application)), bulk_id="b-1")
    system.post(SEND, {"messages": [{"sender": application.code}]})
    recorded()
    client = signed_in(application, Role.ADMINISTRATOR)

    def found(query: str) -> int:
        return page_of(client, application, query).count("row-link")

    assert found("") == 2
    assert found(f"?q={name}") == found("?q=b-1") == found("?status=ok") == 1
    assert found("?status=refused") == 1
    assert found("?q=PUSH/3") == found("?q=order+sys") == 2
    assert found("?q=nothing") == found("?status=failed") == 0
    assert found("?q=%00&status=x") == 2


@pytest.mark.parametrize("platform", [Platform.ANDROID, Platform.IOS])
def test_a_call_shows_what_the_cloud_gets(
    system: System, application: Application, platform: Platform
) -> None:
    provider = Provider.FCM if platform == Platform.ANDROID else Provider.APNS
    make_credential(application, provider)
    device = make_registration(application, platform=platform)
    send(system, application, to(device))
    carry_out()
    [call] = recorded()

    address = reverse("campaigns:call", args=[application.pk, call.pk])
    page = signed_in(application, Role.ADMINISTRATOR).get(address).content.decode()

    assert "What the cloud gets" in page
    assert page.count("Order shipped") == 2, "as it was asked, and as it is posted"
    assert device.address.token not in page
    assert "Accepted" in page


def test_why_there_is_no_payload_is_said(system: System, application: Application) -> None:
    device = make_registration(application)
    send(system, application, to(device))
    [call] = recorded()
    client, address = (
        signed_in(application, Role.ADMINISTRATOR),
        reverse("campaigns:call", args=[application.pk, call.pk]),
    )

    assert "has no credential for this platform" in client.get(address).content.decode()


@pytest.mark.parametrize("shape", ["infobip", "infobip_v2", "twilio"])
def test_a_call_by_a_scenario_shows_what_each_step_sends(
    application: Application, shape: str
) -> None:
    make_key("key-of-a-router", name="Router", scopes=["message:send"])
    make_credential(application)
    gateway = make_gateway(application, shape=shape, account_sid="AC17", auth_token="s3cret")
    device = make_registration(application, person=make_person(phone=PHONE.removeprefix("+")))
    steps = [
        {"channel": "PUSH", "sender": application.code, "validity": 3600},
        {"channel": "SMS", "sender": "InfoSMS"},
    ]
    Scenario.objects.create(key="A" * 32, name="", steps=steps, default=True)
    body = {
        "bulkId": "b-7",
        "destinations": [{"to": {"phoneNumber": PHONE}}],
        "push": {"text": f"Your order, {PHONE}"},
        "sms": {"text": f"Order for {PHONE}"},
    }
    assert System(key="key-of-a-router").post("/omni/1/advanced", body).status_code == 200
    [call] = recorded()
    assert call.application == application
    address = reverse("campaigns:call", args=[application.pk, call.pk])
    client = signed_in(application, Role.ADMINISTRATOR)

    first = client.get(address).content.decode()
    Journey.objects.update(deadline=timezone.now())
    failover.advance()
    both = client.get(address).content.decode()

    assert "What the cloud gets: Android, step 1 of 2" in first
    assert "What the gateway gets" not in first
    assert "What the gateway gets: SMS, step 2 of 2" in both
    assert both.count("Order for [masked]") == 2, "as it was asked, and as it is posted"
    for private in (PHONE.removeprefix("+"), device.address.token, gateway.data["callback"]):
        assert private not in both


def test_calls_of_phones_take_no_place_of_those_of_systems(
    system: System, application: Application, settings: Any
) -> None:
    settings.API_CALLS_KEPT = 2
    phone = Client(headers={"Authorization": f"App {application.code}"})
    send(system, application, to(make_registration(application)))
    for _ in range(4):
        phone.put("/mobile/1/messages/deliveryreport")

    kept = recorded()

    assert [call.path for call in kept] == [SEND, *["/mobile/1/messages/deliveryreport"] * 2]
    client = signed_in(application, Role.ADMINISTRATOR)
    assert page_of(client, application, "?from=systems").count("row-link") == 1
    assert page_of(client, application, "?from=apps").count("row-link") == 2
    assert page_of(client, application, "?from=x").count("row-link") == 3


def test_a_call_that_is_too_long_to_be_kept_whole_is_known_by_its_sender_and_ids(
    system: System, application: Application
) -> None:
    devices = make_registrations(application, 250)
    names = send(system, application, *(to(each) for each in devices), bulk_id="b-8")

    [call] = recorded()

    assert not call.body.endswith("}")
    assert not call.answer.endswith("}")
    assert call.application == application
    assert {"b-8", names[0]} <= set(call.names)


def test_only_those_who_see_settings_see_calls_and_only_of_their_application(
    system: System, application: Application
) -> None:
    send(system, application, to(make_registration(application)))
    system.get("/push/1/applications")
    mine, everybodys = recorded()
    other = make_application()

    def status(role: Role, shop: Application, call: RecordedCall) -> int:
        address = reverse("campaigns:call", args=[shop.pk, call.pk])
        return signed_in(shop, role).get(address).status_code

    assert status(Role.MARKETER, application, mine) == 403
    assert status(Role.DEVELOPER, application, mine) == 200
    assert status(Role.DEVELOPER, application, everybodys) == 404
    assert status(Role.ADMINISTRATOR, application, everybodys) == 200
    assert status(Role.ADMINISTRATOR, other, mine) == 404
    assert page_of(signed_in(other, Role.ADMINISTRATOR), other).count("row-link") == 1


def test_a_call_to_an_application_that_was_deleted_keeps_nobody_waiting(
    application: Application,
) -> None:
    gone = calls.Seen(0.0, application.pk, "", "GET", "/sdk/1/x", "", 200, 1, "", "", "")
    calls.note(gone)
    calls.note(gone._replace(application=None))
    store().xadd(calls.STREAM, {"r": '["of another version"]'})
    application.delete()

    assert [call.application for call in recorded()] == [None, None]
    assert store().xlen(calls.STREAM) == 0


def test_the_stream_is_bounded(system: System) -> None:
    system.get("/push/nowhere")
    calls.flush()

    assert store().xlen(calls.STREAM) == 1
    assert calls.MOST_WAITING < 10_000
