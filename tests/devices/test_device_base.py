"""devices.device_base and its page: how many devices there are, came and went."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from devices import device_base, personalizing
from devices.audit import Author
from devices.models import Address, Application, BaseDay, Platform, Registration, Role
from tests.factories import make_application, make_registration, make_registrations, make_user

pytestmark = pytest.mark.django_db
QueryCount = Callable[[int], AbstractContextManager[Any]]
NAMES = ("devices", "switched_on", "reachable", "active", "new", "lost")


def ago(days: int) -> datetime:
    """The noon of a day."""
    return timezone.now().replace(hour=12) - timedelta(days=days)


def day(days: int) -> date:
    return ago(days).date()


def come(application: Application, days: int, **given: Any) -> Registration:
    """A device that registered some days ago and was seen today."""
    device = make_registration(application, **given)
    Registration.objects.filter(pk=device.pk).update(created_at=ago(days))
    return device


def close(device: Registration, days: int) -> None:
    Registration.objects.filter(pk=device.pk).update(enabled=False)
    Address.objects.filter(pk=device.pk).update(
        closed_at=ago(days), closed_reason=Address.Closed.UNINSTALLED
    )


def counted(
    application: Application, days: int = 0, platform: Platform = Platform.ANDROID
) -> tuple[int, ...]:
    row = BaseDay.objects.get(application=application, day=day(days), platform=platform)
    return tuple(getattr(row, name) for name in NAMES)


# ------------------------------------------------------------------- counting


def test_devices_are_counted_by_what_can_be_done_with_them() -> None:
    application = make_application()
    make_registrations(application, 2)
    make_registrations(application, 3, notifications_enabled=False)
    make_registrations(application, 4, enabled=False)
    make_registrations(application, 5, last_seen_day=day(30))
    make_registrations(application, 6, platform=Platform.IOS, last_seen_day=day(29))
    make_registrations(make_application(), 7)

    device_base.roll_up()

    assert counted(application) == (14, 10, 7, 5, 14, 0)
    assert counted(application, platform=Platform.IOS) == (6, 6, 6, 6, 6, 0)
    assert counted(application, platform=Platform.WEB) == (0, 0, 0, 0, 0, 0)


def test_counting_again_corrects_today() -> None:
    application = make_application()
    devices = make_registrations(application, 3)
    device_base.roll_up()
    close(devices[0], 0)

    device_base.roll_up()
    device_base.roll_up()

    assert counted(application) == (3, 2, 2, 2, 3, 1)
    assert BaseDay.objects.filter(application=application, day=day(0)).count() == len(Platform)


def test_a_deleted_device_is_lost_that_day_once() -> None:
    application = make_application()
    old, closed, fresh = come(application, 9), come(application, 9), make_registration(application)
    close(closed, 3)
    for device in (old, closed, fresh):
        personalizing.delete_device(application, device.address.public_id, Author("system"))

    device_base.roll_up()

    assert counted(application) == (0, 0, 0, 0, 1, 2)


def test_what_moves_after_the_last_count_of_a_day_is_counted_the_day_after() -> None:
    application = make_application()
    with time_machine.travel(ago(1)):
        device_base.roll_up()
    come(application, 1)
    close(come(application, 5), 1)

    device_base.roll_up()

    assert counted(application, 1)[-2:] == (1, 1)
    assert BaseDay.objects.get(application=application, day=day(1), platform=1).measured


def test_days_that_nobody_counted_are_worked_out() -> None:
    application = make_application()
    come(application, 400)
    come(application, 10, notifications_enabled=False)
    close(come(application, 10), 4)
    come(application, 40, last_seen_day=day(33))
    come(application, 2, enabled=False)

    device_base.roll_up()

    history = {
        days: counted(application, days) for days in (89, 41, 40, 11, 10, 5, 4, 3, 2, 1)
    }  # devices, switched on, reachable, active, new, lost
    assert history == {
        89: (1, 1, 1, 1, 0, 0),
        41: (1, 1, 1, 1, 0, 0),
        40: (2, 2, 2, 2, 1, 0),
        11: (2, 2, 2, 2, 0, 0),
        10: (4, 4, 3, 4, 2, 0),
        5: (4, 4, 3, 4, 0, 0),
        4: (4, 3, 2, 3, 0, 1),
        3: (4, 3, 2, 2, 0, 0),
        2: (5, 3, 2, 2, 1, 0),
        1: (5, 3, 2, 2, 0, 0),
    }
    assert not BaseDay.objects.filter(day__lt=day(0), measured=True).exists()
    assert counted(application) == (5, 3, 2, 2, 0, 0)


def test_working_out_keeps_the_days_that_were_counted() -> None:
    application = make_application()
    come(application, 10)
    BaseDay.objects.create(
        application=application, day=day(3), platform=Platform.ANDROID, devices=77,
        counted_at=ago(3),
    )  # fmt: skip

    device_base.roll_up()

    assert counted(application, 3)[0] == 77
    assert counted(application, 2)[0] == 1


# ------------------------------------------------------------------- the page


def url(application: Application, query: str = "") -> str:
    return reverse("devices:base", args=[application.pk]) + query


@pytest.fixture
def application(client: Client) -> Application:
    """One whose analyst is signed in."""
    application = make_application(name="Shop")
    client.force_login(make_user(Role.ANALYST, application))
    return application


@pytest.mark.parametrize("role", [*Role, None])
def test_the_device_base_is_for_members_alone(client: Client, role: Role | None) -> None:
    application = make_application()
    client.force_login(make_user(role, application) if role else make_user())

    assert client.get(url(application)).status_code == (200 if role else 404)


def test_the_navigation_leads_to_the_device_base(client: Client, application: Application) -> None:
    page = client.get(url(application)).content.decode()

    assert f'href="{url(application)}" aria-current="page"' in page


def test_without_devices_the_page_says_how_they_come(
    client: Client, application: Application
) -> None:
    assert "No device yet" in client.get(url(application)).content.decode()


def test_a_small_application_is_counted_as_the_page_opens(
    client: Client, application: Application
) -> None:
    make_registrations(application, 3)
    make_registrations(application, 1, platform=Platform.IOS, notifications_enabled=False)

    page = client.get(url(application))

    assert page.context["now"] == device_base.Base(4, 4, 3, 4, 4, 0)
    assert [platform for platform, _, _ in page.context["rows"]] == [
        Platform.ANDROID, Platform.IOS,
    ]  # fmt: skip


def test_a_large_application_shows_what_the_timetable_counted(
    client: Client,
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: QueryCount,
) -> None:
    monkeypatch.setattr(device_base, "COUNTED_LIVE", 2)
    make_registrations(application, 3)
    assert "Not counted yet" in client.get(url(application)).content.decode()
    device_base.roll_up()
    make_registrations(application, 5)
    client.get(url(application))

    with django_assert_max_num_queries(9):
        page = client.get(url(application))

    assert page.context["now"].devices == 3


@pytest.mark.parametrize(
    ("asked", "days"),
    [("", 30), ("?days=7", 7), ("?days=90", 90), ("?days=x", 30), ("?days=8", 30)],
)
def test_the_charts_have_every_day_of_the_period(
    client: Client, application: Application, asked: str, days: int
) -> None:
    come(application, 5)
    close(come(application, 5, platform=Platform.IOS), 2)
    device_base.roll_up()

    page = client.get(url(application, asked))

    chart, moves = page.context["by_platform"], page.context["moves"]
    assert chart["points"] == [day(each).isoformat() for each in range(days - 1, -1, -1)]
    assert [(each["name"], each["values"][-6:]) for each in chart["series"]] == [
        ("Android", [1, 1, 1, 1, 1, 1]),
        ("iOS", [1, 1, 1, 0, 0, 0]),
    ]
    assert [(each["name"], each["values"][-6:]) for each in moves["series"]] == [
        ("New", [2, 0, 0, 0, 0, 0]),
        ("Lost", [0, 0, 0, 1, 0, 0]),
    ]
    assert (page.context["moved"].new, page.context["moved"].lost) == (2, 1)


@pytest.mark.parametrize(
    ("show", "android", "ios"),
    [
        ("reachable", [1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]),
        ("active", [1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]),
        ("opt-in", [100.0] * 6, [100.0] * 3 + [None] * 3),
        ("new", [1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]),
        ("lost", [0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]),
        ("shoes", [1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]),
    ],
)
def test_the_chart_shows_each_figure_by_day_and_platform(
    client: Client, application: Application, show: str, android: list[Any], ios: list[Any]
) -> None:
    come(application, 5)
    close(come(application, 5, platform=Platform.IOS), 2)
    device_base.roll_up()

    page = client.get(url(application, f"?show={show}"))

    series = page.context["by_platform"]["series"]
    assert [each["values"][-6:] for each in series] == [android, ios]


def test_a_day_nobody_counted_has_the_devices_of_the_day_before(
    client: Client, application: Application
) -> None:
    come(application, 5)
    device_base.roll_up()
    BaseDay.objects.filter(application=application, day=day(2)).delete()

    page = client.get(url(application, "?days=7"))

    (series,) = page.context["by_platform"]["series"]
    assert series["values"] == [0, 1, 1, 1, 1, 1, 1]
