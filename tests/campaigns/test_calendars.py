"""The calendar of what goes out when."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django import DjangoAssertNumQueries

from campaigns import calendars
from campaigns.calendars import Item, Page
from campaigns.models import Bulk
from devices.models import Application, Role
from tests.factories import make_application, make_bulk, make_campaign, signed_in

pytestmark = pytest.mark.django_db
QUERIES = 10
BERLIN = ZoneInfo("Europe/Berlin")


def launched(application: Application, starts: str, timing: Any = None, **given: Any) -> Bulk:
    timing = timing or {}
    campaign = make_campaign(application, timing=timing, launched_at=timezone.now())
    at = datetime.fromisoformat(starts).replace(tzinfo=UTC)
    return make_bulk(
        application, campaign=campaign, starts_at=at, delivery={"timing": timing}, **given
    )


def shown(application: Application, day: str, zone: Any = UTC, *, weekly: bool = False) -> Any:
    """Day and time of everything on a page."""
    page = Page.of(date.fromisoformat(day), weekly=weekly)
    days, _ = calendars.fill(application, page, zone)
    return [
        (f"{each.date}", f"{item.clock:%H:%M}", item.state) for each in days for item in each.items
    ]


def test_a_month_is_filled_up_to_whole_weeks() -> None:
    page = Page.of(date(2026, 11, 24), weekly=False)
    assert (page.first, page.last) == (date(2026, 10, 26), date(2026, 12, 6))
    four = Page.of(date(2027, 2, 10), weekly=False)  # begins on a Monday, and has four weeks
    assert (four.first, four.days) == (date(2027, 2, 1), 28)
    week = Page.of(date(2026, 11, 24), weekly=True)
    assert (week.first, week.last) == (date(2026, 11, 23), date(2026, 11, 29))


def test_a_campaign_stands_on_the_day_that_the_zone_shows() -> None:
    application = make_application()
    launched(application, "2026-11-23T23:30")
    assert shown(application, "2026-11-24") == [("2026-11-23", "23:30", "scheduled")]
    assert shown(application, "2026-11-24", BERLIN) == [("2026-11-24", "00:30", "scheduled")]
    assert shown(make_application(), "2026-11-24") == []


def test_recipients_time_stands_on_its_own_day_in_every_zone() -> None:
    application = make_application()
    local = {"kind": "local", "date": "2026-11-24", "time": "09:00", "passed": "skip"}
    launched(application, "2026-11-23T19:00", local)
    for zone in (UTC, BERLIN, ZoneInfo("Pacific/Kiritimati")):
        assert shown(application, "2026-11-24", zone) == [("2026-11-24", "09:00", "scheduled")]


def test_runs_to_come_are_shown_until_it_is_cancelled() -> None:
    """Sundays at 09:00 in Berlin, over the change of the clocks."""
    application = make_application()
    weekly = {
        "kind": "repeat", "date": "2027-03-14", "time": "09:00", "zone": "Europe/Berlin",
        "every": "week", "until": "2027-03-28", "count": None,
    }  # fmt: skip
    bulk = launched(application, "2027-03-14T08:00", weekly)
    planned = [("2027-03-14", "09:00", "scheduled")]
    to_come = [("2027-03-21", "09:00", "scheduled"), ("2027-03-28", "09:00", "scheduled")]
    assert shown(application, "2027-03-14", BERLIN) == planned + to_come
    assert shown(application, "2027-03-14")[-1] == ("2027-03-28", "07:00", "scheduled")
    Bulk.objects.filter(pk=bulk.pk).update(status=Bulk.Status.CANCELLED)
    assert shown(application, "2027-03-14", BERLIN) == [("2027-03-14", "09:00", "cancelled")]


def test_what_is_frozen_says_how_many_devices() -> None:
    application = make_application()
    launched(application, "2026-11-10T08:00", frozen_at=timezone.now(), audience=412, status="done")
    days, complete = calendars.fill(application, Page.of(date(2026, 11, 10), weekly=True), UTC)
    (item,) = [item for day in days for item in day.items]
    assert isinstance(item, Item)
    assert (item.audience, item.state, complete) == (412, "done", True)


def calendar_of(application: Application, **asked: str) -> str:
    client = signed_in(application, Role.ANALYST)
    page = client.get(reverse("campaigns:calendar", args=[application.pk]), asked)
    assert page.status_code == 200
    return page.content.decode()


def test_the_page_has_month_and_week_in_a_chosen_zone() -> None:
    application = make_application(default_zone="Asia/Kolkata")
    launched(application, "2026-11-24T03:30")
    month = calendar_of(application, day="2026-11-24")
    assert "November 2026" in month
    assert '<span class="number">09:00</span>' in month
    week = calendar_of(application, day="2026-11-24", view="week", zone="Europe/Berlin")
    assert "23 Nov to 29 Nov 2026" in week
    assert '<span class="number">04:30</span>' in week
    empty = " ".join(strip_tags(calendar_of(application, day="2026-12-24")).split())
    assert "Nothing goes out in this month." in empty


@pytest.mark.parametrize(
    "asked",
    [{"day": "soon"}, {"day": "9999-12-31"}, {"zone": "Moon/Base"}, {"view": "x", "day": "\x00"}],
)
def test_what_cannot_be_read_shows_today(asked: dict[str, str]) -> None:
    page = calendar_of(make_application(), **asked)
    assert f"{timezone.now():%B %Y}" in page


def test_a_calendar_costs_the_same_however_full_it_is(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    application = make_application()
    client = signed_in(application, Role.ANALYST)
    address = reverse("campaigns:calendar", args=[application.pk])
    client.get(address)
    for _ in range(2):
        for number in range(5):
            timing = {
                "kind": "repeat", "date": "2026-01-05", "time": "09:00", "zone": "UTC",
                "every": "week", "until": None, "count": None,
            }  # fmt: skip
            at = timezone.now() - timedelta(hours=number)
            launched(application, f"{at:%Y-%m-%dT%H:%M}", timing, status="done")
        with django_assert_num_queries(QUERIES):
            client.get(address)
