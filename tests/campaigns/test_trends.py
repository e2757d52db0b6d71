"""Sizes of segments by day: counted once, kept for a while, drawn on their pages."""

import json
import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import counting, sampling, segmenting, tasks, trends
from campaigns.models import Segment, SegmentDay, SegmentVersion
from campaigns.targeting import Rule
from devices.models import Application, Platform, Registration, Role
from tests.factories import make_application, make_registrations, make_user, signed_in

pytestmark = pytest.mark.django_db
IOS: Rule = {"field": "platform", "op": "is", "value": "iOS"}


@pytest.fixture
def shop() -> Application:
    application = make_application(name="Shop")
    make_registrations(application, 3, platform=Platform.IOS)
    make_registrations(application, 2, platform=Platform.IOS, notifications_enabled=False)
    make_registrations(application, 4, platform=Platform.ANDROID)
    return application


def make_segment(application: Application, rule: Rule = IOS, *, name: str = "iPhones") -> Segment:
    user = make_user(Role.MARKETER, application)
    return segmenting.create(application, user, name=name, rule=rule)


def make_day(segment: Segment, *, ago: int, devices: int, **given: Any) -> SegmentDay:
    day = timezone.now().date() - timedelta(days=ago)
    version = given.pop("version", segment.version)
    return SegmentDay.objects.create(
        segment=segment, day=day, devices=devices, version=version, **given
    )


def page_of(application: Application, address: str) -> str:
    client = signed_in(application, Role.ANALYST)
    return client.get(address).content.decode()


def test_a_segment_is_counted_once_a_day(shop: Application) -> None:
    segment = make_segment(shop)

    tasks.count_segments()
    make_registrations(shop, 1, platform=Platform.IOS)
    assert trends.count_today(seconds=60) == 0

    day = SegmentDay.objects.get()
    assert (day.segment, day.day) == (segment, timezone.now().date())
    assert (day.devices, day.error) == (3, 0)  # those a push reaches


def test_a_segment_whose_rule_became_another_is_counted_again(shop: Application) -> None:
    segment, user = make_segment(shop), make_user(Role.MARKETER, shop)
    trends.count_today(seconds=60)

    segmenting.change(segment, user, version=1, name="Androids", rule={**IOS, "value": "Android"})

    assert trends.count_today(seconds=60) == 1
    day = SegmentDay.objects.get()
    assert (day.devices, day.version) == (4, 2)


def test_days_past_their_keeping_go(shop: Application) -> None:
    segment = make_segment(shop)
    for ago in (trends.KEPT - 1, trends.KEPT, trends.KEPT + 200):
        make_day(segment, ago=ago, devices=1)

    trends.count_today(seconds=60)

    today = timezone.now().date()
    kept = set(SegmentDay.objects.values_list("day", flat=True))
    assert kept == {today, today - timedelta(days=trends.KEPT - 1)}


def test_without_time_the_rest_waits_for_the_next_turn(shop: Application) -> None:
    for number in range(3):
        make_segment(shop, name=f"Segment {number}")

    assert trends.count_today(seconds=-1) == 0
    assert trends.count_today(seconds=60) == 3


def test_a_segment_that_cannot_be_read_stops_no_other(shop: Application) -> None:
    broken, good = make_segment(shop, name="Broken"), make_segment(shop, name="Good")
    Segment.objects.filter(pk=broken.pk).update(
        rule={"field": "list", "op": "in", "value": 4_000_000}
    )

    assert trends.count_today(seconds=60) == 1
    assert SegmentDay.objects.get().segment == good


def test_where_an_exact_count_takes_too_long_an_estimate_is_kept_with_its_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampling, "SIZE", 2000)
    monkeypatch.setattr(counting, "PATIENCE", 60_000)
    monkeypatch.setattr(trends, "PATIENCE", 1)
    application = make_application()
    Registration.objects.bulk_create(
        Registration(application=application, platform=Platform.IOS, model=f"Phone {number}")
        for number in range(4000)
    )
    sampling.rebuild(application)
    # tests each device against texts that none has: more than a millisecond of work
    slow = [{"field": "model", "op": "not_contains", "value": f"{n} none"} for n in range(200)]
    make_segment(application, {"all": slow})

    assert trends.count_today(seconds=600) == 1

    day = SegmentDay.objects.get()
    assert day.error > 0
    assert abs(day.devices - 4000) <= day.error


def test_a_day_without_a_count_is_a_gap_and_a_change_of_the_rule_is_told(
    shop: Application,
) -> None:
    segment = make_segment(shop)
    make_day(segment, ago=3, devices=10)
    make_day(segment, ago=1, devices=12, error=3)
    SegmentVersion.objects.create(segment=segment, number=2, rule=IOS)
    trends.count_today(seconds=60)

    trend = trends.of(segment)

    assert trend.devices == [10, None, 12, 3]
    assert trend.days[-1] == timezone.now().date()
    assert trend.estimated == 0.25
    assert trend.changed == [timezone.now().date()]


def test_the_list_draws_the_days_of_each_segment(shop: Application) -> None:
    segment = make_segment(shop)
    make_segment(shop, name="New")
    for ago, devices in ((40, 9999), (2, 1200), (1, 1350)):
        make_day(segment, ago=ago, devices=devices)

    page = page_of(shop, f"/apps/{shop.pk}/segments/")

    assert "From 1,200 to 1,350 devices in the last 30 days" in page
    assert page.count("from tomorrow on") == 1


def test_the_page_of_a_segment_draws_its_days(shop: Application) -> None:
    segment = make_segment(shop)
    address = segment.get_absolute_url()
    make_day(segment, ago=1, devices=1200)
    make_day(segment, ago=0, devices=1350)
    page = page_of(shop, address)

    found = re.search(r'<script id="segment-days"[^>]*>(.*?)</script>', page)
    assert found is not None
    chart = json.loads(found[1])
    assert chart["series"][0]["values"] == [1200, 1350]
    assert [date.fromisoformat(day) for day in chart["points"]][-1] == timezone.now().date()


def test_before_the_second_day_the_page_says_what_comes(shop: Application) -> None:
    segment = make_segment(shop)
    make_day(segment, ago=1, devices=1200)

    page = page_of(shop, segment.get_absolute_url())

    assert "It is counted once a day, and 90 days are kept" in page


def test_deleting_a_segment_takes_its_days_along(shop: Application) -> None:
    segment = make_segment(shop)
    make_day(segment, ago=0, devices=5)

    segmenting.delete(segment, make_user(Role.MARKETER, shop))

    assert not SegmentDay.objects.exists()
