"""api.infobip.push_inbox: messages from devices, inbox deletes. Section 12 of contract/push.md."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from campaigns import inbound, inbox
from campaigns.inbound import Note
from campaigns.models import Inbound, InboxMessage, InboxTopic
from devices.models import Application
from tests.api.sending import carry_out, send
from tests.api.systems import System, make_key
from tests.factories import make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

REPORTS, DELETE = "/push/1/inbox/reports", "/push/1/inbox/messages"


@pytest.fixture
def system(settings: Any) -> System:
    settings.INBOX_DELETIONS_PER_MINUTE = 1000
    make_key(scopes=["mobile-app-messaging:manage"])
    return System()


# ------------------------------------------------------------------- what people wrote


def test_what_people_wrote_is_told_once(system: System, application: Application) -> None:
    device = make_registration(application)
    inbound.keep(
        device,
        [
            Note(
                message_id="m-1",
                text="Where is it?",
                destination="shop",
                initial_message_id="i-1",
                bulk_id="b-1",
                custom_payload={"order": 7},
            ),
            Note(message_id="m-2", text="Hello"),
        ],
    )
    Inbound.objects.update(received_at=timezone.now().replace(microsecond=7000))
    at = f"{Inbound.objects.first().received_at:%Y-%m-%dT%H:%M:%S}.007+0000"  # type: ignore[union-attr]
    common = {
        "from": str(device.address.public_id),
        "applicationCode": application.code,
        "receivedAt": at,
    }

    assert system.get(f"{REPORTS}?limit=1").json() == {
        "results": [
            {
                **common,
                "messageId": "m-1",
                "to": "shop",
                "text": "Where is it?",
                "cleanText": "Where is it?",
                "customPayload": {"order": 7},
                "bulkId": "b-1",
                "initialMessageId": "i-1",
            }
        ],
        "messageCount": 1,
        "pendingMessageCount": 1,
    }
    assert system.get(REPORTS).json() == {
        "results": [
            {**common, "messageId": "m-2", "to": "", "text": "Hello", "cleanText": "Hello"}
        ],
        "messageCount": 1,
        "pendingMessageCount": 0,
    }
    nothing = {"results": [], "messageCount": 0, "pendingMessageCount": 0}
    assert system.get(REPORTS).json() == nothing


@pytest.mark.django_db(transaction=True)
def test_twenty_readers_are_told_each_once(
    system: System, application: Application, settings: Any
) -> None:
    settings.INBOUND_CALLS_PER_SECOND = 100_000
    device = make_registration(application)
    inbound.keep(device, [Note(message_id=f"m-{n}", text="x") for n in range(100)])

    def read(number: int) -> list[str]:
        try:
            answers = [System().get(f"{REPORTS}?limit=4").json()["results"] for _ in range(5)]
        finally:
            connection.close()
        return [each["messageId"] for results in answers for each in results]

    with ThreadPoolExecutor(20) as readers:
        told = Counter(name for mine in readers.map(read, range(20)) for name in mine)
    assert set(told.values()) == {1}
    assert len(told) + inbound.waiting() == 100


@time_machine.travel("2026-11-20T15:00:00+00:00", tick=False)
def test_who_may_read_what_people_wrote(system: System, settings: Any) -> None:
    make_key("sender", scopes=["message:send"])
    make_key("reader", scopes=["inbound-message:read"])
    assert system.get(REPORTS, Authorization="App sender").status_code == 403
    assert system.get(REPORTS, Authorization="App reader").status_code == 200
    assert system.get(f"{REPORTS}?limit=0").status_code == 400
    settings.INBOUND_CALLS_PER_SECOND = 1
    assert system.get(REPORTS).status_code == 429


# ------------------------------------------------------------------- deleting


@pytest.fixture
def inboxes(system: System, application: Application) -> dict[str, str]:
    """Three messages to Jane and Joe: each is in both inboxes. Answers' ids by name."""
    InboxTopic.objects.create(name="orders")
    for name in ("jane", "joe"):
        person = make_person(external_id=name)
        make_registration(application, person=person)
    make_registration(application, person=person)
    known = {}
    for number in (1, 2, 3):
        options = {"inboxTopic": "orders", "campaignReferenceId": f"campaign-{number}"}
        people = [{"type": "EXTERNAL_USER_ID", "externalUserId": name} for name in ("jane", "joe")]
        jane, joe = send(system, application, *people, bulk_id=f"bulk-{number}", options=options)
        known.update({f"jane-{number}": jane, f"joe-{number}": joe})
    carry_out()
    assert left() == {"jane": [1, 2, 3], "joe": [1, 2, 3]}
    return known


def left() -> dict[str, list[int]]:
    """Which messages are in whose inbox."""
    found: dict[str, list[int]] = {}
    for name in ("jane", "joe"):
        rows = InboxMessage.objects.filter(person=inbox.person_of(name)).order_by("bulk")
        found[name] = [int(row.bulk.bulk_id[-1]) for row in rows.select_related("bulk")]
    return found


@pytest.mark.parametrize(
    ("query", "jane", "joe"),
    [
        ("campaignId=campaign-1", [2, 3], [2, 3]),
        ("bulkId=bulk-2", [1, 3], [1, 3]),
        ("messageId={jane-3}", [1, 2], [1, 2, 3]),
        ("messageId={joe-3}", [1, 2, 3], [1, 2]),
        ("messageId=unknown", [1, 2, 3], [1, 2, 3]),
        ("campaignId=12", [1, 2, 3], [1, 2, 3]),
    ],
)
def test_messages_are_taken_out_of_inboxes(
    system: System, inboxes: dict[str, str], query: str, jane: list[int], joe: list[int]
) -> None:
    query = query.format(**inboxes)
    answer = system.call("DELETE", f"{DELETE}?{query}")

    name, _, value = query.partition("=")
    assert answer.status_code == 202
    said = "Your request has been submitted successfully."
    assert answer.json() == {name: value, "message": said}
    assert left() == {"jane": jane, "joe": joe}


def test_messages_are_taken_out_of_one_inbox(system: System, inboxes: dict[str, str]) -> None:
    for query in ("bulkId=bulk-1", "campaignId=campaign-2", f"messageId={inboxes['joe-3']}"):
        answer = system.call("DELETE", f"/push/1/user/joe/inbox/messages?{query}")
        assert answer.status_code == 202
    assert left() == {"jane": [1, 2, 3], "joe": []}


NONE_GIVEN = (
    "Missing required request parameter: campaignId, bulkId or messageId."
    " Please provide one of them."
)
SEVERAL_GIVEN = (
    "Ambiguous request parameters: more than one of campaignId, bulkId, or messageId are"
    " specified. Please provide only one of them."
)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (DELETE, 400, NONE_GIVEN),
        (f"{DELETE}?bulkId=", 400, NONE_GIVEN),
        (f"{DELETE}?bulkId=a&messageId=b", 400, SEVERAL_GIVEN),
        ("/push/1/user/nobody/inbox/messages?bulkId=a", 404, "Not found"),
        ("/push/1/user/null/inbox/messages?bulkId=a", 404, "Not found"),
    ],
)
def test_what_cannot_be_deleted(system: System, path: str, status: int, said: str) -> None:
    answer = system.call("DELETE", path)
    code = {400: "BAD_REQUEST", 404: "NOT_FOUND"}[status]
    assert answer.status_code == status
    assert answer.json() == {
        "requestError": {"serviceException": {"messageId": code, "text": said}}
    }


@time_machine.travel("2026-11-20T15:00:20+00:00", tick=False)
def test_inboxes_are_deleted_from_twice_a_minute(system: System, settings: Any) -> None:
    settings.INBOX_DELETIONS_PER_MINUTE = 2
    first, second, third = (system.call("DELETE", f"{DELETE}?bulkId=b") for _ in range(3))
    assert (first.status_code, second.status_code) == (202, 202)
    assert (third.status_code, third["Retry-After"]) == (429, "40")
