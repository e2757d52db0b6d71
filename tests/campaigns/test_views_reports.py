"""Period reports, and campaigns side by side: every number is that of the rows."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from campaigns import periods
from campaigns.models import Bulk, Campaign, Counter
from campaigns.periods import Figures, Period
from devices.models import Application, Platform, Role
from tests.factories import make_application, make_bulk, make_campaign, make_user

WAIT = 30_000  # milliseconds
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def launched(shop: Application, name: str, *, at: datetime = NOON, **counted: int) -> Campaign:
    """A campaign that was sent, with its figures."""
    campaign = make_campaign(shop, name=name, launched_at=at)
    bulk = make_bulk(
        shop, campaign=campaign, starts_at=at, frozen_at=at, finished_at=at,
        status=Bulk.Status.DONE, audience=counted.get("sent", 0),
    )  # fmt: skip
    Counter.objects.create(bulk=bulk, minute=at, platform=Platform.ANDROID, **counted)
    return campaign


@pytest.fixture
def shop() -> Application:
    return make_application(name="Shop")


@pytest.fixture
def analyst(client: Client, shop: Application) -> Client:
    client.force_login(make_user(Role.ANALYST, shop))
    return client


def report(client: Client, shop: Application, **query: str) -> str:
    answer = client.get(reverse("campaigns:reports", args=[shop.pk]), query)
    assert answer.status_code == 200
    return answer.content.decode()


def numbers(markup: str) -> list[str]:
    """Of the rows of the table by application."""
    table = markup[markup.index('id="by-application"') : markup.index("sources-title")]
    return re.findall(r'data-label="[A-Z]\w+">(?:<a[^>]*>)?([\d,]+)<', table)


@pytest.mark.django_db
def test_events_count_on_the_day_on_which_they_became_known(shop: Application) -> None:
    campaign = launched(shop, "Sale", sent=10, accepted=9, failed=1)
    bulk = campaign.bulks.get()
    next_day = NOON + timedelta(hours=12)
    Counter.objects.create(
        bulk=bulk, minute=next_day, platform=Platform.ANDROID, delivered=4, seen=1
    )
    test = make_bulk(shop, origin=Bulk.Origin.TEST, starts_at=NOON)
    Counter.objects.create(bulk=test, minute=NOON, platform=Platform.ANDROID, sent=1)
    first = NOON.date()

    found = periods.by_day([shop], Period(first, first + timedelta(1)))

    assert found == {shop: [Figures(sent=10, accepted=9, failed=1), Figures(delivered=4, seen=1)]}
    assert periods.by_day([shop], Period(first, first))[shop] == [
        Figures(sent=10, accepted=9, failed=1)
    ]


@pytest.mark.django_db
def test_a_report_shows_the_applications_of_whoever_asks_and_no_other(
    shop: Application, client: Client
) -> None:
    mine, theirs = make_application(name="Mine too"), make_application(name="Not mine")
    user = make_user(Role.ANALYST, shop)
    user.memberships.create(application=mine, role=Role.ANALYST)
    client.force_login(user)
    launched(shop, "Sale", sent=1200, accepted=1100, delivered=1000, seen=300, clicked=20)
    launched(mine, "Other", sent=5, accepted=4, failed=1)
    launched(theirs, "Secret", sent=7)

    shown = report(client, shop, first="2026-03-01", last="2026-03-31")

    assert "Not mine" not in shown
    mine_row, shop_row = (
        ["5", "4", "0", "0", "0", "1"],
        ["1,200", "1,100", "1,000", "300", "20", "0"],
    )
    total = ["1,205", "1,104", "1,000", "300", "20", "1"]
    assert numbers(shown) == [*mine_row, *shop_row, *total]
    assert "Sale" in shown
    assert "Other" not in shown  # a campaign of another application stands on its own report


@pytest.mark.django_db
def test_each_run_of_a_recurring_campaign_stands_in_the_period_in_which_it_began(
    shop: Application, analyst: Client
) -> None:
    campaign = launched(shop, "Weekly", sent=10, delivered=8)
    later = make_bulk(
        shop, campaign=campaign, starts_at=NOON + timedelta(days=30), audience=20,
        status=Bulk.Status.DONE,
    )  # fmt: skip
    Counter.objects.create(bulk=later, minute=later.starts_at, platform=Platform.IOS, sent=20)
    first = campaign.bulks.order_by("pk")[0]

    shown = report(analyst, shop, first="2026-03-01", last="2026-03-31")

    log = reverse("campaigns:run-messages", args=[shop.pk, campaign.pk, first.pk])
    assert f'<a href="{log}">10</a>' in shown
    assert f'<a href="{log}?state=delivered">8</a>' in shown
    assert ">20</a>" not in shown
    both = report(analyst, shop, first="2026-03-01", last="2026-04-30")
    assert both.count(">Weekly</a>") == 2


SENDS = """
WITH bulks AS (
    INSERT INTO campaigns_bulk (bulk_id, application_id, origin, step, status, status_reason,
                                content, rule, primary_only, ttl, repeat_policy, starts_at,
                                audience, left_out)
    SELECT n::text, %s, 'api', 0, 'done', '', '[]', '{}', false, 60, 'never',
           %s::timestamptz - n * interval '5 minutes', 1, 0
    FROM generate_series(1, 20000) n
    RETURNING id, starts_at
)
INSERT INTO campaigns_counter (bulk_id, minute, platform, variant, sent, accepted, delivered, seen,
                               clicked, failed, expired, unknown)
SELECT id, starts_at, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0 FROM bulks
"""


@pytest.mark.django_db
def test_a_period_reads_no_sends_of_other_days(shop: Application) -> None:
    period = Period(NOON.date(), NOON.date())
    with connection.cursor() as cursor:
        cursor.execute(SENDS, [shop.pk, NOON])
        cursor.execute("ANALYZE campaigns_bulk, campaigns_counter")

    with CaptureQueriesContext(connection) as asked:
        (figures,) = periods.by_day([shop], period)[shop]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {asked[-1]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert figures.sent == 12 * 12  # in half a day, one in five minutes
    assert "Index Scan using counter_by_minute" in plan
    assert "Seq Scan" not in plan


@pytest.mark.django_db
def test_a_period_without_a_message_has_no_chart_without_bars(
    shop: Application, analyst: Client
) -> None:
    launched(shop, "Sale", sent=10)
    days = {"first": "2026-03-01", "last": "2026-03-31"}
    assert 'data-chart="period-days"' in report(analyst, shop, **days)

    empty = report(analyst, shop, first="2026-05-01", last="2026-05-31")

    assert "data-chart" not in empty
    assert "<h2>Nothing was sent in this period</h2>" in empty


@pytest.mark.django_db
def test_a_report_says_who_asked_for_what_was_sent(shop: Application, client: Client) -> None:
    launched(shop, "Sale", sent=10, accepted=9, failed=1)
    for origin, sent in ((Bulk.Origin.API, 4), (Bulk.Origin.INSIDER, 3), (Bulk.Origin.TEST, 1)):
        bulk = make_bulk(shop, origin=origin, starts_at=NOON)
        Counter.objects.create(bulk=bulk, minute=NOON, platform=Platform.ANDROID, sent=sent)
    period = Period(NOON.date(), NOON.date())

    found = periods.by_source(shop, period)

    assert {origin: each.sent for origin, each in found.items()} == {
        Bulk.Origin.CAMPAIGN: 10, Bulk.Origin.API: 4, Bulk.Origin.INSIDER: 3,
    }  # fmt: skip
    assert Figures.sum(found.values()) == Figures.sum(periods.by_day([shop], period)[shop])
    client.force_login(make_user(Role.ADMINISTRATOR, shop))
    shown = report(client, shop, first="2026-03-01", last="2026-03-31")
    assert f'<a href="{reverse("campaigns:calls", args=[shop.pk])}">Push and OMNI API</a>' in shown
    client.force_login(make_user(Role.ANALYST, shop))
    shown = report(client, shop, first="2026-03-01", last="2026-03-31")
    assert '<td class="is-title">Push and OMNI API</td>' in shown


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("", "2026-03-01", "Choose a first and a last day."),
        ("soon", "2026-03-01", "Choose a first and a last day."),
        ("2026-03-02", "2026-03-01", "The last day is before the first."),
        ("2024-01-01", "2026-03-01", "A period has at most 366 days."),
        ("9999-12-30", "9999-12-31", "A period has at most 366 days."),
    ],
)
def test_a_period_that_cannot_be_is_said_and_the_usual_one_shown(
    shop: Application, analyst: Client, first: str, last: str, told: str
) -> None:
    launched(shop, "Sale", at=timezone.now(), sent=3)

    shown = report(analyst, shop, first=first, last=last)

    assert told in shown
    assert numbers(shown)[0] == "3"


@pytest.mark.django_db
def test_a_report_costs_the_same_for_many_campaigns(
    shop: Application, analyst: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(15):
        launched(shop, f"Sale {number}", sent=1)

    with django_assert_max_num_queries(20):
        report(analyst, shop, first="2026-03-01", last="2026-03-31")


# ------------------------------------------------------------------- side by side


def compare(client: Client, shop: Application, *campaigns: Any) -> str:
    keys = [getattr(each, "pk", each) for each in campaigns]
    answer = client.get(reverse("campaigns:compare", args=[shop.pk]), {"campaign": keys})
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.django_db
def test_campaigns_stand_side_by_side_in_the_order_they_were_chosen(
    shop: Application, analyst: Client
) -> None:
    one = launched(shop, "First", sent=10, accepted=8, delivered=4, seen=2, clicked=1, failed=2)
    two = launched(shop, "Second", sent=100, accepted=100, delivered=90)

    shown = compare(analyst, shop, two, one)

    assert shown.index(">Second</a>") < shown.index(">First</a>")
    accepted = re.sub(r"<[^>]+>", " ", shown[shown.index("of the sent.") :])
    assert re.findall(r"\d[\d,.]*(?: %)?", accepted)[:4] == ["100", "100.0 %", "8", "80.0 %"]
    assert f'{one.get_absolute_url()}messages/?state=failed">2</a>' in shown


@pytest.mark.django_db
def test_at_most_five_are_compared_and_only_launched_ones_of_the_application(
    shop: Application, analyst: Client
) -> None:
    many = [launched(shop, f"Sale {number}", sent=1) for number in range(6)]
    foreign = launched(make_application(), "Foreign", sent=1)

    assert "At most 5 campaigns are compared" in compare(analyst, shop, *many)
    for chosen in ([], [many[0]], [many[0], many[0]], [many[0], foreign], ["x", "9" * 30]):
        assert "Choose two to five campaigns" in compare(analyst, shop, *chosen)
    draft = make_campaign(shop, name="Draft")
    assert "Draft</a>" not in compare(analyst, shop, many[0], many[1], draft)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_reports_are_accessible_and_campaigns_are_compared_from_the_list(
    page: Page,
    sign_in: Callable[[User], None],
    shop: Application,
    accessibility_problems: Callable[[Page], list[str]],
    screenshots: Path,
    scheme: str,
    width: int,
) -> None:
    now = timezone.now()
    launched(
        shop, "Friday sale", at=now, sent=1000, accepted=990, delivered=800, seen=90, failed=10
    )
    launched(shop, "Spring teaser", at=now, sent=500, accepted=500, delivered=100, seen=20)
    sign_in(make_user(Role.ANALYST, shop))
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    page.set_viewport_size({"width": width, "height": 900})

    page.goto(reverse("campaigns:list", args=[shop.pk]))
    page.get_by_label("Compare Friday sale").check()
    page.get_by_label("Compare Spring teaser").check()
    assert accessibility_problems(page) == []
    page.get_by_role("button", name="Compare ticked").click()
    expect(page.locator("#comparison")).to_be_visible(timeout=WAIT)
    page.screenshot(path=screenshots / f"compare-{scheme}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert accessibility_problems(page) == []

    page.goto(reverse("campaigns:reports", args=[shop.pk]))
    expect(page.locator(".skeleton")).to_have_count(0, timeout=WAIT)
    page.screenshot(path=screenshots / f"reports-{scheme}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert accessibility_problems(page) == []
