"""Counts while somebody types: what the sample says, and when it is not asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import audience, composing, counting, sampling, tasks
from campaigns.models import PERSON_COLUMNS, Bulk, Reason, Sample, SampledRegistration, Segment
from campaigns.targeting import EVERYBODY, Rule
from devices.models import Application, Person, Platform, Provider, Registration, Role
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_person,
    make_registrations,
    make_user,
    signed_in,
)

pytestmark = pytest.mark.django_db

IOS: Rule = {"field": "platform", "op": "is", "value": "iOS"}
RARE: Rule = {"field": "tag", "op": "has", "value": "rare"}


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Application:
    """An application that is counted by a sample of most of its devices."""
    monkeypatch.setattr(sampling, "SIZE", 2400)
    monkeypatch.setattr(sampling, "LEAST", 4000)
    monkeypatch.setattr(counting, "PATIENCE", 60_000)  # on a machine that is busy testing
    application = make_application()
    Registration.objects.bulk_create(
        Registration(
            application=application,
            platform=Platform.IOS if number % 2 else Platform.ANDROID,
            notifications_enabled=number % 4 != 1,  # of half the iOS devices
            person_tags=["rare"] if number % 400 == 0 else [],
        )
        for number in range(4000)
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")  # the same sample each time
    sampling.rebuild(application)
    return application


def test_a_sample_has_the_columns_of_a_device_and_of_its_person() -> None:
    def columns(
        model: type[Registration | Person | SampledRegistration],
    ) -> dict[str | None, str | None]:
        fields = model._meta.concrete_fields
        return {field.column: field.rel_db_type(connection) for field in fields}

    sampled = columns(SampledRegistration)
    people = columns(Person)
    expected = columns(Registration)
    expected |= {f"person_{name}": people[name] for name in PERSON_COLUMNS}
    assert sampled == expected | {"draw": "smallint"}


def test_an_estimate_says_how_far_off_it_may_be(large: Application) -> None:
    size = counting.live(large, IOS)

    assert not size.exact
    assert size.at_most is None
    assert 0 < size.error < 100
    assert abs(size.total - 1000) <= size.error
    assert size.by_platform == {Platform.IOS: size.total}
    assert abs(size.left_out[Reason.NOTIFICATIONS_OFF] - 1000) < 300


def test_few_devices_are_counted_themselves(large: Application) -> None:
    assert counting.live(large, RARE) == audience.size(large, RARE)
    assert counting.live(large, {"any": []}).exact


def test_some_of_few_devices_are_of_every_kind() -> None:
    application = make_application()
    for platform in (Platform.ANDROID, Platform.IOS):
        make_registrations(application, 100, platform=platform)

    some = counting.some(application, EVERYBODY, most=40)

    assert len(some) == 40
    assert some == counting.some(application, EVERYBODY, most=40)
    kinds = Registration.objects.filter(pk__in=some).values_list("platform", flat=True)
    assert set(kinds) == {Platform.ANDROID, Platform.IOS}


def test_a_rule_that_probes_other_tables_asks_a_share_of_the_sample(large: Application) -> None:
    sample = Sample.objects.get(application=large)
    known = {"not": {"field": "email", "op": "not_empty"}}
    assert 100 < sample.probed < 300 < sample.sampled

    # too few of them to estimate by, and soon counted
    assert counting.live(large, known) == audience.size(large, known)


def test_without_a_sample_that_is_fresh_devices_are_counted(large: Application) -> None:
    Sample.objects.update(built_at=timezone.now() - timedelta(days=1))
    assert counting.live(large, IOS) == audience.size(large, IOS)


def test_samples_are_drawn_of_large_applications_and_again_when_they_are_old(
    large: Application,
) -> None:
    small = make_application()
    Registration.objects.create(application=small, platform=Platform.IOS)
    assert sampling.stale() == []

    Sample.objects.update(built_at=timezone.now() - 2 * sampling.KEEP)
    assert sampling.stale() == [large]
    before = Sample.objects.get().sampled
    tasks.draw_samples()
    assert sampling.stale() == []
    assert SampledRegistration.objects.count() == Sample.objects.get().sampled != before


def test_a_sample_holds_nothing_of_other_applications(large: Application) -> None:
    other = make_application()
    Registration.objects.create(application=other, platform=Platform.IOS, person=make_person())
    sampling.rebuild(other)
    assert SampledRegistration.objects.filter(application=other).count() == 1
    assert SampledRegistration.objects.filter(application=large).count() > 1000


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Nobody can read a table: whoever tries, waits."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            other.set_autocommit(False)
            cursor.execute(f"LOCK TABLE {table}")
            yield
            other.rollback()
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
def test_devices_without_a_sample_are_not_waited_for_either(
    large: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many to be counted now: what the database knows without looking bounds them."""
    Sample.objects.all().delete()
    monkeypatch.setattr(counting, "PATIENCE", 100)
    monkeypatch.setattr(counting, "PATIENCE_UNSAMPLED", 100)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE devices_registration")
    with locked("devices_registration"):
        size = counting.live(large, IOS)

    assert not size.exact
    assert size.at_most is not None
    assert size.at_most >= 4000


@pytest.mark.django_db(transaction=True)
def test_a_count_that_takes_too_long_is_given_up(
    large: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "PATIENCE", 2000)
    with locked("devices_registration"):
        size = counting.live(large, RARE)
        assert not size.exact
        assert size.at_most is not None
        assert size.at_most >= 10  # and an estimate needs no other table
        assert counting.live(large, IOS).error > 0
    monkeypatch.setattr(counting, "LEAST_PATIENCE", 5_000)
    with locked("campaigns_sampledregistration"):
        assert counting.live(large, IOS) == audience.size(large, IOS)


def test_giving_up_leaves_the_statements_after_it_their_own_time(large: Application) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '77s'")
        counting.live(large, RARE)
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] == "77s"


def test_the_exact_count_replaces_the_estimate(large: Application) -> None:
    assert not counting.live(large, IOS).exact
    tasks.count_audience(large.pk, IOS, primary_only=False)

    assert counting.live(large, IOS) == audience.size(large, IOS)
    assert not counting.live(large, EVERYBODY).exact


def test_an_exact_count_is_asked_for_once(large: Application) -> None:
    assert counting.may_ask(key(large, IOS))
    assert not counting.may_ask(key(large, IOS))
    assert counting.may_ask(key(large, EVERYBODY))


def key(application: Application, rule: Rule) -> str:
    return counting.key_of(application, rule, primary_only=False)


@pytest.mark.django_db(transaction=True)
def test_one_exact_count_runs_at_a_time(large: Application) -> None:
    """However many people type: whoever finds another one running asks again."""
    other = connection.copy()
    try:
        with transaction.atomic(), other.cursor() as cursor:
            cursor.execute("BEGIN; SELECT pg_advisory_xact_lock(%s, 0)", [counting.LOCK])
            assert counting.may_ask(key(large, IOS))
            assert counting.count_exactly(large, IOS, primary_only=False) is None
            cursor.execute("ROLLBACK")  # closing alone leaves the lock until the server notices
    finally:
        other.close()

    assert counting.may_ask(key(large, IOS))
    assert counting.count_exactly(large, IOS, primary_only=False) == audience.size(large, IOS)


@pytest.mark.django_db(transaction=True)
def test_an_exact_count_that_takes_too_long_is_not_asked_for_again_and_again(
    large: Application, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.setattr(counting, "PATIENCE_EXACTLY", 20)
    monkeypatch.setattr(counting, "PATIENCE", 500)
    monkeypatch.setattr(counting, "LEAST_PATIENCE", 20)
    monkeypatch.setattr(tasks.count_audience, "apply_async", run_now)
    monkeypatch.setattr(tasks.count_clauses, "apply_async", clauses_now)
    client.force_login(make_user(Role.MARKETER, large))
    segment = Segment.objects.create(application=large, name="All with it", rule=RARE)
    sizes, parts = (
        reverse(f"campaigns:segment-{name}", args=[large.pk, segment.pk])
        for name in ("size", "clauses")
    )
    with locked("devices_registration"):
        for address in (sizes, parts):
            assert "counting exactly" in client.post(address, {"exactly": "1"}).content.decode()
            page = client.post(address, {"exactly": "1"}).content.decode()
            assert "to count exactly takes too long" in page
            assert "every 1s" not in page


def test_a_page_with_an_estimate_asks_for_the_exact_count(
    large: Application,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: type,
) -> None:
    monkeypatch.setattr(tasks.count_audience, "apply_async", run_now)
    client = signed_in(large)
    campaign = make_campaign(large)
    address = reverse("campaigns:audience-size", args=[large.pk, campaign.pk])
    typed = {"name": "Sale", "platforms": ["iOS"], "hours": "48", "repeat_policy": "never"}

    estimated = client.post(address, typed).content.decode()
    assert "about <strong>" in estimated
    assert "estimate; counting exactly" in estimated
    with django_capture_on_commit_callbacks(execute=True):
        client.post(address, typed | {"exactly": "1"})
    exact = client.post(address, typed | {"exactly": "1"}).content.decode()
    assert "<strong>1,000</strong> devices would get it now" in exact
    assert "exactly" not in exact


@pytest.mark.django_db(transaction=True)
def test_a_launch_does_not_wait_for_a_count_that_takes_too_long(
    large: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composing, "PATIENCE", 20)
    monkeypatch.setattr(counting, "PATIENCE", 500)
    for provider in (Provider.APNS, Provider.FCM):
        make_credential(large, provider)
    user = make_user(Role.MARKETER, large)
    with locked("devices_registration"):
        bulk = composing.launch(make_campaign(large, rule=IOS), user)
        few = composing.launch(make_campaign(large, rule=RARE), user)

    assert {bulk.status, few.status} == {Bulk.Status.PENDING}


def clauses_now(*, kwargs: dict[str, Any], expires: int) -> None:
    tasks.count_clauses(**kwargs)


def run_now(*, kwargs: dict[str, Any], expires: int) -> None:
    tasks.count_audience(**kwargs)


def test_parts_of_a_sample_are_alike_and_lie_together(large: Application) -> None:
    sampled = SampledRegistration.objects.filter(application=large)
    whole = sampled.count()
    for draws in (1, sampling.PROBED, counting.FIRST, 99, sampling.DRAWS):
        assert sampled.filter(draw__lt=draws).count() == sampling.drawn(whole, draws)
    with connection.cursor() as cursor:
        cursor.execute("SELECT draw FROM campaigns_sampledregistration ORDER BY ctid")
        found = [draw for (draw,) in cursor.fetchall()]
    assert found == sorted(found)


def test_a_part_of_the_sample_answers_where_the_rest_would_take_too_long(
    large: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = counting.live(large, EVERYBODY)
    monkeypatch.setattr(counting, "FIRST", 30)
    monkeypatch.setattr(counting, "DRAWS", 10**12)  # so much is left

    part = counting.live(large, EVERYBODY)

    assert part.error > whole.error
    assert abs(part.total - 3000) <= part.error
