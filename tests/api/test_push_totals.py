"""api.infobip.push_totals: statistics of a bulk. Sections: contract/push.md."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.utils import timezone

from campaigns import batches, fanout, folding, ids, ledger
from campaigns.ledger import Row, WindowResult
from campaigns.models import Bulk, Message, Reason
from devices.models import Application
from tests.api.systems import System, make_key
from tests.factories import make_bulk, make_flow_bulk, make_registrations

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

PATH = "/push/1/statistics"
NOTHING = {
    "totalSent": 0,
    "delivered": 0,
    "seen": 0,
    "errors": {"registration": 0, "expired": 0, "cloud": 0},
    "delivery": {"rate": 0, "time": 0},
}


def record(bulk: Bulk, outcomes: list[tuple[Message.State, Reason]]) -> list[UUID]:
    """Send a bulk to as many devices, with these outcomes; the ids of its messages."""
    make_registrations(bulk.application, len(outcomes))
    fanout.freeze(bulk)
    chunk = ledger.claim_chunk()
    assert chunk is not None
    assert ledger.claim_window(chunk, len(outcomes))
    rows = [Row(pk, *each) for pk, each in zip(chunk.recipients, outcomes, strict=True)]
    ledger.record(bulk, chunk, WindowResult(rows=rows), now=timezone.now())
    ledger.finish(bulk.pk)
    return [ids.message_id(bulk, pk) for pk in chunk.recipients]


EXPIRED = {
    Reason.TOO_LATE, Reason.QUIET_HOURS, Reason.NOT_IN_TIME, Reason.WITHDRAWN,
    Reason.NOTIFICATIONS_OFF, Reason.NEVER_LEARNED,
}  # fmt: skip
ENDED_ELSEWHERE = {*EXPIRED, Reason.SWITCHED_OFF, Reason.DO_NOT_CONTACT, Reason.EXCLUDED}
ACCEPTED = (Message.State.ACCEPTED, Reason.NONE)


def failed(reason: Reason) -> tuple[Message.State, Reason]:
    return Message.State.FAILED, reason


def test_all_figures_of_a_bulk(system: System, application: Application) -> None:
    bulk = make_bulk(application, bulk_id="b")
    gone = [Reason.UNINSTALLED, Reason.MISMATCHED_SENDER, Reason.MALFORMED_TOKEN, Reason.DISABLED]
    cloud = [Reason.CLOUD_ERROR, Reason.CREDENTIAL_REFUSED, Reason.PROVIDER_OFF]
    late = [(Message.State.EXPIRED, Reason.TOO_LATE), failed(Reason.NOTIFICATIONS_OFF)]
    messages = record(bulk, [ACCEPTED] * 3 + [failed(each) for each in gone + cloud] + late)
    at = timezone.now().replace(microsecond=155_000)
    receipts = [
        batches.packed(messages[0], Message.State.DELIVERED, at - timedelta(seconds=9)),
        batches.packed(messages[1], Message.State.SEEN, at),
    ]
    folding.fold([(application.pk, None, receipts)])

    answer = system.get(f"{PATH}?bulkId=b")

    assert answer.status_code == 200
    assert answer.json() == {
        "totalSent": 12,
        "delivered": 2,
        "seen": 1,
        "errors": {"registration": 4, "expired": 2, "cloud": 3},
        "delivery": {"rate": 16.67, "time": round(at.timestamp() * 1000)},
    }


def test_everything_with_one_id_is_added_up_but_test_sends(
    system: System, application: Application
) -> None:
    for origin in (Bulk.Origin.CAMPAIGN, Bulk.Origin.TEST, Bulk.Origin.API):
        make_bulk(application, bulk_id="b", origin=origin, audience=3)

    assert system.get(f"{PATH}?bulkId=b").json()["totalSent"] == 6


FINAL = [reason for reason in Reason if 10 < reason < 40 or reason in ENDED_ELSEWHERE]


def test_each_message_that_ended_counts_once(system: System, application: Application) -> None:
    """6: when every message is final, they are the delivered and the errors."""
    record(
        make_bulk(application, bulk_id="b"),
        [
            (Message.State.EXPIRED if reason in EXPIRED else Message.State.FAILED, reason)
            for reason in FINAL
        ],
    )

    told = system.get(f"{PATH}?bulkId=b").json()

    assert sum(told["errors"].values()) == told["totalSent"] == len(FINAL)
    assert told["errors"]["expired"] == len(EXPIRED)


def test_what_is_in_doubt_is_no_error_yet(system: System, application: Application) -> None:
    doubts = (Reason.WORKER_LOST, Reason.NO_ANSWER)
    record(make_bulk(application, bulk_id="b"), [(Message.State.UNKNOWN, each) for each in doubts])

    assert system.get(f"{PATH}?bulkId=b").json() == {**NOTHING, "totalSent": 2}


def test_text_messages_of_a_scenario_are_no_pushes(
    system: System, application: Application
) -> None:
    push = make_flow_bulk(application)
    Bulk.objects.filter(flow=push.flow).update(audience=3)

    assert system.get(f"{PATH}?bulkId={push.bulk_id}").json()["totalSent"] == 3


def test_an_unknown_id_has_zeros(system: System) -> None:
    answer = system.get(f"{PATH}?bulkId=unknown")
    assert (answer.status_code, answer.json()) == (200, NOTHING)


@pytest.mark.parametrize(
    "query", ["", "?bulkId=", "?bulkid=x", "?bulkId=%00", "?bulkId=" + "x" * 101]
)
def test_the_id_must_be_given(system: System, query: str) -> None:
    answer = system.get(PATH + query)
    assert answer.status_code == 400
    assert answer.json()["requestError"]["serviceException"]["messageId"] == "BAD_REQUEST"


ERRORS: dict[int, tuple[str, str]] = {
    401: ("UNAUTHORIZED", "Unauthorized"),
    403: ("FORBIDDEN", "Forbidden"),
    429: ("TOO_MANY_REQUESTS", "Too many requests"),
}


@pytest.mark.parametrize("status", list(ERRORS))
@time_machine.travel("2026-11-20T15:00:00+00:00", tick=False)
def test_refusals_are_in_the_older_words(system: System, settings: Any, status: int) -> None:
    headers = {401: "", 403: "App sender", 429: "App key-of-a-shop"}
    make_key("sender", scopes=["message:send"])
    if status == 429:
        settings.OLDER_PUSH_CALLS_PER_SECOND = 1
    answers = [system.get(f"{PATH}?bulkId=b", Authorization=headers[status]) for _ in range(6)]
    answer = next(each for each in answers if each.status_code == status)

    code, text = ERRORS[status]
    assert answer.json() == {
        "requestError": {"serviceException": {"messageId": code, "text": text}}
    }
    assert int(answer["Content-Length"]) == len(answer.content)
