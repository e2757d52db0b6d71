"""campaigns.excluding: the do-not-contact list, and segments of which nobody gets anything."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns import (
    audience,
    composing,
    counting,
    dispatch,
    excluding,
    failover,
    fanout,
    sampling,
    segmenting,
    whynot,
)
from campaigns.errors import EmptyAudienceError, SegmentInUseError
from campaigns.models import Bulk, Chunk, Journey, Message, Reason, Segment, StaticList
from campaigns.targeting import Rule
from campaigns.whynot import Passage
from devices.models import Application, AuditEntry, ProviderCredential, Registration, Role
from tests.campaigns.conftest import Cloud
from tests.factories import (
    do_not_contact,
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_flow_bulk,
    make_gateway,
    make_person,
    make_registration,
    make_registrations,
    make_user,
    signed_in,
)

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Cloud]
FRENCH: Rule = {"all": [{"field": "language", "op": "is", "value": "fr"}]}
NOBODY_YET: Rule = {"field": "tag", "op": "has", "value": "nobody"}


def excluding_segment(
    application: Application, rule: Rule = FRENCH, *, name: str = "French"
) -> Segment:
    user = make_user(Role.MARKETER, application)
    segment = segmenting.create(application, user, name=name, rule=rule)
    segmenting.exclude(segment, user, excludes=True)
    return segment


def launched(application: Application, **given: Any) -> Bulk:
    bulk = make_bulk(application, campaign=make_campaign(application), **given)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk


def left_out(bulk: Bulk) -> dict[int, Reason]:
    return {
        pk: Reason(chunk.reason)
        for chunk in Chunk.objects.filter(bulk=bulk, status=Chunk.Status.LEFT_OUT)
        for pk in chunk.recipients
    }


def sent_to(bulk: Bulk) -> set[int]:
    chunks = Chunk.objects.filter(bulk=bulk, status=Chunk.Status.OPEN)
    return {pk for chunk in chunks for pk in chunk.recipients}


# ------------------------------------------------------------------------------ at the launch


def test_a_person_on_the_list_is_left_out_with_every_device() -> None:
    application = make_application()
    ana = make_person()
    devices = [make_registration(application, person=ana) for _ in range(2)]
    other = make_registration(application)
    do_not_contact(application, ana)

    bulk = launched(application)

    assert sent_to(bulk) == {other.pk}
    assert left_out(bulk) == dict.fromkeys([each.pk for each in devices], Reason.DO_NOT_CONTACT)
    assert bulk.left_out == 2


def test_a_device_on_the_list_is_left_out_alone() -> None:
    application = make_application()
    ana = make_person()
    listed, other = [make_registration(application, person=ana) for _ in range(2)]
    do_not_contact(application, listed)

    bulk = launched(application)

    assert sent_to(bulk) == {other.pk}
    assert left_out(bulk) == {listed.pk: Reason.DO_NOT_CONTACT}


def test_whoever_is_in_an_excluding_segment_is_left_out() -> None:
    application = make_application()
    french, german = [make_registration(application, language=each) for each in ("fr", "de")]
    segment = excluding_segment(application)

    assert left_out(launched(application)) == {french.pk: Reason.EXCLUDED}

    segmenting.exclude(segment, make_user(Role.MARKETER, application), excludes=False)
    again = make_bulk(application)
    fanout.freeze(again)
    assert sent_to(again) == {french.pk, german.pk}


def test_exclusions_of_one_application_do_not_hold_in_another() -> None:
    ana = make_person()
    application, other = make_application(), make_application()
    device = make_registration(application, person=ana, language="fr")
    do_not_contact(other, ana)
    excluding_segment(other)
    assert sent_to(launched(application)) == {device.pk}


def test_what_a_device_turned_off_itself_is_said_before_what_we_decided() -> None:
    application = make_application()
    off = make_registration(application, notifications_enabled=False, language="fr")
    excluding_segment(application)
    assert left_out(launched(application)) == {off.pk: Reason.NOTIFICATIONS_OFF}


def test_a_campaign_to_nobody_but_the_excluded_is_not_launched() -> None:
    application = make_application()
    make_registration(application, language="fr")
    make_credential(application)
    excluding_segment(application)
    with pytest.raises(EmptyAudienceError):
        composing.launch(make_campaign(application), make_user(Role.MARKETER, application))


def test_random_devices_are_left_out_as_plain_python_says() -> None:
    """The database agrees with a set of people, a set of devices and two rules."""
    draw = random.Random(7)
    application = make_application()
    people = [make_person() for _ in range(12)]
    devices = [
        make_registration(
            application,
            person=draw.choice([None, *people]),
            language=draw.choice(["de", "fr", "en"]),
            enabled=draw.random() < 0.8,
            notifications_enabled=draw.random() < 0.8,
            person_tags=draw.choice([[], ["vip"], ["quiet", "vip"]]),
        )
        for _ in range(80)
    ]
    listed_people, listed = draw.sample(people, 4), draw.sample(devices, 10)
    do_not_contact(application, *listed_people, *listed)
    excluding_segment(application)
    quiet: Rule = {"field": "tag", "op": "has", "value": "quiet"}
    excluding_segment(application, quiet, name="Quiet")

    def expected(device: Registration) -> Reason:
        if not device.enabled:
            return Reason.SWITCHED_OFF
        if not device.notifications_enabled:
            return Reason.NOTIFICATIONS_OFF
        if device in listed or device.person in listed_people:
            return Reason.DO_NOT_CONTACT
        if device.language == "fr" or "quiet" in device.person_tags:
            return Reason.EXCLUDED
        return Reason.NONE

    by_device = {each.pk: expected(each) for each in devices}
    bulk = launched(application)
    kept = {pk for pk, reason in by_device.items() if not reason}
    assert sent_to(bulk) == kept
    assert left_out(bulk) == {pk: reason for pk, reason in by_device.items() if reason}
    size = audience.size(application, {"all": []})
    assert size.total == len(kept)
    assert size.left_out == {k: n for k, n in Counter(by_device.values()).items() if k}
    assert set(audience.of(application, {"all": []}).values_list("pk", flat=True)) == kept


def test_an_estimate_leaves_them_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SIZE", 10_000)  # all of them
    monkeypatch.setattr(counting, "PATIENCE", 60_000)
    application = make_application()
    Registration.objects.bulk_create(
        Registration(application=application, platform=1, language="fr" if number % 2 else "de")
        for number in range(2000)
    )
    excluding_segment(application)
    sampling.rebuild(application)

    size = counting.live(application, {"all": []})

    assert size.error
    assert size.total == 1000
    assert size.left_out == {Reason.EXCLUDED: 1000}
    some = Registration.objects.filter(pk__in=counting.some(application, {"all": []}, most=50))
    assert {each.language for each in some} == {"de"}


# ------------------------------------------------------------------------------ as it is sent


def test_whoever_refuses_contact_after_the_launch_gets_nothing_either(cloud_for: CloudFor) -> None:
    application = make_application()
    cloud = cloud_for(make_credential(application))
    ana = make_person()
    device = make_registration(application, person=ana)
    french = make_registration(application, language="fr")
    other = make_registration(application)
    bulk = launched(application)
    do_not_contact(application, ana)
    excluding_segment(application)

    dispatch.work(seconds=60)

    assert [one.token for one in cloud.taken] == [other.address.token]
    ended = dict(Message.objects.of_bulk(bulk).values_list("registration_id", "reason"))
    assert ended == {
        device.pk: Reason.DO_NOT_CONTACT, french.pk: Reason.EXCLUDED, other.pk: Reason.NONE,
    }  # fmt: skip


def test_an_app_cannot_fetch_what_its_user_is_excluded_from() -> None:
    """A device without a token fetches its messages itself: these are not among them."""
    application = make_application()
    device = make_registration(application, token="", person=make_person())
    bulk = launched(application)
    assert device.person is not None
    do_not_contact(application, device.person)

    dispatch.work(seconds=60)

    message = Message.objects.of_bulk(bulk).get()
    assert message.reason == Reason.DO_NOT_CONTACT


def test_no_text_message_goes_to_whom_a_push_must_not(cloud_for: CloudFor) -> None:
    application = make_application()
    push = cloud_for(make_credential(application))
    sms = cloud_for(make_gateway(application))
    listed, french = make_person(phone="41790000001"), make_person(phone="41790000002")
    make_registration(application, person=listed)
    make_registration(application, person=french, language="fr")
    do_not_contact(application, listed)
    excluding_segment(application)
    bulk = make_flow_bulk(application)
    fanout.freeze(bulk)

    while dispatch.work(seconds=5) or failover.advance():
        pass

    assert push.taken == []
    assert sms.taken == []
    ended = dict(Journey.objects.values_list("person_id", "reason"))
    assert ended == {listed.pk: Reason.DO_NOT_CONTACT, french.pk: Reason.EXCLUDED}


def test_a_window_without_exclusions_costs_one_question(cloud_for: CloudFor) -> None:
    application = make_application()
    make_registrations(application, 3)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert excluding.reasons(application, {1, 2, 3}) == {}
    assert len(asked) == 1


# ------------------------------------------------------------------------------ telling why


def test_why_not_names_the_list_and_the_segment() -> None:
    application = make_application()
    listed = make_registration(application, person=make_person())
    french = make_registration(application, language="fr")
    Registration.objects.update(created_at="2026-01-01T00:00:00Z")
    assert listed.person is not None
    do_not_contact(application, listed.person)
    excluding_segment(application, name="Frenchmen")
    bulk = launched(application)

    def stopped(device: Registration) -> str:
        device.refresh_from_db()
        return next(
            gate.told for gate in whynot.gates(bulk, device) if gate.passage == Passage.STOPPED
        )

    assert stopped(listed) == "On the do-not-contact list, at the launch."
    assert stopped(french) == (
        "In a segment that gets nothing, at the launch. Today it is in “Frenchmen”."
    )


def test_why_not_tells_of_an_exclusion_after_the_launch(cloud_for: CloudFor) -> None:
    application = make_application()
    cloud_for(make_credential(application))
    device = make_registration(application, language="fr")
    Registration.objects.update(created_at="2026-01-01T00:00:00Z")
    bulk = launched(application)
    excluding_segment(application, name="Frenchmen")
    dispatch.work(seconds=60)
    device.refresh_from_db()

    gate = next(each for each in whynot.gates(bulk, device) if each.passage == Passage.STOPPED)

    assert gate.name == "Sent"
    assert gate.told == "In a segment that gets nothing. Today it is in “Frenchmen”."


# ------------------------------------------------------------------------------ switching


def test_excluding_a_segment_is_written_down_once() -> None:
    application = make_application()
    segment = excluding_segment(application)
    user = make_user(Role.MARKETER, application)

    assert not segmenting.exclude(segment, user, excludes=True)
    assert segmenting.exclude(segment, user, excludes=False)

    found = AuditEntry.objects.filter(object_type="segment").order_by("pk")
    actions = list(found.values_list("action", flat=True))
    assert actions == ["create segment", "exclude segment", "include segment"]


def test_a_segment_that_leaves_people_out_is_not_deleted() -> None:
    segment = excluding_segment(make_application())
    with pytest.raises(SegmentInUseError, match="leaves people out of every send"):
        segmenting.delete(segment, make_user(Role.MARKETER, segment.application))
    assert Segment.objects.filter(pk=segment.pk).exists()


def test_an_application_has_one_do_not_contact_list() -> None:
    application = make_application()
    first = do_not_contact(application)
    assert do_not_contact(application).pk == first.pk
    assert StaticList.objects.filter(application=application).count() == 1


def test_an_empty_list_asks_nothing_of_the_devices() -> None:
    application = make_application()
    do_not_contact(application)
    excluding_segment(application, NOBODY_YET)
    assert [gate.reason for gate in excluding.gates(application)] == [Reason.EXCLUDED]


# ------------------------------------------------------------------------------ the pages


@pytest.mark.parametrize("role", [Role.MARKETER, Role.ANALYST])
def test_a_segment_is_left_out_and_sent_to_again_on_its_page(role: Role) -> None:
    application = make_application()
    user = make_user(Role.MARKETER, application)
    segment = segmenting.create(application, user, name="French", rule=FRENCH)
    client = signed_in(application, role)
    url = reverse("campaigns:segment-exclude", args=[application.pk, segment.pk])
    allowed = role == Role.MARKETER

    answer = client.post(url, {"excludes": "1"})
    segment.refresh_from_db()
    assert (answer.status_code, segment.excludes) == ((302, True) if allowed else (403, False))
    shown = client.get(segment.get_absolute_url()).content.decode()
    assert ("gets nothing: no campaign" in shown) is allowed

    client.post(url, {"excludes": "0"})
    segment.refresh_from_db()
    assert not segment.excludes


def test_a_list_becomes_the_do_not_contact_list_and_there_is_one_alone() -> None:
    application = make_application()
    first, second = [
        StaticList.objects.create(application=application, name=name) for name in ("A", "B")
    ]
    client = signed_in(application)

    def switch(static: StaticList, to: str) -> str:
        url = reverse("campaigns:list-do-not-contact", args=[application.pk, static.pk])
        answer = client.post(url, {"excludes": to}, follow=True)
        assert answer.status_code == 200
        static.refresh_from_db()
        return answer.content.decode()

    switch(first, "1")
    assert first.do_not_contact
    assert "“A” is this application&#x27;s do-not-contact list" in switch(second, "1")
    assert not second.do_not_contact

    delete = reverse("campaigns:list-delete", args=[application.pk, first.pk])
    assert "Nobody on it gets anything" in client.post(delete, follow=True).content.decode()
    assert StaticList.objects.filter(pk=first.pk).exists()

    switch(first, "0")
    switch(second, "1")
    assert (first.do_not_contact, second.do_not_contact) == (False, True)
    actions = AuditEntry.objects.filter(object_type="staticlist").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "make do-not-contact list", "release do-not-contact list", "make do-not-contact list",
    ]  # fmt: skip
