"""Delivery reports of SMS gateways: who may post them, and what they change."""

import json
from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns import folding, ids, reports, statistics
from campaigns.models import Bulk, Counter, Message, Reason
from campaigns.store import store
from devices.models import ClosedNumber, Platform, Provider, ProviderCredential
from providers.sms import twilio
from tests.api import documented
from tests.factories import make_bulk, make_credential

pytestmark = pytest.mark.django_db
State = Message.State
NUMBER = "41793026727"
TOKEN = "vSQyXEIp0Dd8QvK2bEhzmw8rWcQZbq3Z"


@pytest.fixture(autouse=True)
def _public(settings: Any) -> Iterator[None]:
    settings.PUBLIC_BASE_URL = "https://push.example"
    store().flushdb()
    yield
    store().flushdb()


def make_gateway(bulk: Bulk, shape: str = "infobip") -> ProviderCredential:
    data = {"shape": shape, "sender": "Shop", "callback": f"{bulk.application_id}/{TOKEN}"}
    data |= (
        {"account_sid": "AC1", "auth_token": "secret"}
        if shape == "twilio"
        else {"base_url": "https://x.api.infobip.com", "api_key": "k"}
    )
    return make_credential(bulk.application, Provider.SMS, data=data)


def sent(count: int = 1, state: State = State.ACCEPTED) -> tuple[Bulk, list[UUID]]:
    """A bulk of text messages that were handed over: to destinations, not to devices."""
    bulk = make_bulk(status=Bulk.Status.DONE, audience=count)
    now = timezone.now()
    rows = [
        Message(
            pk=ids.message_id(bulk, number),
            bulk=bulk,
            registration_id=0,
            destination_id=number,
            sent_at=now,
            state=state,
            reason=Reason.NO_ANSWER if state == State.UNKNOWN else Reason.NONE,
            platform=Platform.ANDROID,
            answer="SM1",
        )
        for number in range(1, count + 1)
    ]
    Message.objects.bulk_create(rows)
    Counter.objects.create(
        bulk=bulk,
        minute=now.replace(second=0, microsecond=0),
        platform=Platform.ANDROID,
        sent=count,
        **{"unknown" if state == State.UNKNOWN else "accepted": count},
    )
    return bulk, [row.pk for row in rows]


def result(message: UUID | str, number: int = 5, group: int = 3, **given: Any) -> dict[str, Any]:
    """A result of version 3, as in contract/providers.md 6.3."""
    return {
        "bulkId": "b-1", "messageId": str(message), "to": NUMBER, "sender": "Shop",
        "sentAt": "2026-11-09T16:00:00.000+0100", "doneAt": "2026-11-09T16:00:01.000+0100",
        "messageCount": 1, "mccMnc": "22801", "callbackData": "",
        "price": {"pricePerMessage": 0.01, "currency": "EUR"},
        "status": {"groupId": group, "id": number, "name": f"STATUS_{number}"},
        "error": {"groupId": 0, "id": 0, "name": "NO_ERROR", "permanent": False},
        **given,
    }  # fmt: skip


def post(
    client: Client, path: str, raw: Any, told: Any = None, *, form: bool = False, **headers: str
) -> Any:
    """Post a body as it stands; `told` is what it says."""
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    answer = client.post(path, raw, content_type=kind, headers=headers)
    documented.check("POST", path, answer, told)
    return answer


def infobip(client: Client, bulk: Bulk, results: Any, token: str = TOKEN) -> Any:
    told = {"results": results}
    path = f"/callbacks/sms/{bulk.application_id}/{token}"
    return post(client, path, json.dumps(told), told)


def callback(
    client: Client, bulk: Bulk, message: UUID, *, secret: str = "secret", token: str = TOKEN,
    **form: str,
) -> Any:  # fmt: skip
    form = {"MessageSid": "SM1", "AccountSid": "AC1", "To": f"+{NUMBER}", "ErrorCode": "", **form}
    path = f"/callbacks/sms/{bulk.application_id}/{token}/{message}"
    signed = twilio.signature(secret, f"https://push.example{path}", list(form.items()))
    return post(client, path, urlencode(form), form, form=True, **{"X-Twilio-Signature": signed})


def states(bulk: Bulk) -> list[tuple[int, int]]:
    """State and reason of each message, after the stream was folded and counters agree."""
    entries = cast("Any", store().xrange(reports.STREAM))
    folding.fold(json.loads(fields[b"r"]) for _, fields in entries)
    assert statistics.funnel(bulk) == statistics.recount(bulk)
    rows = Message.objects.of_bulk(bulk).order_by("pk")
    return list(rows.values_list("state", "reason"))


# ------------------------------------------------------------------- Infobip


@pytest.mark.parametrize(
    ("number", "group", "expected"),
    [
        (26, 1, (State.ACCEPTED, Reason.NONE)),
        (2, 3, (State.ACCEPTED, Reason.NONE)),
        (5, 3, (State.DELIVERED, Reason.NONE)),
        (9, 2, (State.FAILED, Reason.UNDELIVERABLE)),
        (15, 4, (State.EXPIRED, Reason.NOT_IN_TIME)),
        (29, 4, (State.EXPIRED, Reason.NEVER_LEARNED)),
        (10, 5, (State.FAILED, Reason.OPTED_OUT)),
        (12, 5, (State.FAILED, Reason.ACCOUNT_REFUSED)),
        (21, 5, (State.FAILED, Reason.CLOUD_ERROR)),
        (23, 5, (State.ACCEPTED, Reason.NONE)),
        (25, 5, (State.FAILED, Reason.TOO_LARGE)),
        (51, 5, (State.FAILED, Reason.PAYLOAD_REFUSED)),
        (52, 5, (State.FAILED, Reason.NUMBER_REFUSED)),
    ],
)
def test_a_report_decides_what_became_of_a_message(
    client: Client, number: int, group: int, expected: tuple[int, int]
) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)

    response = infobip(client, bulk, [result(message, number, group)])

    assert (response.status_code, response.json()) == (200, {})
    assert states(bulk) == [expected]


@pytest.mark.parametrize("number", [26, 2, 23])
def test_that_it_was_taken_settles_a_doubt(client: Client, number: int) -> None:
    bulk, [message] = sent(state=State.UNKNOWN)
    make_gateway(bulk)

    infobip(client, bulk, [result(message, number, 1)])

    assert states(bulk) == [(State.ACCEPTED, Reason.NONE)]


@pytest.mark.parametrize("shape", ["infobip", "infobip_v2"])
def test_the_older_report_is_read_too(client: Client, shape: str) -> None:
    bulk, [message] = sent()
    make_gateway(bulk, shape)
    older = result(message)
    older["from"], older["smsCount"] = older.pop("sender"), older.pop("messageCount")

    infobip(client, bulk, [older])

    assert states(bulk) == [(State.DELIVERED, Reason.NONE)]


def test_repeats_and_late_news_change_nothing(client: Client) -> None:
    bulk, [one, two] = sent(2)
    make_gateway(bulk)

    for _ in range(2):
        infobip(client, bulk, [result(one), result(one, 26, 1), result(two, 9, 2), result(one)])
        states(bulk)
        infobip(client, bulk, [result(one, 9, 2), result(two, 5, 3), result(two, 15, 4)])

    assert states(bulk) == [(State.DELIVERED, 0), (State.FAILED, Reason.UNDELIVERABLE)]


def test_the_time_of_delivery_is_the_operators(client: Client) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)
    done = (timezone.now() + timedelta(hours=1)).astimezone(UTC)

    infobip(client, bulk, [result(message, doneAt=done.strftime("%Y-%m-%dT%H:%M:%S.000+0000"))])
    states(bulk)

    delivered = Message.objects.get(pk=message).delivered_at
    assert delivered is not None
    assert delivered <= timezone.now()  # nothing is delivered in the future


@pytest.mark.parametrize(
    "done", ["", "soon", None, 7, "0001-01-01T00:00:00.000+1400", "9999-12-31T23:59:59.999-1400"]
)
def test_an_impossible_time_does_not_lose_the_report(client: Client, done: Any) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)

    infobip(client, bulk, [result(message, doneAt=done)])

    assert states(bulk) == [(State.DELIVERED, Reason.NONE)]


def test_the_words_of_the_operator_stay_with_the_message(client: Client) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)
    error = {"groupId": 1, "id": 1, "name": "EC_UNKNOWN_SUBSCRIBER", "permanent": True}

    infobip(client, bulk, [result(message, 9, 2, error=error)])
    states(bulk)

    assert Message.objects.get(pk=message).answer == "STATUS_9, EC_UNKNOWN_SUBSCRIBER"


def test_a_hundred_reports_cost_as_much_as_one(client: Client) -> None:
    bulk, messages = sent(100)
    make_gateway(bulk)

    with CaptureQueriesContext(connection) as queries:
        infobip(client, bulk, [result(message) for message in messages])

    assert len(queries) == 1
    assert states(bulk) == [(State.DELIVERED, Reason.NONE)] * 100


def test_unknown_ids_and_unreadable_results_do_not_hide_the_rest(client: Client) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)
    strange = [None, 7, {}, result("their-own-id", 52, 5), result(uuid4(), 52, 5), {"messageId": 5}]

    response = infobip(client, bulk, [*strange, result(message)])

    assert response.status_code == 200
    assert states(bulk) == [(State.DELIVERED, Reason.NONE)]
    assert not ClosedNumber.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"results": {}}', 400),
        (b'{"results": [' + b"[" * 100_000, 400),
        (b'{"results": [' + b"0," * 1000 + b"0]}", 400),
        (b'{"results": ["\xff"]}', 400),
        (b'{"results": []}' + b" " * 2**20, 413),
    ],
)
def test_what_is_no_list_of_results_is_refused(client: Client, body: bytes, status: int) -> None:
    bulk, _ = sent()
    make_gateway(bulk)

    response = post(client, f"/callbacks/sms/{bulk.application_id}/{TOKEN}", body)

    assert response.status_code == status
    assert response.json()["requestError"]["serviceException"]["messageId"] == "BAD_REQUEST"


# ------------------------------------------------------------------- closing numbers


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (8, ClosedNumber.Reason.REFUSED),
        (14, ClosedNumber.Reason.OPTED_OUT),
        (52, ClosedNumber.Reason.REFUSED),
    ],
)
def test_three_statuses_close_the_number(
    client: Client, number: int, reason: ClosedNumber.Reason
) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)

    infobip(client, bulk, [result(message, number, 5)])

    closed = ClosedNumber.objects.get()
    assert (closed.number, closed.reason, closed.answer) == (NUMBER, reason, f"STATUS_{number}")


@pytest.mark.parametrize("number", [4, 9, 10, 12, 15, 19, 29, 4711])
def test_others_do_not(client: Client, number: int) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)

    infobip(client, bulk, [result(message, number, 5)])

    assert not ClosedNumber.objects.exists()


def test_a_message_of_another_application_closes_nothing(client: Client) -> None:
    bulk, _ = sent()
    _, [foreign] = sent()
    make_gateway(bulk)

    infobip(client, bulk, [result(foreign, 52, 5)])

    assert not ClosedNumber.objects.exists()
    assert Message.objects.get(pk=foreign).state == State.ACCEPTED


# ------------------------------------------------------------------- Twilio


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("queued", "", (State.ACCEPTED, Reason.NONE)),
        ("sending", "", (State.ACCEPTED, Reason.NONE)),
        ("sent", "", (State.ACCEPTED, Reason.NONE)),
        ("delivered", "", (State.DELIVERED, Reason.NONE)),
        ("undelivered", "30005", (State.FAILED, Reason.UNDELIVERABLE)),
        ("failed", "21610", (State.FAILED, Reason.OPTED_OUT)),
        ("failed", "21211", (State.FAILED, Reason.NUMBER_REFUSED)),
        ("failed", "21614", (State.FAILED, Reason.NUMBER_REFUSED)),
        ("read", "", (State.ACCEPTED, Reason.NONE)),
    ],
)
def test_a_callback_decides_what_became_of_a_message(
    client: Client, status: str, code: str, expected: tuple[int, int]
) -> None:
    bulk, [message] = sent()
    make_gateway(bulk, "twilio")

    response = callback(client, bulk, message, MessageStatus=status, ErrorCode=code)

    assert response.status_code == 200
    assert states(bulk) == [expected]
    assert ClosedNumber.objects.filter(pk=NUMBER).exists() is (code.startswith("21"))


def test_callbacks_out_of_order_move_a_message_forward_only(client: Client) -> None:
    bulk, [message] = sent(state=State.UNKNOWN)
    make_gateway(bulk, "twilio")

    for status in ("sent", "delivered", "sending", "queued", "failed", "delivered"):
        callback(client, bulk, message, MessageStatus=status)

    assert states(bulk) == [(State.DELIVERED, Reason.NONE)]


def test_a_callback_that_is_not_signed_is_forbidden(client: Client) -> None:
    bulk, [message] = sent()
    make_gateway(bulk, "twilio")

    response = callback(client, bulk, message, secret="guess", MessageStatus="delivered")

    assert response.status_code == 403
    assert states(bulk) == [(State.ACCEPTED, Reason.NONE)]


def test_the_signature_covers_the_public_address(client: Client, settings: Any) -> None:
    bulk, [message] = sent()
    make_gateway(bulk, "twilio")
    settings.PUBLIC_BASE_URL = "https://elsewhere.example"

    assert callback(client, bulk, message, MessageStatus="delivered").status_code == 403


@pytest.mark.parametrize(
    "body", [b"\xff", b"&".join(b"a=%d" % number for number in range(101)), b"To=%ff"]
)
def test_what_is_no_form_is_refused(client: Client, body: bytes) -> None:
    bulk, [message] = sent()
    make_gateway(bulk, "twilio")

    path = f"/callbacks/sms/{bulk.application_id}/{TOKEN}/{message}"
    response = post(client, path, body, form=True)

    assert response.status_code == 400


# ------------------------------------------------------------------- addresses


@pytest.mark.parametrize("token", ["x", TOKEN[:-1], TOKEN + "x", TOKEN.lower(), "é", "%00"])
def test_a_wrong_address_is_not_there(client: Client, token: str) -> None:
    bulk, [message] = sent()
    make_gateway(bulk)

    response = infobip(client, bulk, [result(message)], token)

    assert response.status_code == 404
    assert states(bulk) == [(State.ACCEPTED, Reason.NONE)]


def test_a_renewed_address_takes_the_place_of_the_old_one(client: Client) -> None:
    bulk, [message] = sent()
    credential = make_gateway(bulk)
    credential.data["callback"] = f"{bulk.application_id}/another"
    credential.save()

    assert infobip(client, bulk, [result(message)]).status_code == 404
    assert infobip(client, bulk, [result(message)], "another").status_code == 200


def test_an_application_without_a_gateway_has_no_address(client: Client) -> None:
    bulk, [message] = sent()
    make_credential(bulk.application)

    assert infobip(client, bulk, [result(message)]).status_code == 404


def test_a_gateway_without_an_address_has_none(client: Client) -> None:
    bulk, [message] = sent()
    credential = make_gateway(bulk)
    del credential.data["callback"]
    credential.save()

    assert infobip(client, bulk, [result(message)]).status_code == 404


def test_each_gateway_speaks_its_own_words_only(client: Client) -> None:
    ours, [mine] = sent()
    theirs, [other] = sent()
    make_gateway(ours)
    make_gateway(theirs, "twilio")

    assert callback(client, ours, mine, MessageStatus="delivered").status_code == 404
    assert infobip(client, theirs, [result(other)]).status_code == 404


@pytest.mark.parametrize("path", ["", "/", "/x", "/1", "/1/a/b", "/1/a/b/c"])
def test_unknown_paths_answer_in_the_familys_words(client: Client, path: str) -> None:
    response = client.post(f"/callbacks/sms{path}", "{}", content_type="application/json")

    assert response.status_code == 404
    assert response.json()["requestError"]["serviceException"]["messageId"] == "NOT_FOUND"


def test_other_methods_are_refused(client: Client) -> None:
    bulk, _ = sent()
    make_gateway(bulk)

    path = f"/callbacks/sms/{bulk.application_id}/{TOKEN}"
    response = client.get(path)
    documented.check("GET", path, response)

    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
