"""When a campaign goes out, as it is chosen on its page."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from campaigns.models import Bulk, CapUse
from devices.models import Application, Registration
from tests.campaigns import composer
from tests.campaigns.composer import url
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_registrations,
    signed_in,
)

pytestmark = pytest.mark.django_db
TYPED = composer.TYPED | {"draft_version": "1"}
LATER = {
    "when": "at", "start_date": "2027-07-24", "start_time": "09:00", "zone": "Europe/Berlin",
}  # fmt: skip


@pytest.fixture
def shop() -> Application:
    application = make_application(default_zone="Asia/Kolkata")
    make_registrations(application, 3)
    make_credential(application)
    return application


def words(page: bytes) -> str:
    return " ".join(strip_tags(page.decode()).split())


def test_a_time_is_offered_in_the_applications_zone(shop: Application) -> None:
    page = signed_in(shop).get(url("edit", make_campaign(shop))).content.decode()
    assert '<option value="Asia/Kolkata" selected>Asia/Kolkata</option>' in page
    assert 'type="time" name="start_time" value="09:00"' in page


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (LATER, "Sat 24 Jul 2027, 09:00 (Europe/Berlin)"),
        (LATER | {"when": "local"}, "Sat 24 Jul 2027, 09:00 in each recipient's time"),
        (
            LATER | {"when": "repeat", "every": "week", "times": "3"},
            "Every week at 09:00 (Europe/Berlin) from Sat 24 Jul 2027, 3 times",
        ),
    ],
)
def test_a_chosen_time_is_saved_reviewed_and_scheduled(
    shop: Application, typed: dict[str, str], says: str
) -> None:
    client, campaign = signed_in(shop), make_campaign(shop)

    review = words(client.post(url("edit", campaign), TYPED | typed).content)
    assert says in review.replace("&#x27;", "'")
    assert "Schedule for 3 devices" in review

    launched = client.post(url("launch", campaign), TYPED | typed | {"draft_version": "2"})
    page = words(client.get(launched["HX-Redirect"]).content)
    assert "Scheduled" in page
    assert "24 Jul 2027, 09:00" in page
    assert Bulk.objects.get().status == Bulk.Status.PENDING
    listed = client.get(reverse("campaigns:list", args=[shop.pk])).content
    assert "Scheduled" in words(listed)


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"start_date": ""}, "start_date", "Choose the day."),
        ({"start_time": "soon"}, "start_time", "Type a time, such as 09:00."),
        ({"zone": "Moon/Tranquility"}, "zone", "Select a valid choice"),
        ({"when": "repeat", "until": "2027-01-01"}, "until", "ends before its first day"),
        ({"when": "repeat", "times": "0"}, "times", "Type 1 or more."),
        ({"try_first": "share", "try_size": "100"}, "try_size", "A share is 1 to 99 percent."),
        ({"try_first": "devices"}, "try_size", "Say how many get it first."),
    ],
)
def test_a_time_that_cannot_be_read_is_said_beside_its_field(
    shop: Application, change: dict[str, str], field: str, says: str
) -> None:
    campaign = make_campaign(shop)
    page = signed_in(shop).post(url("edit", campaign), TYPED | LATER | change).content.decode()
    assert f'data-fault="id_{field}"' in page
    assert says in page
    campaign.refresh_from_db()
    assert campaign.timing == {}


def test_a_time_that_has_passed_keeps_it_from_being_launched(shop: Application) -> None:
    campaign = make_campaign(shop)
    past = TYPED | LATER | {"start_date": "2026-01-01"}
    client = signed_in(shop)

    saved = words(client.post(url("edit", campaign), past).content)
    refused = client.post(url("launch", campaign), past | {"draft_version": "2"})

    assert "This time has passed in Europe/Berlin: choose a later one." in saved
    assert 'data-fault="id_start_date"' in refused.content.decode()
    assert not Bulk.objects.exists()


def test_the_review_says_whom_the_cap_leaves_out_and_when_it_is_quiet(shop: Application) -> None:
    Application.objects.filter(pk=shop.pk).update(
        cap_count=1, cap_hours=48, quiet_from="22:00", quiet_to="08:00"
    )
    device = Registration.objects.filter(application=shop).latest("pk")
    bulk = make_bulk(shop)
    CapUse.objects.create(
        application=shop, bulk=bulk, owner=-device.pk, registration_id=device.pk,
        at=timezone.now(),
    )  # fmt: skip
    client, campaign = signed_in(shop), make_campaign(shop)

    review = words(client.post(url("edit", campaign), TYPED).content)
    assert "1 device left out now: 1 in 48 h is the limit" in review
    assert "22:00 to 08:00 where the recipient is" in review

    urgent = TYPED | {"transactional": "on", "draft_version": "2"}
    review = words(client.post(url("edit", campaign), urgent).content)
    assert "Neither stopped nor counted: it is transactional" in review
    assert "Sent in them too: it is transactional" in review


def test_a_canary_is_saved_and_reviewed(shop: Application) -> None:
    client, campaign = signed_in(shop), make_campaign(shop)
    typed = TYPED | {"try_first": "devices", "try_size": "2", "try_failed": "10"}

    review = words(client.post(url("edit", campaign), typed).content)

    assert "2 devices first; after 15 min it goes on if at most 10 % failed" in review
    campaign.refresh_from_db()
    assert campaign.canary == {"devices": 2, "minutes": 15, "failed": 10, "then": "go_on"}
    local = typed | LATER | {"when": "local", "draft_version": "2"}
    refused = client.post(url("launch", campaign), local).content.decode()
    assert 'data-fault="id_try_first"' in refused
    assert not Bulk.objects.exists()


def test_each_run_of_a_recurring_campaign_has_a_page_of_its_own(shop: Application) -> None:
    client = signed_in(shop)
    timing = {
        "kind": "repeat", "date": "2026-01-05", "time": "09:00", "zone": "UTC", "every": "week",
        "until": None, "count": None,
    }  # fmt: skip
    campaign = make_campaign(shop, timing=timing, launched_at=timezone.now())
    first, second = (
        make_bulk(shop, campaign=campaign, delivery={"timing": timing}, audience=devices,
                  starts_at=timezone.now() - timedelta(days=days), status=Bulk.Status.DONE,
                  frozen_at=timezone.now(), finished_at=timezone.now())
        for days, devices in ((14, 7), (7, 5))
    )  # fmt: skip

    page = words(client.get(url("detail", campaign)).content)
    assert "Every week at 09:00 (UTC) from Mon 5 Jan 2026. Next:" in page
    assert "5 targeted = " in page
    older = client.get(reverse("campaigns:run", args=[shop.pk, campaign.pk, first.pk]))
    assert "7 targeted = " in words(older.content)
    for name in ("run-chart", "run-messages"):
        address = reverse(f"campaigns:{name}", args=[shop.pk, campaign.pk, second.pk])
        assert client.get(address).status_code == 200
    other = make_bulk(shop, campaign=make_campaign(shop))
    strange = client.get(reverse("campaigns:run", args=[shop.pk, campaign.pk, other.pk]))
    assert strange.status_code == 404
