"""api.infobip.push_reports: each report once. Sections: contract/push.md."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from campaigns import expiring, handing_out, ids, ledger, partitions, reconciling, reports
from campaigns.ledger import Row
from campaigns.models import Bulk, Message, Reason, Report, UsedId
from campaigns.store import store
from devices.models import Application, Platform
from tests.api.pushing import DELIVERED, NO_ERROR, to
from tests.api.sending import Outcome, carry_out, receive, send
from tests.api.systems import System
from tests.api.vendor import assert_error, assert_status
from tests.factories import (
    make_bulk,
    make_person,
    make_registration,
    make_registrations,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

NEWER, OLDER = "/push/3/reports", "/push/1/reports"


def take(system: System, query: str = "", path: str = NEWER) -> list[dict[str, Any]]:
    answer = system.get(f"{path}{query}")
    assert answer.status_code == 200, answer.content
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def names(reports: list[dict[str, Any]]) -> set[str]:
    return {each["messageId"] for each in reports}


def test_done_is_never_before_sent(system: System, application: Application) -> None:
    """A device that is quick says so before the cloud's answer is noted."""
    send(system, application, to(make_registration(application)))
    at = timezone.now()
    (sent,) = carry_out(at=at)
    receive(application, sent, at=at - timedelta(milliseconds=400))

    (report,) = take(system)
    (entry,) = system.get("/push/3/logs").json()["results"]

    assert report["doneAt"] == report["sentAt"]
    assert entry["doneAt"] == entry["sentAt"]


def test_a_report_is_handed_out_once(system: System, application: Application) -> None:
    device = make_registration(application)
    (name,) = send(
        system,
        application,
        to(device),
        bulk_id="b",
        options={
            "campaignReferenceId": "summersale",
            "platform": {"entityId": "e", "applicationId": "a"},
        },
        webhooks={"callbackData": "o-7"},
    )
    at = timezone.now().replace(microsecond=86_000) + timedelta(seconds=2)
    (sent,) = carry_out(at=at - timedelta(seconds=1))
    assert take(system) == [], "on its way"
    receive(application, sent, at=at)

    times = [f"{each:%Y-%m-%dT%H:%M:%S}.086+0000" for each in (at - timedelta(seconds=1), at)]
    assert take(system) == [
        {
            "bulkId": "b",
            "messageId": name,
            "to": str(device.address.public_id),
            "sender": application.code,
            "sentAt": times[0],
            "doneAt": times[1],
            "messageCount": 1,
            "mccMnc": None,
            "price": {"pricePerMessage": 0, "currency": "UNKNOWN"},
            "status": DELIVERED,
            "error": NO_ERROR,
            "callbackData": "o-7",
            "campaignReferenceId": "summersale",
            "platform": {"entityId": "e", "applicationId": "a"},
        }
    ]
    assert take(system) == take(system, path=OLDER) == []
    receive(application, sent, state=Message.State.SEEN)
    assert take(system) == [], "seen is no other end"


def test_the_older_call_says_less_of_the_same_reports(
    system: System, application: Application
) -> None:
    device = make_registration(application)
    options = {"campaignReferenceId": "c", "platform": {"entityId": "e"}}
    said = {"options": options, "webhooks": {"callbackData": "o-7"}}
    (name,) = send(system, application, to(device), bulk_id="b", **said)
    carry_out((Message.State.FAILED, Reason.UNINSTALLED))

    assert take(system, "?messageId=other", path=OLDER) == []
    (report,) = take(system, f"?messageId={name}", path=OLDER)
    assert {key: value for key, value in report.items() if not key.endswith("At")} == {
        "bulkId": "b",
        "messageId": name,
        "to": str(device.address.public_id),
        "messageCount": 1,
        "mccMnc": None,
        "price": {"pricePerMessage": 0, "currency": "UNKNOWN"},
        "status": {
            "groupId": 2,
            "groupName": "UNDELIVERABLE",
            "id": 9,
            "name": "UNDELIVERABLE_NOT_DELIVERED",
            "description": "Message sent not delivered",
        },
        "error": {
            "groupId": 1,
            "groupName": "HANDSET_ERRORS",
            "id": 8001,
            "name": "EC_DEVICE_APP_UNINSTALL",
            "description": "Application uninstalled",
            "permanent": True,
        },
        "channel": "PUSH",
        "callbackData": "o-7",
    }
    assert take(system) == []


FAILED, EXPIRED = Message.State.FAILED, Message.State.EXPIRED


@pytest.mark.parametrize(
    ("outcome", "platform", "status", "error"),  # contract/push.md 9
    [
        ((FAILED, Reason.UNINSTALLED), Platform.IOS, 9, 8001),
        ((FAILED, Reason.MISMATCHED_SENDER), Platform.IOS, 9, 8002),
        ((FAILED, Reason.MALFORMED_TOKEN), Platform.IOS, 9, 8004),
        ((FAILED, Reason.REGISTRATION_GONE), Platform.IOS, 9, 8004),
        ((FAILED, Reason.NO_TOKEN), Platform.IOS, 9, 8004),
        ((FAILED, Reason.DISABLED), Platform.IOS, 9, 8013),
        ((FAILED, Reason.CLOUD_ERROR), Platform.IOS, 9, 8005),
        ((FAILED, Reason.CLOUD_UNAVAILABLE), Platform.IOS, 9, 8005),
        ((FAILED, Reason.CREDENTIAL_REFUSED), Platform.ANDROID, 9, 8006),
        ((FAILED, Reason.CREDENTIAL_REFUSED), Platform.IOS, 9, 8007),
        ((FAILED, Reason.PROVIDER_OFF), Platform.IOS, 9, 8008),
        ((FAILED, Reason.INTERNAL), Platform.IOS, 9, 8009),
        ((FAILED, Reason.PAYLOAD_REFUSED), Platform.IOS, 9, 8010),
        ((FAILED, Reason.TOO_LARGE), Platform.IOS, 9, 8010),
        ((FAILED, Reason.NOTIFICATIONS_OFF), Platform.HUAWEI, 15, 4101),
        ((EXPIRED, Reason.TOO_LATE), Platform.IOS, 15, 4100),
        ((EXPIRED, Reason.NOT_IN_TIME), Platform.IOS, 15, 4101),
        ((EXPIRED, Reason.NEVER_LEARNED), Platform.IOS, 29, 4101),
    ],
)
def test_each_end_has_its_status_and_error(
    system: System,
    application: Application,
    outcome: Outcome,
    platform: Platform,
    status: int,
    error: int,
) -> None:
    send(system, application, to(make_registration(application, platform=platform)))
    carry_out(outcome)

    (report,) = take(system)
    (entry,) = system.get("/push/3/logs").json()["results"]
    for told in (report, entry):
        assert_status(told["status"], status)
        assert_error(told["error"], error)


# ------------------------------------------------------------------- ids: DESIGN 6.5


def test_a_caller_knows_a_message_by_its_own_id(system: System, application: Application) -> None:
    device = make_registration(application)
    (name,) = send(system, application, to(device, messageId="mine"))
    (sent,) = carry_out()
    receive(application, sent)

    assert name == "mine"
    assert names(take(system, "?messageId=other")) == set()
    assert names(take(system, "?messageId=mine")) == {"mine"}


def test_what_the_phone_knows_finds_it_too(system: System, application: Application) -> None:
    send(system, application, to(make_registration(application), messageId="mine"))
    (sent,) = carry_out()
    receive(application, sent)

    assert names(take(system, f"?messageId={sent}")) == {"mine"}


@pytest.mark.parametrize("kind", ["EXTERNAL_USER_ID", "MULTIPLE"])
def test_several_devices_have_ids_of_their_own_and_share_the_answer_s(
    system: System, application: Application, kind: str
) -> None:
    person = make_person(external_id="jane")
    devices = [make_registration(application, person=person) for _ in range(2)]
    (other,) = send(system, application, to(devices[0]))
    told = {
        "EXTERNAL_USER_ID": {"type": kind, "externalUserId": "jane"},
        "MULTIPLE": {"type": kind, "$or": [{"externalUserId": "jane"}]},
    }
    (name,) = send(system, application, told[kind], bulk_id="b")
    receive(application, *carry_out())
    mine = {str(ids.message_id(Bulk.objects.get(bulk_id="b"), device.pk)) for device in devices}

    reports = take(system, f"?messageId={name}")
    assert names(reports) == mine
    assert {each["to"] for each in reports} == {str(d.address.public_id) for d in devices}
    assert names(take(system)) == {other}


def test_a_rule_with_one_device_keeps_the_id_of_the_answer(
    system: System, application: Application
) -> None:
    make_registration(application, platform=Platform.IOS)
    rule = {"type": "MULTIPLE", "$or": [{"platform": "iOS"}]}
    (name,) = send(system, application, rule)
    receive(application, *carry_out())

    assert names(take(system)) == {name}


# ------------------------------------------------------------------- filters


def test_filters_choose_and_the_rest_stays(system: System, application: Application) -> None:
    known = {}
    for letter in "abc":
        (known[letter],) = send(
            system,
            application,
            to(make_registration(application)),
            bulk_id=f"bulk-{letter}",
            options={
                "campaignReferenceId": f"ref-{letter}",
                "platform": {"entityId": f"entity-{letter}", "applicationId": f"app-{letter}"},
            },
        )
    receive(application, *carry_out())

    for query in ("bulkId=x", "campaignReferenceId=x", "entityId=x", "applicationId=x"):
        assert take(system, f"?{query}") == []
    assert take(system, "?bulkId=bulk-a&campaignReferenceId=ref-b") == []
    assert names(take(system, "?bulkId=bulk-a&campaignReferenceId=ref-a")) == {known["a"]}
    assert names(take(system, "?entityId=entity-b&applicationId=app-b")) == {known["b"]}
    assert names(take(system)) == {known["c"]}


def test_the_newest_come_first_and_the_limit_holds(
    system: System, application: Application
) -> None:
    sent = []
    for _ in range(3):
        sent += send(system, application, to(make_registration(application)))
        receive(application, *carry_out())

    assert [each["messageId"] for each in take(system, "?limit=2")] == sent[:0:-1]
    assert [each["messageId"] for each in take(system, "?limit=2")] == sent[:1]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "²", "9" * 50])
@pytest.mark.parametrize("path", [NEWER, OLDER])
def test_a_wrong_limit_is_refused(system: System, path: str, limit: str) -> None:
    answer = system.get(f"{path}?limit={limit}")

    assert answer.status_code == 400
    if path == NEWER:
        assert answer.json()["violations"][0]["property"] == "limit"
    else:
        error = answer.json()["requestError"]["serviceException"]
        assert error["messageId"] == "BAD_REQUEST"
        assert error["text"].startswith("limit must be")


def test_campaigns_of_the_dashboard_are_not_reported(
    system: System, application: Application
) -> None:
    make_registration(application)
    Bulk.objects.create(
        application=application, starts_at=timezone.now() - timedelta(seconds=1),
        content=[{"text": "x"}], rule={"all": []},
    )  # fmt: skip
    receive(application, *carry_out())

    assert Message.objects.filter(state=Message.State.DELIVERED).count() == 1
    assert take(system) == []


def test_reports_are_kept_for_48_hours(system: System, application: Application) -> None:
    send(system, application, to(make_registration(application), messageId="mine"))
    receive(application, *carry_out())

    Report.objects.update(at=timezone.now() - timedelta(hours=48, seconds=1))
    assert take(system) == []
    handing_out.drop_old()
    assert Report.objects.count() == UsedId.objects.count() == 1
    Report.objects.update(at=timezone.now() - timedelta(hours=50))
    UsedId.objects.update(used_at=timezone.now() - timedelta(hours=50))
    assert handing_out.drop_old() == 1
    assert Report.objects.count() == UsedId.objects.count() == 0


# ------------------------------------------------------------------- the end of a validity: 4, 5


def test_what_gets_no_sign_expires_and_stays_so(system: System, application: Application) -> None:
    partitions.make_ahead()
    devices = make_registrations(application, 3)
    validity = {"validityPeriod": {"amount": 30, "timeUnit": "SECONDS"}}
    lost, *_ = (device.pk for device in devices)
    send(system, application, *map(to, devices), bulk_id="b", options=validity)
    carry_out(devices={lost: (Message.State.UNKNOWN, Reason.NO_ANSWER)})
    bulk = Bulk.objects.get()
    late, arrived = (ids.message_id(bulk, device.pk) for device in devices[1:])
    receive(application, arrived)
    assert expiring.expire(seconds=10) == 0

    with time_machine.travel(bulk.starts_at + timedelta(seconds=31), tick=False):
        assert expiring.expire(seconds=10) == 2
        assert expiring.expire(seconds=10) == 0
        receive(application, late)
    statuses = Counter(each["status"]["id"] for each in take(system))
    assert statuses == {5: 1, 15: 1, 29: 1}
    assert reconciling.differences(bulk) == []
    totals = system.get("/push/1/statistics?bulkId=b").json()
    assert totals["errors"] == {"registration": 0, "expired": 2, "cloud": 0}
    assert (totals["totalSent"], totals["delivered"]) == (3, 1)


def test_nothing_expires_while_what_its_phone_said_is_not_read_yet(
    system: System, application: Application
) -> None:
    moment = timezone.now()
    store().xadd(reports.STREAM, {"r": "[]"}, id=f"{int(moment.timestamp() * 1000) - 3_600_000}-0")
    try:
        Bulk.objects.filter(pk=make_bulk(application, origin=Bulk.Origin.API).pk).update(
            status=Bulk.Status.DONE, expires_at=moment - timedelta(minutes=30)
        )
        expiring.expire(seconds=5)
        assert Bulk.objects.filter(expires_at__isnull=False).count() == 1
    finally:
        store().delete(reports.STREAM)

    expiring.expire(seconds=5)
    assert not Bulk.objects.filter(expires_at__isnull=False).exists()


def test_a_bulk_that_still_sends_is_not_expired(system: System, application: Application) -> None:
    send(system, application, to(make_registration(application)))
    bulk = Bulk.objects.get()

    with time_machine.travel(bulk.starts_at + timedelta(days=3), tick=False):
        assert expiring.expire(seconds=10) == 0
    carry_out()
    with time_machine.travel(bulk.starts_at + timedelta(days=3), tick=False):
        assert expiring.expire(seconds=10) == 1


def test_many_messages_are_expired_in_parts(
    system: System, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "MESSAGES", 2)
    send(system, application, *map(to, make_registrations(application, 5)))
    carry_out()

    with time_machine.travel(timezone.now() + timedelta(days=3), tick=False):
        assert expiring.expire(seconds=30) == 5
    assert Message.objects.filter(reason=Reason.NOT_IN_TIME).count() == 5


def test_an_answer_after_the_lease_is_reported(system: System, application: Application) -> None:
    device = make_registration(application)
    send(system, application, to(device))
    carry_out((Message.State.UNKNOWN, Reason.WORKER_LOST))
    assert take(system) == []

    ledger.record_late(Bulk.objects.get(), [Row(device.pk, FAILED, Reason.UNINSTALLED)])
    assert [each["error"]["id"] for each in take(system)] == [8001]


# ------------------------------------------------------------------- many readers


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("paths", [(NEWER, OLDER), (NEWER,), (OLDER,)])
def test_twenty_readers_get_each_report_once(
    system: System, application: Application, settings: Any, paths: tuple[str, ...]
) -> None:
    settings.OLDER_PUSH_CALLS_PER_SECOND = 100_000
    devices = make_registrations(application, 200)
    send(system, application, *map(to, devices))
    receive(application, *carry_out())

    def read(number: int) -> list[str]:
        path = paths[number % len(paths)]
        mine: list[str] = []
        try:
            while found := take(System(), "?limit=7", path):
                mine += [each["messageId"] for each in found]
        finally:
            connection.close()
        return mine

    with ThreadPoolExecutor(20) as readers:
        taken = Counter(name for mine in readers.map(read, range(20)) for name in mine)

    assert set(taken.values()) == {1}
    assert len(taken) + len(take(system, "?limit=1000")) == 200
    assert {uuid.UUID(name) for name in taken} <= set(Message.objects.values_list("pk", flat=True))
