"""api.infobip.push_logs: what was submitted, and where it stands. Sections: contract/push.md."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.utils import timezone

from api.infobip import push_logs
from campaigns.models import Bulk, Chunk, Destination, Message, Reason
from devices.models import Application, Platform
from tests.api.pushing import NO_ERROR, to
from tests.api.sending import ACCEPTED, carry_out, receive, send
from tests.api.systems import System, make_key
from tests.factories import make_application, make_person, make_registration, make_registrations

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

LOGS = "/push/3/logs"
NOBODY = {"type": "EXTERNAL_USER_ID", "externalUserId": "nobody"}
FREE = {"pricePerMessage": 0, "currency": "UNKNOWN"}


def read(system: System, query: str = "") -> list[dict[str, Any]]:
    answer = system.get(f"{LOGS}?{query}")
    assert answer.status_code == 200, answer.content
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def names(entries: list[dict[str, Any]]) -> list[str]:
    return [each["messageId"] for each in entries]


def test_an_entry_tells_all_of_a_message_again_and_again(
    system: System, application: Application
) -> None:
    device = make_registration(application)
    (name,) = send(
        system,
        application,
        to(device),
        bulk_id="b",
        content={"type": "TEXT", "title": "Hi", "text": "Order shipped"},
        options={"campaignReferenceId": "summersale", "platform": {"entityId": "e"}},
    )
    at = timezone.now().replace(microsecond=86_000) + timedelta(seconds=2)
    (sent,) = carry_out(at=at - timedelta(seconds=1))
    receive(application, sent, at=at)

    times = [f"{each:%Y-%m-%dT%H:%M:%S}.086+0000" for each in (at - timedelta(seconds=1), at)]
    entry = {
        "sender": application.code,
        "destination": str(device.address.public_id),
        "bulkId": "b",
        "messageId": name,
        "sentAt": times[0],
        "doneAt": times[1],
        "messageCount": 1,
        "price": FREE,
        "status": {
            "groupId": 3,
            "groupName": "DELIVERED",
            "id": 5,
            "name": "DELIVERED_TO_HANDSET",
            "description": "Message delivered to handset",
        },
        "error": NO_ERROR,
        "platform": {"entityId": "e"},
        "content": {"type": "TEXT", "title": "Hi", "text": "Order shipped"},
        "campaignReferenceId": "summersale",
    }
    for _ in range(2):
        answer = system.get(LOGS)
        assert answer.json() == {"results": [entry]}
    assert len(system.get("/push/3/reports").json()["results"]) == 1


def test_what_is_not_sent_or_was_rejected_is_there_too(
    system: System, application: Application
) -> None:
    device = make_registration(application)
    (rejected,) = send(system, application, NOBODY)
    (waiting,) = send(system, application, to(device))

    entries = read(system)
    assert names(entries) == [waiting, rejected]
    assert [each["status"]["id"] for each in entries] == [26, 66]
    assert ["doneAt" in each for each in entries] == [False, True]


def test_a_message_that_is_tried_again_says_so(system: System, application: Application) -> None:
    send(system, application, to(make_registration(application)))
    Chunk.objects.update(reason=Reason.WAITING_FOR_RETRY, attempt=1)

    (entry,) = read(system)
    assert (entry["status"]["id"], entry["error"]["id"]) == (7, 8012)


@pytest.fixture
def one_of_each(system: System, application: Application) -> dict[str, str]:
    """A message in each general status."""
    devices = make_registrations(application, 6)
    outcomes = {
        devices[0].pk: ACCEPTED,
        devices[1].pk: ACCEPTED,
        devices[2].pk: (Message.State.FAILED, Reason.UNINSTALLED),
        devices[3].pk: (Message.State.EXPIRED, Reason.TOO_LATE),
        devices[4].pk: (Message.State.FAILED, Reason.NOTIFICATIONS_OFF),
    }
    ways = ["PENDING", "DELIVERED", "UNDELIVERABLE", "EXPIRED", "EXPIRED too"]
    found = {
        way: send(system, application, to(device))[0]
        for way, device in zip(ways, devices, strict=False)
    }
    carry_out(devices=outcomes)
    bulk = Bulk.objects.get(chunks__recipients__contains=[devices[1].pk])
    receive(application, *Message.objects.of_bulk(bulk).values_list("pk", flat=True))
    found["ACCEPTED"] = send(system, application, to(devices[5]))[0]
    found["UNDELIVERABLE at once"] = send(system, application, NOBODY)[0]
    found["REJECTED"] = send(system, application, to(devices[0]), sender="nobody")[0]
    return found


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("ACCEPTED", {"ACCEPTED"}),
        ("PENDING", {"ACCEPTED", "PENDING"}),
        ("DELIVERED", {"DELIVERED"}),
        ("UNDELIVERABLE", {"UNDELIVERABLE", "UNDELIVERABLE at once"}),
        ("EXPIRED", {"EXPIRED", "EXPIRED too"}),
        ("REJECTED", {"REJECTED"}),
    ],
)
def test_entries_of_a_general_status(
    system: System, one_of_each: dict[str, str], status: str, expected: set[str]
) -> None:
    entries = read(system, f"generalStatus={status}")

    assert set(names(entries)) == {one_of_each[way] for way in expected}
    if status != "ACCEPTED":
        assert {each["status"]["groupName"] for each in entries} == {status}


def test_filters(system: System, application: Application) -> None:
    other = make_application()
    options = {"campaignReferenceId": "c", "platform": {"entityId": "e", "applicationId": "a"}}
    (first,) = send(system, application, NOBODY, bulk_id="one", options=options)
    device = make_registration(other)
    (second,) = send(system, other, to(device, messageId="mine"), bulk_id="two")

    mine = str(device.address.public_id)
    for query, found in {
        f"sender={application.code}": [first],
        "destination=nobody": [first],
        f"destination={mine}": [second],
        "bulkId=one": [first],
        "bulkId=one,two": [second, first],
        "bulkId=,": [second, first],
        "messageId=mine": [second],
        f"messageId=mine,{first},x": [second, first],
        "campaignReferenceId=c,d": [first],
        "entityId=e": [first],
        "applicationId=a": [first],
        "entityId=e&sender=x": [],
        "destination=nobod": [],
        "unknown=x": [second, first],
    }.items():
        assert names(read(system, query)) == found, query
    carry_out()
    assert names(read(system, "messageId=mine")) == [second]
    assert names(read(system, f"messageId={Message.objects.get().pk}")) == [second]


def test_bounds_of_time_are_exclusive(system: System, application: Application) -> None:
    send(system, application, NOBODY)
    at = timezone.now().replace(microsecond=500_000)
    Destination.objects.update(starts_at=at)
    same = quote(at.isoformat(timespec="milliseconds"))
    before = quote((at - timedelta(milliseconds=1)).isoformat())

    assert read(system, f"sentSince={same}") == read(system, f"sentUntil={same}") == []
    assert len(read(system, f"sentSince={before}")) == 1
    assert read(system, f"sentUntil={before}") == []


def test_entries_are_kept_for_48_hours(system: System, application: Application) -> None:
    send(system, application, NOBODY)
    Destination.objects.update(starts_at=timezone.now() - timedelta(hours=48, seconds=1))
    assert read(system) == []


def test_what_is_for_later_is_an_entry_until_it_is_sent(
    system: System, application: Application
) -> None:
    make_registration(application, person=make_person(external_id="jane"))
    at = timezone.now() + timedelta(days=3)
    jane = {"type": "EXTERNAL_USER_ID", "externalUserId": "jane"}
    (name,) = send(system, application, jane, options={"sendAt": at.isoformat()})
    assert [each["status"]["id"] for each in read(system)] == [26]

    with time_machine.travel(at + timedelta(seconds=1), tick=False):
        carry_out()
    (entry,) = read(system)
    assert (entry["messageId"], entry["status"]["id"]) == (name, 7)


# ------------------------------------------------------------------- pages


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_a_cursor_leads_through_everything_once(
    system: System, application: Application, limit: int
) -> None:
    phones = [make_registration(application, platform=Platform.IOS) for _ in range(4)]
    rule = {"type": "MULTIPLE", "$or": [{"platform": "iOS"}]}
    send(system, application, NOBODY)
    send(system, application, rule, to(phones[0]))
    send(system, application, NOBODY, NOBODY)
    carry_out()

    everything = names(read(system))
    assert len(set(everything)) == len(everything) == 8
    pages, cursor = [], ""
    while True:
        query = f"limit={limit}&useCursor=true" + (f"&cursor={cursor}" if cursor else "")
        page = system.get(f"{LOGS}?{query}").json()
        pages += names(page["results"])
        assert page["cursor"]["limit"] == limit
        assert len(page["results"]) == limit or "nextCursor" not in page["cursor"]
        if "nextCursor" not in page["cursor"]:
            break
        cursor = page["cursor"]["nextCursor"]
    assert pages == everything


def test_without_a_cursor_none_is_given(system: System, application: Application) -> None:
    send(system, application, NOBODY, NOBODY)
    assert list(system.get(f"{LOGS}?limit=1").json()) == ["results"]


# ------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("generalStatus=LOST", "generalStatus"),
        ("sentSince=yesterday", "sentSince"),
        ("sentUntil=2026-13-01T00:00:00Z", "sentUntil"),
        ("useCursor=maybe", "useCursor"),
        ("cursor=forged", "cursor"),
        ("bulkId=" + "x" * 2049, "bulkId"),
        ("messageId=" + "x" * 2049, "messageId"),
        ("campaignReferenceId=" + "x" * 2049, "campaignReferenceId"),
        ("sender=%00", "sender"),
        ("sender=" + "x" * 256, "sender"),
    ],
)
def test_a_query_is_refused_with_the_name_of_its_fault(
    system: System, query: str, name: str
) -> None:
    answer = system.get(f"{LOGS}?{query}")

    assert answer.status_code == 400
    assert answer.json()["errorCode"] == "E400"
    assert [each["property"] for each in answer.json()["violations"]] == [name]


def test_a_search_that_takes_too_long_is_refused(
    system: System, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(system, application, *[NOBODY] * 1000)
    monkeypatch.setattr(push_logs, "PATIENCE", "1ms")
    answer = system.get(f"{LOGS}?limit=1000&generalStatus=DELIVERED")

    assert answer.status_code == 400
    (violation,) = answer.json()["violations"]
    assert violation["violation"].startswith("takes too long: narrow it down")


@time_machine.travel("2026-11-20T15:00:20+00:00", tick=False)
def test_who_may_read_logs_and_how_often(system: System, settings: Any) -> None:
    make_key("sender", scopes=["message:send"])
    make_key("reader", scopes=["mobile-app-messaging:logs:read"])
    assert system.get(LOGS, Authorization="App sender").status_code == 403
    assert system.get(LOGS, Authorization="App reader").status_code == 200

    settings.PUSH_LOGS_PER_MINUTE = 2  # one of them above
    assert system.get(LOGS).status_code == 200
    answer = system.get(LOGS)
    assert (answer.status_code, answer["Retry-After"]) == (429, "40")
