"""api.infobip.webhooks: who is told what, in which words. Sections: contract/push.md."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.infobip import webhooks
from campaigns import ids, inbound, ledger, outbox
from campaigns.inbound import Note
from campaigns.ledger import Row
from campaigns.models import (
    Bulk,
    FlowDestination,
    Message,
    Reason,
    WebhookDelivery,
    WebhookEvent,
    WebhookNote,
)
from devices.models import Application, Registration
from tests.api.omni import PHONE, Shop, go, let_expire, owner, say
from tests.api.pushing import to
from tests.api.sending import carry_out, receive, send
from tests.api.systems import System, make_key
from tests.factories import (
    make_application,
    make_bulk,
    make_registration,
    make_registrations,
    make_webhook,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

URL = "https://crm.example/dlr"
FAILED = Message.State.FAILED, Reason.UNINSTALLED
Told = list[tuple[str, int, list[dict[str, Any]]]]


@pytest.fixture
def system() -> System:
    make_key(scopes=["mobile-app-messaging:manage"])
    return System()


@pytest.fixture
def application() -> Application:
    return make_application()


def told() -> Told:
    """Write up what was noted: address, event and results of each delivery, once."""
    while webhooks.write_up():
        pass
    rows = list(WebhookDelivery.objects.order_by("pk"))
    WebhookDelivery.objects.all().delete()
    return [(row.url, row.event, json.loads(row.body)["results"]) for row in rows]


def asking(url: str = URL, **delivery: Any) -> dict[str, Any]:
    return {"delivery": {"url": url, **delivery}, "callbackData": "o-7"}


# ------------------------------------------------------------------- push


def test_the_end_of_a_message_is_told_in_the_words_of_its_report(
    system: System, application: Application
) -> None:
    send(system, application, to(make_registration(application)), webhooks=asking())
    (sent,) = carry_out()
    assert told() == [], "on its way, and nobody asked for that"

    receive(application, sent)

    [(url, event, results)] = told()
    reported = system.get("/push/3/reports").json()["results"]
    assert (url, event, results) == (URL, WebhookEvent.ENDED, reported)
    assert results[0]["callbackData"] == "o-7"
    receive(application, sent)
    receive(application, sent, state=Message.State.SEEN)
    assert told() == [], "once, and of a request only its end"


def test_a_message_that_fails_is_told_when_it_fails(
    system: System, application: Application
) -> None:
    send(system, application, to(make_registration(application)), webhooks=asking())
    carry_out(FAILED)

    [(_, _, [report])] = told()

    assert report == system.get("/push/3/reports").json()["results"][0]
    assert report["error"]["id"] == 8001


def test_an_intermediate_report_says_that_it_is_on_its_way(
    system: System, application: Application
) -> None:
    device = make_registration(application)
    (name,) = send(
        system, application, to(device), bulk_id="b", webhooks=asking(intermediateReport=True)
    )
    (sent,) = carry_out()
    receive(application, sent)

    first, last = told()

    [intermediate], [final] = first[2], last[2]
    assert (first[1], last[1]) == (WebhookEvent.ON_ITS_WAY, WebhookEvent.ENDED)
    assert (intermediate["messageId"], intermediate["status"]["name"]) == (name, "PENDING_ENROUTE")
    assert set(final) - set(intermediate) == {"doneAt"}
    assert final["status"]["name"] == "DELIVERED_TO_HANDSET"


def test_a_request_that_wants_nobody_told_is_obeyed(
    system: System, application: Application
) -> None:
    make_webhook(application)
    send(system, application, to(make_registration(application)), webhooks=asking(notify=False))
    receive(application, *carry_out())

    assert told() == []


def test_reports_go_a_hundred_in_a_call(system: System, application: Application) -> None:
    devices = make_registrations(application, 205)
    send(system, application, *map(to, devices), webhooks=asking())
    receive(application, *carry_out())

    assert [len(results) for _, _, results in told()] == [100, 100, 5]


def test_each_address_gets_its_own(system: System, application: Application) -> None:
    for url in (URL, f"{URL}/2"):
        send(system, application, to(make_registration(application)), webhooks=asking(url))
    send(system, application, to(make_registration(application)))
    receive(application, *carry_out())

    assert sorted((url, len(results)) for url, _, results in told()) == [(URL, 1), (f"{URL}/2", 1)]


def test_the_older_call_names_its_address_otherwise(
    system: System, application: Application
) -> None:
    device = make_registration(application)
    body = {
        "from": application.code,
        "to": {"pushRegistrationId": str(device.address.public_id)},
        "text": "Order shipped",
        "notifyUrl": URL,
        "notifyContentType": "application/xml",
    }
    assert system.post("/push/2/message/single", body).status_code == 200
    receive(application, *carry_out())

    [(url, _, results)] = told()
    assert (url, results) == (URL, system.get("/push/3/reports").json()["results"])


def test_a_late_answer_to_a_lost_window_is_told_once(
    system: System, application: Application
) -> None:
    device = make_registration(application)
    send(system, application, to(device), webhooks=asking())
    carry_out((Message.State.UNKNOWN, Reason.WORKER_LOST))
    bulk = Bulk.objects.get()
    late = [Row(device.pk, *FAILED)]

    ledger.record_late(bulk, late)
    ledger.record_late(bulk, late)

    [(_, _, [report])] = told()
    assert report["error"]["id"] == 8001


# ------------------------------------------------------------------- an application's webhook

EVERYTHING = 31


def sent_campaign(application: Application) -> tuple[Bulk, list[Registration]]:
    devices = make_registrations(application, 2)
    return make_bulk(application), devices


def test_an_application_is_told_of_campaigns_too(application: Application) -> None:
    webhook = make_webhook(application, events=EVERYTHING)
    bulk, devices = sent_campaign(application)
    sent = carry_out(devices={devices[1].pk: FAILED})
    receive(application, sent[0], state=Message.State.CLICKED)

    found = told()

    assert [(url, event, len(results)) for url, event, results in found] == [
        (webhook.url, WebhookEvent.ON_ITS_WAY, 1),
        (webhook.url, WebhookEvent.ENDED, 2),
        (webhook.url, WebhookEvent.SEEN, 1),
        (webhook.url, WebhookEvent.CLICKED, 1),
    ]
    failed, delivered = found[1][2]
    assert failed["messageId"] == str(sent[1])
    assert delivered == delivered | {
        "bulkId": bulk.bulk_id,
        "messageId": str(sent[0]),
        "to": str(devices[0].address.public_id),
        "sender": application.code,
    }
    [seen], [clicked] = found[2][2], found[3][2]
    shared = {
        "messageId": str(sent[0]),
        "from": application.code,
        "to": str(devices[0].address.public_id),
        "sendAt": delivered["sentAt"],
    }
    assert seen == {**shared, "seenAt": seen["seenAt"]}
    assert clicked == {**shared, "clickedAt": clicked["clickedAt"]}


@pytest.mark.parametrize(
    ("events", "told_of"),
    [(event, [event]) for event in (1, 2, 4, 8)] + [(5, [1, 4])],
)
def test_a_webhook_is_told_what_it_was_chosen_for(
    application: Application, events: int, told_of: list[int]
) -> None:
    make_webhook(application, events=events)
    sent_campaign(application)
    receive(application, *carry_out(), state=Message.State.CLICKED)

    assert [event for _, event, _ in told()] == told_of


def test_other_applications_and_webhooks_that_are_off_are_told_nothing(
    application: Application,
) -> None:
    make_webhook(make_application())
    make_webhook(application, enabled=False)
    sent_campaign(application)
    receive(application, *carry_out())

    assert not WebhookNote.objects.exists(), "not even noted"
    assert told() == []


def test_what_a_repeated_receipt_says_is_told_once(application: Application) -> None:
    make_webhook(application, events=EVERYTHING)
    sent_campaign(application)
    sent = carry_out()
    for state in (Message.State.DELIVERED, Message.State.SEEN, Message.State.SEEN):
        receive(application, sent[0], state=state)
    told()
    receive(application, sent[0], state=Message.State.SEEN)
    receive(application, sent[0])

    assert told() == []


def test_messages_from_devices_are_told_once(application: Application) -> None:
    make_webhook(application, events=WebhookEvent.INBOUND)
    device = make_registration(application)
    note = Note(message_id="mo-1", text="Where is it?", destination="shop")
    inbound.keep(device, [note])
    inbound.keep(device, [note])

    [(_, event, results)] = told()

    make_key(scopes=["inbound-message:read"])
    pulled = System().get("/push/1/inbox/reports").json()["results"]
    assert (event, results) == (WebhookEvent.INBOUND, pulled)
    assert results[0]["text"] == "Where is it?"


def test_a_request_and_its_application_may_name_the_same_address(
    system: System, application: Application
) -> None:
    make_webhook(application, URL)
    make_webhook(application, f"{URL}/all")
    send(system, application, to(make_registration(application)), webhooks=asking())
    receive(application, *carry_out())

    assert [url for url, _, _ in told()] == [URL, f"{URL}/all"]


# ------------------------------------------------------------------- OMNI


def test_the_end_of_an_omni_message_is_told_in_the_words_of_its_report(shop: Shop) -> None:
    device = owner(shop)
    shop.send(notifyUrl=URL, callbackData="o-7")
    go()
    assert told() == []

    say(0, Message.State.DELIVERED, device.pk)

    assert told() == [(URL, WebhookEvent.ENDED, shop.reports())]


def test_steps_that_fail_are_told_to_who_asked_for_them(shop: Shop) -> None:
    device = owner(shop)
    shop.send(notifyUrl=URL, intermediateReport=True)
    go()
    let_expire()
    journey = FlowDestination.objects.get().journey
    assert journey is not None
    say(1, Message.State.DELIVERED, journey.pk)

    (_, first, [push]), (_, second, [sms]) = told()

    assert (first, push["channel"], push["status"]["id"]) == (WebhookEvent.ON_ITS_WAY, "PUSH", 15)
    assert (second, sms["channel"], sms["status"]["id"]) == (WebhookEvent.ENDED, "SMS", 5)
    say(0, Message.State.DELIVERED, device.pk)
    assert told() == [], "what arrives late is for the logs alone"


def test_what_ends_at_once_is_told_as_well(shop: Shop) -> None:
    """Nobody has the number: the push fails while the request is taken in."""
    push_only = shop.make_scenario("PUSH")
    shop.send(scenarioKey=push_only.key, notifyUrl=URL)
    shop.send({"phoneNumber": "none"}, scenarioKey=push_only.key, notifyUrl=URL)
    shop.send(notifyUrl=URL, intermediateReport=True)

    found = told()

    assert [(event, [each["status"]["id"] for each in results]) for _, event, results in found] == [
        (WebhookEvent.ENDED, [66, 52]),
        (WebhookEvent.ON_ITS_WAY, [66]),
    ]


def test_who_has_seen_an_omni_message_is_told(shop: Shop) -> None:
    device = owner(shop)
    name = shop.send(notifyUrl=URL).json()["messages"][0]["messageId"]
    go()
    say(0, Message.State.SEEN, device.pk)

    found = {event: results for _, event, results in told()}

    [seen] = found[WebhookEvent.SEEN]
    assert seen == {
        "messageId": name,
        "from": shop.application.code,
        "to": PHONE,
        "sendAt": seen["sendAt"],
        "seenAt": seen["seenAt"],
    }


@pytest.mark.parametrize("given", [{}, {"notifyUrl": URL, "notify": False}])
def test_an_omni_message_that_nobody_wants_to_hear_of(shop: Shop, given: dict[str, Any]) -> None:
    device = owner(shop)
    shop.send(intermediateReport=True, **given)
    go()
    say(0, Message.State.SEEN, device.pk)

    assert not WebhookNote.objects.exists()


def test_an_application_is_told_of_the_messages_of_steps(shop: Shop) -> None:
    make_webhook(shop.application)
    device = owner(shop)
    shop.send()
    shop.send(notify=False)
    go()
    for bulk in Bulk.objects.filter(step=0):
        receive(shop.application, ids.message_id(bulk, device.pk))

    [(_, event, [report])] = told()
    assert (event, report["status"]["id"]) == (WebhookEvent.ENDED, 5)


# ------------------------------------------------------------------- for nothing, nothing


def test_who_asks_for_no_webhook_costs_no_statement(
    application: Application, django_assert_num_queries: Callable[..., Any]
) -> None:
    bulk = make_bulk(application)
    outbox.wanted(application.pk)  # what every process remembers for some seconds

    with django_assert_num_queries(0):
        outbox.note_messages(bulk, [(ids.message_id(bulk, 1), WebhookEvent.ENDED)])
