"""The frequency cap: exact, also for campaigns that start at the same moment."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from campaigns import (
    capping,
    composing,
    dispatch,
    fanout,
    folding,
    ids,
    ledger,
    statistics,
    whynot,
)
from campaigns.batches import packed
from campaigns.models import Bulk, CapUse, Chunk, Message, Reason
from campaigns.store import store
from campaigns.whynot import Passage
from devices.models import Application, ProviderCredential, Registration, Role
from providers.base import Cause, Outcome, Verdict
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_person,
    make_registration,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]


@pytest.fixture
def capped() -> Application:
    return make_application(cap_count=2, cap_hours=24)


def send(application: Application, *, at: datetime | None = None, **given: Any) -> Bulk:
    """A bulk of which the audience is frozen."""
    at = at or timezone.now() - timedelta(minutes=1)
    bulk = make_bulk(application, starts_at=at, **given)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def test_who_had_as_many_pushes_as_allowed_is_left_out(capped: Application) -> None:
    make_registration(capped)
    assert [send(capped).audience for _ in range(4)] == [1, 1, 0, 0]
    newest = Bulk.objects.latest("pk")
    assert [(each.reason, each.count) for each in statistics.reasons(newest)] == [
        (Reason.CAPPED, 1)
    ]
    assert (newest.status, newest.left_out) == (Bulk.Status.DONE, 1)


def test_hours_roll_and_what_is_past_them_counts_no_more(capped: Application) -> None:
    make_registration(capped)
    now = timezone.now()
    send(capped, at=now - timedelta(hours=25))
    send(capped, at=now - timedelta(hours=2))
    assert send(capped, at=now - timedelta(hours=1)).audience == 1
    assert send(capped, at=now - timedelta(minutes=1)).audience == 0


def test_devices_of_one_person_share_a_push(capped: Application) -> None:
    person = make_person()
    make_registrations(capped, 2, person=person)
    assert [send(capped).audience for _ in range(3)] == [2, 2, 0]
    make_registration(capped)  # of nobody we know
    assert send(capped).audience == 1


def test_transactional_ones_are_neither_stopped_nor_counted(capped: Application) -> None:
    make_registration(capped)
    for _ in range(3):
        assert send(capped, delivery={"transactional": True}).audience == 1
    assert [send(capped).audience for _ in range(3)] == [1, 1, 0]


def test_other_applications_do_not_count(capped: Application) -> None:
    person, other = make_person(), make_application(cap_count=1, cap_hours=1)
    make_registration(capped, person=person)
    make_registration(other, person=person)
    assert send(other).audience == 1
    assert send(capped).audience == 1


def test_what_failed_does_not_count(capped: Application, cloud_for: CloudFor) -> None:
    cloud = cloud_for(make_credential(capped))
    make_registration(capped)
    cloud.answer = lambda one: Outcome(
        verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED, status=400
    )
    send(capped)
    assert CapUse.objects.count() == 1
    dispatch.work(seconds=60)
    assert not CapUse.objects.exists()


ENDS = [
    # what is said of a push that a cloud had accepted, and whether it counts on
    (Message.State.FAILED, Reason.UNINSTALLED, 0),
    (Message.State.EXPIRED, Reason.NOTIFICATIONS_OFF, 0),
    (Message.State.EXPIRED, Reason.REPLACED, 0),
    (Message.State.DELIVERED, Reason.NONE, 1),
    (Message.State.EXPIRED, Reason.WITHDRAWN, 1),  # nobody knows whether it was shown
]


@pytest.mark.parametrize(("state", "reason", "counts"), ENDS)
def test_what_a_cloud_accepted_counts_until_it_says_that_nobody_got_it(
    capped: Application,
    cloud_for: CloudFor,
    state: Message.State,
    reason: Reason,
    counts: int,
) -> None:
    cloud_for(make_credential(capped))
    device, other = make_registrations(capped, 2)
    bulk = send(capped)
    dispatch.work(seconds=60)
    told = packed(ids.message_id(bulk, device.pk), state, timezone.now(), int(reason))

    for _ in range(2):  # clouds repeat themselves
        folding.fold([(capped.pk, None, [told])])

    uses = Counter(CapUse.objects.values_list("registration_id", flat=True))
    assert (uses[device.pk], uses[other.pk]) == (counts, 1)


REFUSED = Outcome(verdict=Verdict.REJECTED, cause=Cause.PAYLOAD_REFUSED, status=400)
TAKEN = Outcome(verdict=Verdict.ACCEPTED, status=200)
NO_ANSWER = Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER)
PERHAPS = Outcome(
    verdict=Verdict.TRY_LATER, cause=Cause.CLOUD_UNAVAILABLE, status=503, may_have_sent=True
)


@pytest.mark.parametrize(
    "answers",
    [[NO_ANSWER], [PERHAPS, REFUSED], [PERHAPS, TAKEN]],
    ids=["never answered", "refused when it was repeated", "repeated, and refused later"],
)
def test_what_may_have_been_shown_counts(
    capped: Application, cloud_for: CloudFor, answers: list[Outcome]
) -> None:
    given = iter(answers)
    cloud_for(make_credential(capped)).answer = lambda one: next(given)
    device = make_registration(capped)
    message = ids.message_id(send(capped), device.pk)
    for _ in answers:
        store().flushdb()  # the pause that the cloud's answer began
        Chunk.objects.update(not_before=timezone.now() - timedelta(days=1))
        dispatch.work(seconds=60)
    failed = packed(message, Message.State.FAILED, timezone.now(), int(Reason.UNINSTALLED))
    if answers[-1] is TAKEN:
        folding.fold([(capped.pk, None, [failed])])

    assert next(given, None) is None
    assert CapUse.objects.count() == 1


def test_a_late_answer_gives_back_what_nobody_got_alone(capped: Application) -> None:
    gone, got = make_registrations(capped, 2)
    bulk, now = send(capped), timezone.now()
    for device in (gone, got):
        Message.objects.create(
            id=ids.message_id(bulk, device.pk), bulk=bulk, registration=device, sent_at=now,
            platform=device.platform, state=Message.State.UNKNOWN, reason=Reason.WORKER_LOST,
        )  # fmt: skip
    shown = packed(ids.message_id(bulk, got.pk), Message.State.DELIVERED, now)
    folding.fold([(capped.pk, None, [shown])])
    assert CapUse.objects.count() == 2

    failed = [
        ledger.Row(device.pk, Message.State.FAILED, Reason.CLOUD_UNAVAILABLE)
        for device in (gone, got)
    ]
    ledger.record_late(bulk, failed)

    assert CapUse.objects.get().registration_id == got.pk


def test_a_late_failure_of_what_was_delivered_gives_nothing_back(
    capped: Application, cloud_for: CloudFor
) -> None:
    cloud_for(make_credential(capped))
    device = make_registration(capped)
    message, now = ids.message_id(send(capped), device.pk), timezone.now()
    dispatch.work(seconds=60)

    folding.fold([(capped.pk, None, [packed(message, Message.State.DELIVERED, now)])])
    failed = packed(message, Message.State.FAILED, now, int(Reason.UNINSTALLED))
    folding.fold([(capped.pk, None, [failed])])

    assert CapUse.objects.count() == 1


def test_what_was_accepted_counts(capped: Application, cloud_for: CloudFor) -> None:
    cloud_for(make_credential(capped))
    make_registration(capped)
    send(capped)
    dispatch.work(seconds=60)
    assert CapUse.objects.count() == 1


def test_what_was_cancelled_does_not_count(capped: Application) -> None:
    devices = make_registrations(capped, 3)
    bulk = send(capped, campaign=make_campaign(capped))
    Chunk.objects.filter(bulk=bulk).update(cursor=1)  # the first was sent to
    assert bulk.campaign is not None
    composing.cancel(bulk.campaign, make_user(Role.MARKETER, capped))
    assert [use.registration_id for use in CapUse.objects.all()] == [devices[0].pk]


def test_what_is_promised_for_later_counts_now(capped: Application) -> None:
    """Two campaigns in recipients' time are frozen; in Hawaii's evening both are to come."""
    make_registration(capped, timezone_offset=-600)
    first = timezone.now() - timedelta(hours=1)
    wall = first + timedelta(hours=3) - timedelta(minutes=600)
    local = {
        "timing": {"kind": "local", "date": f"{wall:%Y-%m-%d}", "time": f"{wall:%H:%M}"}
    }  # fmt: skip
    for _ in range(2):
        assert send(capped, at=first, delivery=dict(local)).audience == 1
    assert send(capped).audience == 0


def test_the_review_knows_how_many_are_at_the_cap(capped: Application) -> None:
    make_registrations(capped, 2)
    send(capped)
    send(capped)
    make_registration(capped)
    everybody = Registration.objects.filter(application=capped).values("pk")
    assert capping.full_now(capped, everybody) == 2
    assert capping.full_now(make_application(), everybody) == 0


def test_why_not_names_the_cap_and_what_was_counted(capped: Application) -> None:
    device = make_registration(capped)
    Registration.objects.filter(pk=device.pk).update(created_at=timezone.now() - timedelta(days=9))
    device.refresh_from_db()
    for name in ("Flash sale", "Teaser"):
        send(capped, campaign=make_campaign(capped, name=name))
    transactional = make_campaign(capped, name="Order shipped")
    send(capped, campaign=transactional, delivery={"transactional": True})
    bulk = send(capped, campaign=make_campaign(capped, name="Friday sale"))
    Application.objects.filter(pk=capped.pk).update(cap_count=9)  # later: not what was used

    gate = next(each for each in whynot.gates(bulk, device) if each.name == "Frequency cap")

    assert gate.passage is Passage.STOPPED
    assert gate.told.startswith("2 pushes in 24 h was this application's limit: Flash sale, ")
    assert "; Teaser, " in gate.told
    assert "Order shipped" not in gate.told


def test_old_uses_are_forgotten(capped: Application, settings: Any) -> None:
    settings.MESSAGE_RETENTION_DAYS = 30
    make_registration(capped)
    send(capped, at=timezone.now() - timedelta(days=31))
    send(capped)
    assert capping.drop_old() == 1
    assert CapUse.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_campaigns_that_start_at_once_count_each_other() -> None:
    application = make_application(cap_count=3, cap_hours=24)
    make_registrations(application, 20)
    bulks = [make_bulk(application) for _ in range(6)]
    ready = threading.Barrier(len(bulks))

    def start(bulk: Bulk) -> None:
        try:
            ready.wait(timeout=60)
            fanout.freeze(bulk)
        finally:
            connection.close()

    threads = [threading.Thread(target=start, args=[bulk]) for bulk in bulks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    sizes = sorted(Bulk.objects.values_list("audience", flat=True))
    assert sizes == [0, 0, 0, 20, 20, 20]
    assert CapUse.objects.count() == 60


@pytest.mark.django_db(transaction=True)
def test_a_caller_of_the_api_waits_for_an_audience_that_is_being_frozen() -> None:
    application = make_application(cap_count=1, cap_hours=24)
    person = make_person()
    make_registration(application, person=person)
    bulk = make_bulk(application)
    asking, found = threading.Event(), []

    def ask() -> None:
        try:
            with transaction.atomic():
                asking.set()
                capping.share(application.pk)
                found.append(capping.counted([person.pk], application, timezone.now()))
        finally:
            connection.close()

    with transaction.atomic():
        capping.lock(application.pk)
        thread = threading.Thread(target=ask)
        thread.start()
        assert asking.wait(timeout=60)
        fanout.freeze(bulk)
    thread.join(timeout=60)

    assert found == [{person.pk: 1}]
