"""The first page of an application, and the test of a credential."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from campaigns import statistics
from campaigns.models import Bulk, Counter
from devices.models import Application, AuditEntry, Platform, Provider, Role
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
QueryCount = Callable[[int], AbstractContextManager[Any]]


def member(client: Client, application: Application, role: Role = Role.ANALYST) -> None:
    client.force_login(make_user(role, application))


def overview_url(application: Application) -> str:
    return reverse("campaigns:overview", args=[application.pk])


def count(bulk: Bulk, *, days_ago: int = 0, **counts: int) -> None:
    minute = (timezone.now() - timedelta(days=days_ago)).replace(second=0, microsecond=0)
    Counter.objects.create(bulk=bulk, minute=minute, platform=Platform.IOS, **counts)


def test_devices_are_counted_by_who_can_be_reached(client: Client) -> None:
    application = make_application()
    make_registrations(application, 3)
    make_registrations(application, 1, platform=Platform.IOS)
    make_registrations(application, 2, notifications_enabled=False)
    make_registrations(application, 4, enabled=False)
    make_registrations(make_application(), 5)
    member(client, application)

    page = client.get(overview_url(application))

    assert page.context["reachable"] == 4
    assert page.context["platforms"] == [
        (Platform.ANDROID, "android", "Android", 3),
        (Platform.IOS, "ios", "iOS", 1),
    ]
    assert page.context["numbers"].opted_in == pytest.approx(4 / 6)


def test_the_chart_has_thirty_days_and_a_zero_for_each_quiet_one(client: Client) -> None:
    application = make_application()
    bulk = make_bulk(application)
    count(bulk, sent=10, accepted=10, delivered=8, seen=2)
    count(bulk, days_ago=2, sent=5, accepted=5)
    count(make_bulk(application, origin=Bulk.Origin.TEST), sent=1, accepted=1)
    member(client, application)

    page = client.get(overview_url(application))
    chart = page.context["days"]

    assert len(chart["points"]) == 30
    assert chart["points"][-1] == timezone.now().date().isoformat()
    assert chart["series"][0]["values"][-3:] == [5, 0, 10]
    assert sum(chart["series"][0]["values"]) == page.context["numbers"].sent == 15


def test_a_new_application_is_led_to_its_first_campaign(client: Client) -> None:
    application = make_application()
    member(client, application, Role.ADMINISTRATOR)
    assert "Add credential" in client.get(overview_url(application)).content.decode()

    make_credential(application)
    make_registrations(application, 1)

    steps = client.get(overview_url(application)).context["steps"]
    assert steps == {"credential": True, "devices": True, "campaign": False}


def test_a_poll_gets_what_is_being_sent_alone(
    client: Client, django_assert_num_queries: QueryCount
) -> None:
    application = make_application()
    member(client, application)
    client.get(overview_url(application))

    with django_assert_num_queries(6):  # session, user, application, role, campaigns, funnels
        part = client.get(overview_url(application), headers={"HX-Request": "true"})

    assert part.content.decode().count("<html") == 0
    assert 'id="running"' in part.content.decode()


def test_what_is_being_sent_asks_as_often_for_many_campaigns_as_for_one(client: Client) -> None:
    application = make_application()
    member(client, application)
    client.get(overview_url(application))
    asked = []
    for more in (1, 3):
        for _ in range(more):
            now = timezone.now()
            bulk = make_bulk(
                application, campaign=make_campaign(application, launched_at=now), audience=1000,
                status=Bulk.Status.SENDING, frozen_at=now - timedelta(hours=1),
            )  # fmt: skip
            count(bulk, sent=120, accepted=120)
        with CaptureQueriesContext(connection) as queries:
            client.get(overview_url(application), headers={"HX-Request": "true"})
        asked.append(len(queries))

    assert asked[0] == asked[1]
    rows = statistics.running(application)
    paces = [statistics.pace(row.bulk, row.funnel) for row in rows if row.bulk is not None]
    assert len(paces) == 4
    assert all(0.5 < pace.per_second <= 2 for pace in paces)  # 120 in one to two minutes


def test_what_is_planned_stands_under_next_and_hides_nothing_that_runs(client: Client) -> None:
    application = make_application()
    sent = make_bulk(application, campaign=make_campaign(application, name="Friday sale"))
    Bulk.objects.filter(pk=sent.pk).update(status=Bulk.Status.SENDING)
    for days in range(12, 0, -1):
        campaign = make_campaign(application, name=f"In {days} days")
        at = timezone.now() + timedelta(days=days)
        make_bulk(application, campaign=campaign, status=Bulk.Status.PENDING, starts_at=at)
    member(client, application)

    page = client.get(overview_url(application))

    assert [row.campaign.name for row, _, _ in page.context["running"]] == ["Friday sale"]
    planned = [bulk.campaign.name for bulk, _ in page.context["planned"]]
    assert planned == [f"In {days} days" for days in range(1, 6)]


def test_strangers_see_no_overview(client: Client) -> None:
    application = make_application()
    client.force_login(make_user(Role.ADMINISTRATOR))

    assert client.get(overview_url(application)).status_code == 404


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.MARKETER, Role.ANALYST])
def test_only_administrators_test_credentials(client: Client, role: Role) -> None:
    credential = make_credential(make_application())
    member(client, credential.application, role)
    url = reverse("campaigns:credential-test", args=[credential.application_id, credential.pk])

    assert client.post(url).status_code == 403


def test_a_credential_that_cannot_be_one_is_told_without_asking_a_cloud(client: Client) -> None:
    credential = make_credential(make_application(), Provider.APNS, data={})
    member(client, credential.application, Role.ADMINISTRATOR)
    url = reverse("campaigns:credential-test", args=[credential.application_id, credential.pk])

    response = client.post(url)

    credential.refresh_from_db()
    assert credential.test_ok is False
    assert "is missing" in credential.test_answer
    assert credential.test_answer in response.content.decode()
    assert "toast" in response.headers["HX-Trigger"]
    assert AuditEntry.objects.get(action="test credential").after == {
        "works": False,
        "answer": credential.test_answer,
    }
