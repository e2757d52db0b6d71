"""Pages of applications and credentials."""

import pytest
from django.test import Client
from django.urls import reverse

from devices.models import Application, AuditEntry, Membership, Role
from tests.devices.application_pages import administrator, fcm_url
from tests.factories import make_application, make_user

pytestmark = pytest.mark.django_db


def test_whoever_makes_an_application_administers_it(client: Client) -> None:
    user = administrator(client, make_application())

    response = client.post(reverse("devices:application-new"), {"name": "Courier"})

    made = Application.objects.get(name="Courier")
    assert response.headers["Location"] == reverse("devices:application-detail", args=[made.pk])
    assert Membership.objects.get(user=user, application=made).role == Role.ADMINISTRATOR
    assert AuditEntry.objects.get(action="create application").application == made


def test_an_application_needs_a_name_of_its_own(client: Client) -> None:
    administrator(client, make_application(name="Shop"))

    response = client.post(reverse("devices:application-new"), {"name": "Shop"})

    assert response.status_code == 422
    assert "already exists" in response.content.decode()


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_only_administrators_make_applications(client: Client, role: Role) -> None:
    client.force_login(make_user(role))

    assert client.post(reverse("devices:application-new"), {"name": "X"}).status_code == 403
    assert not Application.objects.filter(name="X").exists()


@pytest.mark.parametrize(
    ("role", "sees", "edits"),
    [
        (Role.ADMINISTRATOR, 200, 302),
        (Role.DEVELOPER, 200, 403),
        (Role.MARKETER, 403, 403),
        (Role.APPROVER, 403, 403),
        (Role.SUPPORT, 403, 403),
        (Role.ANALYST, 403, 403),
    ],
)
def test_settings_are_seen_and_edited_by_role(
    client: Client, role: Role, sees: int, edits: int
) -> None:
    application = make_application()
    client.force_login(make_user(role, application))
    url = reverse("devices:application-detail", args=[application.pk])
    settings = {
        "name": "New",
        "ttl_hours": "24",
        "sdk": "own",
        "android_display": "sdk",
        "user_data_from_apps": "on",
    }

    assert client.get(url).status_code == sees
    assert client.post(url, settings).status_code == edits
    application.refresh_from_db()
    assert (application.name == "New") is (edits == 302)


def test_strangers_do_not_learn_that_an_application_exists(client: Client) -> None:
    application = make_application()
    client.force_login(make_user(Role.ADMINISTRATOR))

    for url in (
        reverse("devices:application-detail", args=[application.pk]),
        reverse("devices:application-home", args=[application.pk]),
        fcm_url(application),
    ):
        assert client.get(url).status_code == 404


def test_a_change_of_settings_is_in_the_audit_log_with_what_changed(client: Client) -> None:
    application = make_application(name="Shop", default_ttl=3600)
    administrator(client, application)

    client.post(
        reverse("devices:application-detail", args=[application.pk]),
        {
            "name": "Shop",
            "ttl_hours": "1.5",
            "sdk": "infobip",
            "android_display": "sdk",
            "user_data_from_apps": "on",
        },
    )

    entry = AuditEntry.objects.get(action="change application")
    assert (entry.before, entry.after) == ({"default_ttl": 3600}, {"default_ttl": 5400})


@pytest.mark.parametrize("hours", ["0", "72.5", "-1", "NaN", "forever", "0.005"])
def test_a_time_to_live_outside_its_limits_is_refused(client: Client, hours: str) -> None:
    application = make_application()
    administrator(client, application)

    response = client.post(
        reverse("devices:application-detail", args=[application.pk]),
        {
            "name": "Shop",
            "ttl_hours": hours,
            "sdk": "infobip",
            "android_display": "sdk",
            "user_data_from_apps": "on",
        },
    )

    assert response.status_code == 422
    assert "ttl_hours" in response.context["form"].errors


@pytest.mark.parametrize(
    ("count", "hours", "wrong"),
    [
        ("", "", []),
        ("3", "48", []),
        ("3", "720", []),
        ("3", "", ["cap_hours"]),
        ("", "48", ["cap_count"]),
        ("0", "48", ["cap_count"]),
        ("-1", "48", ["cap_count"]),
        ("many", "48", ["cap_count"]),
        ("3", "0", ["cap_hours"]),
        ("3", "721", ["cap_hours"]),
    ],
)
def test_a_frequency_cap_is_a_number_of_pushes_in_a_number_of_hours(
    client: Client, count: str, hours: str, wrong: list[str]
) -> None:
    application = make_application()
    administrator(client, application)

    response = client.post(
        reverse("devices:application-detail", args=[application.pk]),
        {
            "name": "Shop",
            "ttl_hours": "24",
            "sdk": "infobip",
            "android_display": "sdk",
            "cap_count": count,
            "cap_hours": hours,
        },
    )

    assert response.status_code == (422 if wrong else 302)
    if wrong:
        assert list(response.context["form"].errors) == wrong
    application.refresh_from_db()
    kept = (application.cap_count, application.cap_hours)
    assert kept == ((int(count), int(hours)) if count and not wrong else (None, None))


@pytest.mark.parametrize(
    ("start", "end", "wrong"),
    [
        ("", "", []),
        ("22:00", "08:00", []),
        ("13:00", "", ["quiet_to"]),
        ("", "08:00", ["quiet_from"]),
        ("08:00", "08:00", ["quiet_to"]),
        ("late", "08:00", ["quiet_from"]),
    ],
)
def test_quiet_hours_have_both_ends_and_a_zone(
    client: Client, start: str, end: str, wrong: list[str]
) -> None:
    application = make_application()
    administrator(client, application)
    typed = {"name": "Shop", "ttl_hours": "24", "sdk": "infobip", "android_display": "sdk"}
    typed |= {"quiet_from": start, "quiet_to": end, "default_zone": "Asia/Kolkata"}

    response = client.post(reverse("devices:application-detail", args=[application.pk]), typed)

    assert response.status_code == (422 if wrong else 302)
    application.refresh_from_db()
    if wrong:
        assert list(response.context["form"].errors) == wrong
        assert (application.quiet_from, application.default_zone) == (None, "UTC")
        return
    assert application.default_zone == "Asia/Kolkata"
    assert (application.quiet_from is not None) == bool(start)
    change = AuditEntry.objects.get(action="change application")
    assert change.after is not None
    assert change.after["default_zone"] == "Asia/Kolkata"
    client.post(
        reverse("devices:application-detail", args=[application.pk]),
        typed | {"default_zone": "Moon/Tranquility"},
    )
    application.refresh_from_db()
    assert application.default_zone == "Asia/Kolkata"


def test_somebody_without_an_application_is_told_what_to_do(client: Client) -> None:
    client.force_login(make_user())

    assert "no member of an application" in client.get("/").content.decode()


def test_the_first_page_is_that_of_the_application_seen_last(client: Client) -> None:
    user = make_user()
    for name in ("A", "B"):
        Membership.objects.create(
            user=user, application=make_application(name=name), role=Role.SUPPORT
        )
    client.force_login(user)
    seen = Application.objects.get(name="B")
    client.get(reverse("devices:list", args=[seen.pk]))

    response = client.get("/")

    assert response.headers["Location"] == reverse("devices:application-home", args=[seen.pk])
