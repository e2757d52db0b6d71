"""When messages start: section 4 of contract/push.md."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from api.infobip import push_schemas
from campaigns import fanout
from campaigns.models import (
    Bulk,
    Chunk,
    Destination,
    Rejection,
)
from devices.models import Application, Platform, Registration
from tests.api.pushing import NOBODY, SEND, message, request_of, sent, status_of, to
from tests.api.systems import System
from tests.factories import (
    make_person,
    make_registration,
    make_registrations,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def test_what_is_for_later_is_looked_up_when_it_starts(
    system: System, application: Application
) -> None:
    person = make_person(external_id="jane")
    at = timezone.now() + timedelta(hours=1)
    answer = system.post(
        SEND,
        request_of(
            message(
                application,
                {"type": "EXTERNAL_USER_ID", "externalUserId": "jane", "messageId": "mine"},
                NOBODY,
                {"type": "MULTIPLE", "$or": [{"externalUserId": "jane"}]},
            ),
            sendAt=at.isoformat(),
        ),
    )

    assert [status_of(answer, number) for number in range(3)] == [(26, "PENDING_ACCEPTED")] * 3
    assert not Chunk.objects.exists()
    device = make_registration(application, person=person)
    for bulk in Bulk.objects.all():
        assert (bulk.status, bulk.starts_at) == ("pending", at)
        assert fanout.freeze(bulk) == 0

    with time_machine.travel(at + timedelta(seconds=1), tick=False):
        for bulk in Bulk.objects.all():
            assert fanout.freeze(bulk) == 1
    assert [chunk.recipients for chunk in Chunk.objects.all()] == [[device.pk]] * 2
    first, nobody, rule = Destination.objects.order_by("pk")
    assert (first.public_id, first.registration_id, first.devices) == ("mine", device.pk, 1)
    assert (nobody.rejection, nobody.devices) == (Rejection.NOBODY, 0)
    assert (rule.devices, rule.rejection) == (1, 0)


def test_a_later_person_with_several_devices_fills_sibling_bulks(
    system: System, application: Application, jane: list[Registration]
) -> None:
    at = timezone.now() + timedelta(minutes=1)
    told = {"type": "EXTERNAL_USER_ID", "externalUserId": "jane"}
    answer = system.post(
        SEND, request_of(message(application, told, told), bulkId="b", sendAt=at.isoformat())
    )
    bulk = Bulk.objects.get()
    with time_machine.travel(at + timedelta(seconds=1), tick=False):
        assert fanout.freeze(bulk) == 2

    assert [(each.bulk_id, each.status, each.audience) for each in Bulk.objects.order_by("pk")] == [
        ("b", "sending", 2),
        ("b", "sending", 2),
    ]
    rows = Destination.objects.all()
    assert len({row.message_from for row in rows}) == 4
    ids = [each["messageId"] for each in answer.json()["messages"]]
    assert sorted(row.public_id for row in rows) == sorted(ids * 2)


def test_a_time_in_the_past_is_now_and_the_message_s_own_wins(
    system: System, application: Application
) -> None:
    device = make_registration(application)
    past = {"sendAt": "2020-01-01T00:00:00.000+0000"}
    later = (timezone.now() + timedelta(days=1)).isoformat()
    answer = system.post(
        SEND, request_of(message(application, to(device), options=past), sendAt=later)
    )

    assert status_of(answer) == (7, "PENDING_ENROUTE")
    assert abs(Bulk.objects.get().starts_at - timezone.now()) < timedelta(minutes=1)


FOUR_AND_TWO = [Platform.ANDROID] * 4 + [Platform.IOS] * 2


@pytest.mark.parametrize(
    ("limit", "size", "gap"),
    [
        ({"amount": 1}, 1, 60.0),
        ({"amount": 24, "timeUnit": "DAY"}, 1, 3600.0),
        ({"amount": 7200, "timeUnit": "HOUR"}, 2, 1.0),
    ],
)
def test_a_speed_limit_spreads_the_start_evenly(
    system: System, application: Application, limit: dict[str, Any], size: int, gap: float
) -> None:
    devices = [make_registration(application, platform=p) for p in FOUR_AND_TWO]
    system.post(
        SEND,
        request_of(
            message(application, *map(to, devices[:4])),
            message(application, *map(to, devices[4:])),
            sendingSpeedLimit=limit,
        ),
    )
    rule = {"type": "MULTIPLE", "$or": [{"platform": "iOS"}, {"platform": "Android"}]}
    system.post(SEND, request_of(message(application, rule), sendingSpeedLimit=limit))
    fanout.freeze(Bulk.objects.latest("pk"))

    last = Bulk.objects.latest("pk")
    for chunks in (Chunk.objects.exclude(bulk=last), Chunk.objects.filter(bulk=last)):
        starts = [chunk.not_before for chunk in chunks.order_by("not_before")]
        assert {chunk.size for chunk in chunks} == {size}
        assert {(b - a).total_seconds() for a, b in pairwise(starts)} == {gap}


@pytest.mark.parametrize("by_rule", [False, True])
@time_machine.travel("2026-11-20T15:00:00+00:00", tick=False)
def test_a_speed_limit_holds_within_the_delivery_window(
    system: System, application: Application, by_rule: bool
) -> None:
    devices = make_registrations(application, 130)
    now = timezone.now()
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    window = {
        "days": [push_schemas.DAYS[tomorrow.weekday()]],
        "from": {"hour": 0, "minute": 0},
        "to": {"hour": 1, "minute": 0},
    }
    rule = {"type": "MULTIPLE", "$or": [{"platform": "Android"}]}
    wanted = [rule] if by_rule else [to(device) for device in devices]
    answer = system.post(
        SEND,
        request_of(
            message(application, *wanted, options={"deliveryTimeWindow": window}),
            sendingSpeedLimit={"amount": 1},
        ),
    )
    bulk = Bulk.objects.get()
    fanout.freeze(bulk)

    assert status_of(answer) == (26, "PENDING_ACCEPTED")
    starts = list(Chunk.objects.order_by("not_before").values_list("not_before", flat=True))
    end = bulk.starts_at + timedelta(hours=48)
    within = [tomorrow + timedelta(minutes=number) for number in range(60)]
    assert starts[:60] == within
    assert set(starts[60:]) == {end}, "the rest would leave when its validity is over"


def test_a_bulk_remembers_when_it_may_be_delivered(
    system: System, application: Application
) -> None:
    bulk = sent(
        system,
        application,
        options={
            "deliveryTimeWindow": {
                "days": ["SUNDAY", "MONDAY", "MONDAY"],
                "from": {"hour": 22, "minute": 30},
                "to": {"hour": 1, "minute": 0},
            }
        },
    )
    assert bulk.window == {"days": [0, 6], "from": 1350, "to": 60}
