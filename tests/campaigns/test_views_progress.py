"""The pages of a campaign that runs: its numbers, its course and its log."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.html import strip_tags
from pytest_django import DjangoAssertNumQueries

from campaigns import dispatch, pacing
from campaigns.models import Counter, Message, Reason
from campaigns.store import store
from devices.models import Application, Platform
from providers.base import Cause, Outcome, Verdict
from tests.campaigns.campaign_pages import sent, shop, url
from tests.campaigns.handing_over import CloudFor
from tests.factories import make_registrations, signed_in

__all__ = ["shop"]  # a fixture
pytestmark = pytest.mark.django_db

# session, user, application, role, campaign, bulk, funnel, reasons 2, platforms, resends
QUERIES_OF_PROGRESS = 12


@pytest.mark.parametrize(("minutes", "told"), [(14, False), (16, True)])
def test_the_campaign_page_says_since_when_a_cloud_does_not_answer(
    shop: Application, minutes: int, told: bool
) -> None:
    campaign = sent(shop)
    bucket = pacing.bucket_of(shop.credentials.get())
    pacing.not_answering(bucket)
    since = int(time.time()) - minutes * 60
    store().hset(bucket.name, "away", since)

    page = signed_in(shop).get(url("detail", shop, campaign.pk)).content.decode()

    assert ("has not answered since" in page) == told


def test_the_campaign_page_tells_every_device(shop: Application, cloud_for: CloudFor) -> None:
    cloud = cloud_for(shop.credentials.get())
    cloud.answer = lambda one: Outcome(
        verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404, reason="UNREGISTERED"
    )
    campaign = sent(shop)
    dispatch.work(seconds=60)
    client = signed_in(shop)

    page = client.get(url("detail", shop, campaign.pk)).content.decode()

    balance = "5 targeted = 0 delivered + 0 accepted without receipt + 5 failed"
    assert balance in strip_tags(page)
    assert "The app was removed from these devices." in page
    assert "This application has no credential for their platform." in page
    assert "Their owners turned notifications off." in page
    assert "<script>alert" not in page

    log = client.get(url("messages", shop, campaign.pk), {"reason": int(Reason.UNINSTALLED)})
    assert log.content.decode().count("404 UNREGISTERED") == 3
    device = Message.objects.filter(reason=Reason.UNINSTALLED).first()
    assert device is not None
    part = client.get(url("device-timeline", shop, device.registration_id))
    assert "The app was removed from the device" in part.content.decode()


def course(application: Application, events: dict[int, dict[str, int]]) -> dict[str, Any]:
    """The chart of a campaign whose counters hold this, by minutes after its start."""
    campaign = sent(application)
    start = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    for minutes, counts in events.items():
        Counter.objects.create(
            bulk=campaign.bulks.get(),
            minute=start + timedelta(minutes=minutes),
            platform=Platform.IOS,
            **counts,
        )
    answer = signed_in(application).get(url("chart", application, campaign.pk))
    chart: dict[str, Any] = answer.json()
    return chart


def test_the_chart_has_a_zero_for_each_quiet_minute(shop: Application) -> None:
    chart = course(shop, {0: {"sent": 5, "accepted": 5}, 3: {"delivered": 4}})

    assert chart["points"][0] == "2026-11-24T09:00:00+00:00"
    assert len(chart["points"]) == 4
    values = {series["name"]: series["values"] for series in chart["series"]}
    assert values == {"Sent": [5, 0, 0, 0], "Delivered": [0, 0, 0, 4], "Seen": [0, 0, 0, 0]}


def test_a_long_course_is_drawn_by_the_hour(shop: Application) -> None:
    later = 60 * 50  # minutes
    chart = course(shop, {5: {"sent": 5}, 50: {"sent": 1}, later: {"seen": 2}})

    assert chart["x"]["label"] == "Hour"
    assert len(chart["points"]) == 51
    assert chart["series"][0]["values"][0] == 6
    assert chart["series"][2]["values"][-1] == 2


def test_a_campaign_without_events_has_an_empty_chart(shop: Application) -> None:
    assert course(shop, {})["points"] == []


@pytest.mark.parametrize(
    ("query", "states"),
    [
        ({}, "all"),
        ({"state": "accepted"}, {"Accepted", "Seen"}),
        ({"state": "silent"}, {"Accepted"}),
        ({"state": "delivered"}, {"Seen"}),
        ({"state": "clicked"}, set()),
        ({"state": "failed", "platform": str(int(Platform.IOS))}, {"Failed"}),
        ({"platform": "9" * 5000, "reason": "x", "state": "none"}, "all"),
        ({"q": "not a uuid"}, set()),
    ],
)
def test_the_log_holds_what_the_funnel_counts(
    shop: Application, cloud_for: CloudFor, query: dict[str, str], states: set[str] | str
) -> None:
    cloud = cloud_for(shop.credentials.get())
    cloud.answer = lambda one: Outcome(verdict=Verdict.ACCEPTED, provider_id="0:1")
    campaign = sent(shop)
    dispatch.work(seconds=60)
    one = Message.objects.filter(state=Message.State.ACCEPTED).first()
    assert one is not None
    Message.objects.filter(pk=one.pk).update(state=Message.State.SEEN)

    page = signed_in(shop).get(url("messages", shop, campaign.pk), query)

    shown = {Message.State(line.message.state).label for line in page.context["lines"]}
    assert shown == ({"Accepted", "Seen", "Failed"} if states == "all" else states)


def test_the_campaign_page_costs_the_same_at_any_size(
    shop: Application, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in(shop)
    for more in (0, 40):
        make_registrations(shop, more, platform=Platform.HUAWEI)
        address = url("detail", shop, sent(shop).pk)
        with django_assert_num_queries(QUERIES_OF_PROGRESS):
            client.get(address, headers={"HX-Request": "true"})
