"""What stands around every page: navigation by role, error pages, no style or script inside."""

import re

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse

from devices.models import Role
from tests.factories import make_application, make_registration, make_user

pytestmark = pytest.mark.django_db
INLINE = re.compile(
    r"<[^>]+\s(style|on[a-z]+|hx-on[a-z:-]*)=|<style|<script(?![^>]*(src=|type=\"application/json\"))"
)


def test_the_navigation_offers_what_the_role_may_open(client: Client) -> None:
    application = make_application()
    client.force_login(make_user(Role.SUPPORT, application))

    page = client.get(reverse("devices:list", args=[application.pk])).content.decode()

    assert reverse("devices:list", args=[application.pk]) in page
    assert reverse("devices:applications") not in page


def test_the_switcher_offers_own_applications_alone(client: Client) -> None:
    application = make_application(name="Mine")
    make_application(name="Somebody's else")
    client.force_login(make_user(Role.SUPPORT, application))

    page = client.get(reverse("devices:list", args=[application.pk])).content.decode()

    assert "Mine" in page
    assert "Somebody" not in page


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500"])
def test_error_pages_need_nothing_but_their_template(name: str) -> None:
    page = render_to_string(f"{name}.html")

    assert "<h1>" in page
    assert not INLINE.search(page)


def test_a_missing_page_is_ours(client: Client) -> None:
    response = client.get("/nothing/here/")

    assert response.status_code == 404
    assert "Nothing is here" in response.content.decode()


def test_a_refusal_says_what_the_role_may_not_do(client: Client) -> None:
    application = make_application()
    client.force_login(make_user(Role.ANALYST, application))

    response = client.get(reverse("devices:list", args=[application.pk]))

    assert response.status_code == 403
    assert "see devices" in response.content.decode()


def test_pages_hold_no_inline_style_or_script(client: Client) -> None:
    device = make_registration(make_application())
    user = make_user(Role.ADMINISTRATOR, device.application)
    urls = [reverse("account_login")]
    assert not INLINE.search(client.get(urls[0]).content.decode())
    client.force_login(user)

    for url in (
        reverse("devices:list", args=[device.application_id]),
        reverse("devices:detail", args=[device.application_id, device.pk]),
        reverse("devices:applications"),
        reverse("devices:application-new"),
        reverse("devices:application-detail", args=[device.application_id]),
        reverse("devices:credential-new", args=[device.application_id, "fcm"]),
        reverse("devices:credential-new", args=[device.application_id, "apns"]),
        reverse("account_change_password"),
        reverse("account_logout"),
        reverse("mfa_index"),
        reverse("usersessions_list"),
    ):
        response = client.get(url)
        assert response.status_code == 200, url
        found = INLINE.search(response.content.decode())
        assert not found, (url, found)


def test_the_component_page_is_for_developers_alone(client: Client) -> None:
    client.force_login(make_user(Role.ADMINISTRATOR))

    assert client.get("/settings/components/").status_code == 404


@pytest.mark.parametrize(
    ("role", "labels"),
    [
        (Role.SUPPORT, ["Overview", "Campaigns", "People", "Devices"]),
        (Role.MARKETER, ["Overview", "Campaigns", "People", "Segments"]),
        (Role.ADMINISTRATOR, ["Overview", "Campaigns", "People", "Segments"]),
        (Role.ANALYST, ["Overview", "Campaigns", "Segments"]),
    ],
)
def test_a_phone_shows_the_pages_a_role_needs_most_and_the_others_behind_more(
    client: Client, role: Role, labels: list[str]
) -> None:
    application = make_application()
    client.force_login(make_user(role, application))

    frame = client.get(reverse("campaigns:overview", args=[application.pk])).context["frame"]

    assert [entry.label for entry in frame.bottom_pages] == labels
    assert {*frame.bottom_pages, *frame.more_pages} == set(frame.pages)
    assert not {*frame.bottom_pages} & {*frame.more_pages}
