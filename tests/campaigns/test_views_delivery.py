"""When a campaign goes out, as it is chosen on its page."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from campaigns.models import Bulk, Campaign, CapUse
from devices.models import Application, Registration, Role
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
TYPED = {
    "draft_version": "1", "name": "Sale", "text": "Today only", "on_tap": "app", "hours": "48",
    "repeat_policy": "when_refused",
}  # fmt: skip
LATER = {
    "when": "at", "start_date": "2027-07-24", "start_time": "09:00", "zone": "Europe/Berlin",
}  # fmt: skip


@pytest.fixture
def shop() -> Application:
    application = make_application(default_zone="Asia/Kolkata")
    make_registrations(application, 3)
    make_credential(application)
    return application


def signed_in(shop: Application, role: Role = Role.MARKETER) -> Client:
    client = Client()
    client.force_login(make_user(role, shop))
    return client


def url(name: str, campaign: Campaign) -> str:
    return reverse(f"campaigns:{name}", args=[campaign.application_id, campaign.pk])


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
