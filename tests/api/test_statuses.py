"""Every status and error of contract/push.md 9, whole, where a caller reads it."""

import json
import re
from datetime import timedelta
from typing import Any, cast

import pytest
from django.utils import timezone

from campaigns import folding, ids, reports
from campaigns.models import Bulk, Chunk, Journey, Reason
from campaigns.store import store
from devices.models import Application, Person, ProviderCredential
from tests.api.compatibility import PAGE, states
from tests.api.omni import PHONE, Shop, go, owner
from tests.api.pushing import SEND, message, to
from tests.api.sending import send
from tests.api.systems import System
from tests.api.vendor import ERRORS, LEFT_OUT, STATUSES, assert_error, assert_status
from tests.factories import do_not_contact, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def test_every_row_of_the_contract_is_used_or_left_out_with_its_reason() -> None:
    known = {int(state.partition(" ")[0]) for state in states()}

    assert known == ({*STATUSES} | {*ERRORS}) - LEFT_OUT
    [said] = [line for line in PAGE.read_text().splitlines() if line.startswith("| statuses ")]
    assert {int(number) for number in re.findall(r"\b\d+\b", said)} == LEFT_OUT


# ------------------------------------------------------------------- answers to a send

NOBODY = {"type": "EXTERNAL_USER_ID", "externalUserId": "nobody"}
BUTTON = {"onTapButtonAction": {"type": "DEEP_LINK"}}
SHORT = {"validityPeriod": {"amount": 29, "timeUnit": "SECONDS"}}
BAD_RULE = {"type": "MULTIPLE", "$or": [{"platform": ["iOS"]}]}


@pytest.mark.parametrize(
    ("number", "destination", "given"),
    [
        (65, {}, {"sender": "nobody"}),
        (66, NOBODY, {}),
        (68, {}, {"options": {"customPayload": {"a": "x" * 4000}}}),
        (70, {}, {"options": SHORT}),
        (71, BAD_RULE, {}),
        (73, {}, {"options": {"inboxTopic": "none"}}),
        (74, {}, {"options": BUTTON}),
        (7, {}, {}),
    ],
)
def test_what_becomes_of_a_destination_is_said_at_once(
    system: System, application: Application, number: int, destination: Any, given: Any
) -> None:
    device = make_registration(application)
    body = {"messages": [message(application, destination or to(device), **given)]}
    answer = system.post(SEND, body)

    [told] = answer.json()["messages"]
    assert_status(told["status"], number)
    [entry] = system.get("/push/3/logs").json()["results"]
    assert_status(entry["status"], 26 if number == 7 else number)


def test_an_id_that_was_used_and_a_time_to_come(system: System, application: Application) -> None:
    device = make_registration(application)
    soon = {"options": {"sendAt": (timezone.now() + timedelta(days=1)).isoformat()}}
    destinations = [to(device, messageId="m-1"), to(device, messageId="m-1")]
    answer = system.post(SEND, {"messages": [message(application, *destinations, **soon)]})

    first, second = answer.json()["messages"]
    assert_status(first["status"], 26)
    assert_status(second["status"], 23)


def test_a_message_without_a_text(system: System, application: Application) -> None:
    told = {"from": application.code, "to": {"externalUserId": "nobody"}}
    answer = system.post("/push/2/message/single", told)

    [bulk] = answer.json()["bulks"]
    assert_status(bulk["status"], 69)


def test_a_push_that_is_tried_again(system: System, application: Application) -> None:
    send(system, application, to(make_registration(application)))
    Chunk.objects.update(reason=Reason.WAITING_FOR_RETRY, attempt=1)

    [entry] = system.get("/push/3/logs").json()["results"]
    assert_status(entry["status"], 7)
    assert_error(entry["error"], 8012)


# ------------------------------------------------------------------- steps of a scenario


@pytest.mark.parametrize(
    ("channels", "given", "status", "error"),
    [
        (["PUSH"], {"push": None}, 31, 0),
        (["SMS"], {"sms": None}, 31, 0),
        (["VIBER"], {}, 19, 0),
        (["SMS"], {"sms": {"text": "x" * 1600}}, 25, 0),
        (["PUSH"], {"push": {"text": "x", "notificationOptions": {"inboxTopic": "none"}}}, 73, 0),
        (["PUSH"], {"destinations": [{"to": {"phoneNumber": "41790000000"}}]}, 66, 0),
        (["SMS"], {"destinations": [{"to": {"emailAddress": "a@shop.example"}}]}, 66, 0),
        (["SMS"], {"destinations": [{"to": {"phoneNumber": "12"}}]}, 52, 351),
    ],
)
def test_a_step_that_cannot_run(
    shop: Shop, channels: list[str], given: dict[str, Any], status: int, error: int
) -> None:
    owner(shop)
    shop.send(scenarioKey=shop.make_scenario(*channels).key, **given)
    go()

    [entry] = shop.logs()
    [report] = shop.reports()
    assert_status(entry["status"], status)
    assert_status(report["status"], status)
    assert_error(report["error"], error)


def test_an_application_that_is_switched_off_has_no_route_for_a_push(shop: Shop) -> None:
    owner(shop)
    Application.objects.update(enabled=False)
    shop.send(scenarioKey=shop.make_scenario("PUSH").key)
    go()

    [report] = shop.reports()
    assert_status(report["status"], 65)
    assert_error(report["error"], 8008)


def test_whoever_wants_no_messages(shop: Shop) -> None:
    owner(shop)
    do_not_contact(shop.application, Person.objects.get())
    shop.send(scenarioKey=shop.make_scenario("SMS").key)
    go()

    [report] = shop.reports()
    assert_status(report["status"], 14)
    assert_error(report["error"], 0)


GATEWAYS_NAMES = {4: "REJECTED_OPERATOR", 9: "NOT_DELIVERED", 51: "REJECTED_MISSING_TO"}
SAID = [
    *((number, 0, 32) for number in (4, 6, 9, 20, 31)),
    *((number, 0, 0) for number in (10, 14, 11, 12, 13, 17, 18, 19, 25)),
    *((number, 0, 351) for number in (8, 52)),
    (21, 0, 8005),
    *((number, 0, 8010) for number in (24, 51)),
    *((number, 0, 4101) for number in (15, 29)),
    *((9, error, error) for error in (1, 5, 6, 27, 32, 351, 4103, 502, 2048)),
    (15, 4098, 4098),
]


@pytest.mark.parametrize(("status", "named", "error"), SAID)
def test_what_the_gateway_says_of_a_text(shop: Shop, status: int, named: int, error: int) -> None:
    """Its report is posted to us, and the step repeats its words."""
    shop.send(scenarioKey=shop.make_scenario("SMS").key)
    go()
    group, name = STATUSES[status]
    told = {
        "messageId": str(ids.message_id(Bulk.objects.get(), Journey.objects.get().pk)),
        "to": PHONE,
        "status": {"groupId": group, "id": status, "name": GATEWAYS_NAMES.get(status, name)},
        "error": {"id": named, "name": ERRORS[named][1]},
    }
    callback = ProviderCredential.objects.get(provider="sms").data["callback"]
    answer = shop.system.post(f"/callbacks/sms/{callback}", {"results": [told]}, Authorization="")
    assert answer.status_code == 200
    entries = cast("Any", store().xrange(reports.STREAM))
    folding.fold(json.loads(fields[b"r"]) for _, fields in entries)
    go()

    [report] = shop.reports()
    assert_status(report["status"], status)
    assert_error(report["error"], error)
    [entry] = shop.logs()
    assert_status(entry["status"], status)
