"""Some devices first; the others once it is known how it went."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import canaries, composing, dispatch, fanout, ledger, statistics
from campaigns.errors import IncompleteContentError
from campaigns.models import Bulk, Chunk, Message, Scenario
from devices.models import Application, ProviderCredential, Role
from providers.base import Cause, Outcome, Verdict
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]


@pytest.fixture
def shop() -> Application:
    application = make_application()
    make_registrations(application, 40)
    return application


def canary(**given: Any) -> dict[str, Any]:
    return {"canary": {"devices": 10, "minutes": 0, "failed": 20, "then": "go_on", **given}}


def tried(shop: Application, cloud_for: CloudFor, *, failing: int = 0, **given: Any) -> Bulk:
    """A bulk whose first devices have their outcome."""
    cloud = cloud_for(make_credential(shop))
    failures = iter([True] * failing)

    def answer(_: object) -> Outcome:
        if next(failures, False):
            return Outcome(verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, status=404)
        return Outcome(verdict=Verdict.ACCEPTED, provider_id="1")

    cloud.answer = answer
    campaign = make_campaign(shop, launched_at=timezone.now())
    bulk = make_bulk(shop, campaign=campaign, delivery=canary(**given))
    fanout.freeze(bulk)
    dispatch.work(seconds=60)
    bulk.refresh_from_db()
    return bulk


@pytest.mark.parametrize(
    ("told", "first"), [({"devices": 10}, 10), ({"share": 1}, 1), ({"devices": 900}, 40)]
)
def test_as_many_as_told_go_first_and_the_rest_is_held(
    shop: Application, told: dict[str, int], first: int
) -> None:
    rest = {"minutes": 0, "failed": 5, "then": "hold"}
    bulk = make_bulk(shop, delivery={"canary": told | rest})
    assert fanout.freeze(bulk) == 40
    held = bulk.chunks.filter(held=True)
    assert sum(chunk.size for chunk in bulk.chunks.filter(held=False)) == first
    assert sum(chunk.size for chunk in held) == 40 - first


def test_another_campaign_tries_others_first(shop: Application) -> None:
    drawn = []
    for _ in range(4):
        bulk = make_bulk(shop, delivery=canary())
        fanout.freeze(bulk)
        drawn.append(tuple(bulk.chunks.get(held=False).recipients))
    assert len(set(drawn)) > 1


def test_it_goes_on_by_itself_when_few_failed(shop: Application, cloud_for: CloudFor) -> None:
    bulk = tried(shop, cloud_for, failing=2)
    assert statistics.funnel(bulk).sent == 10
    assert canaries.judge() == 1

    dispatch.work(seconds=60)

    bulk.refresh_from_db()
    assert (bulk.status, statistics.funnel(bulk).sent) == (Bulk.Status.DONE, 40)
    assert canaries.judge() == 0


def test_it_pauses_when_too_many_failed_and_goes_on_if_somebody_says_so(
    shop: Application, cloud_for: CloudFor
) -> None:
    bulk = tried(shop, cloud_for, failing=3)

    assert canaries.judge() == 1
    assert canaries.judge() == 0

    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.PAUSED
    assert canaries.asks(bulk)
    assert bulk.status_reason == (
        "The first 10 devices are done: 30.0 % failed. At most 20 % were to fail."
    )
    assert bulk.campaign is not None
    composing.resume(bulk.campaign, make_user(Role.MARKETER, shop))
    dispatch.work(seconds=60)
    bulk.refresh_from_db()
    assert (bulk.status, statistics.funnel(bulk).sent) == (Bulk.Status.DONE, 40)


def test_going_on_and_letting_go_who_is_held_are_one(
    shop: Application, cloud_for: CloudFor
) -> None:
    """Else the first would be judged, and the campaign paused, once more in between."""
    bulk = tried(shop, cloud_for, then="hold")
    canaries.judge()
    campaign, user = bulk.campaign, make_user(Role.MARKETER, shop)
    assert campaign is not None

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('UPDATE "campaigns_chunk"'):
            raise OperationalError("the database went away")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        composing.resume(campaign, user)

    bulk.refresh_from_db()
    assert canaries.asks(bulk)
    composing.resume(campaign, user)
    assert not bulk.chunks.filter(held=True).exists()


def test_somebody_decides_where_that_was_chosen(shop: Application, cloud_for: CloudFor) -> None:
    bulk = tried(shop, cloud_for, then="hold")
    canaries.judge()
    bulk.refresh_from_db()
    assert bulk.status_reason == "The first 10 devices are done: 0.0 % failed."
    assert bulk.campaign is not None
    composing.cancel(bulk.campaign, make_user(Role.MARKETER, shop))
    assert statistics.funnel(bulk).cancelled == 30


def test_the_page_says_who_waits_and_for_what(
    shop: Application, cloud_for: CloudFor, client: Client
) -> None:
    bulk = tried(shop, cloud_for, minutes=30)
    client.force_login(make_user(Role.MARKETER, shop))
    address = reverse("campaigns:detail", args=[shop.pk, bulk.campaign_id])

    page = client.get(address).content.decode()

    assert canaries.held(bulk) == 30
    assert "30 devices wait until a part has tried it" in page
    assert "10 devices first; after 30 min it goes on if at most 20 % failed" in page
    assert "/s ·" not in page, "nothing is being sent, so there is no end to foretell"
    canaries.release(bulk)
    assert canaries.held(bulk) == 0
    assert "until a part has tried it" not in client.get(address).content.decode()


def test_it_waits_its_minutes(shop: Application, cloud_for: CloudFor) -> None:
    bulk = tried(shop, cloud_for, minutes=5)
    assert canaries.judge() == 0
    past = timezone.now() - timedelta(minutes=6)
    Message.objects.of_bulk(bulk).update(sent_at=past)
    assert canaries.judge() == 1


def test_a_pause_of_somebody_else_lets_nobody_go_who_is_held(
    shop: Application, cloud_for: CloudFor
) -> None:
    bulk = tried(shop, cloud_for, minutes=5)
    user = make_user(Role.MARKETER, shop)
    assert bulk.campaign is not None
    composing.pause(bulk.campaign, user)
    composing.resume(bulk.campaign, user)
    assert bulk.chunks.filter(held=True).exists()


def test_who_is_held_until_the_time_is_over_expires(shop: Application, cloud_for: CloudFor) -> None:
    bulk = tried(shop, cloud_for, then="hold")
    canaries.judge()
    Bulk.objects.filter(pk=bulk.pk).update(ttl=10)  # and so its time is over
    assert ledger.resume_overdue() == 1
    assert canaries.judge() == 1
    dispatch.work(seconds=60)
    funnel = statistics.funnel(bulk)
    assert (funnel.expired, funnel.waiting) == (30, 0)
    assert not Chunk.objects.filter(bulk=bulk, status=Chunk.Status.OPEN).exists()


def test_what_it_does_not_go_with_is_said(shop: Application) -> None:
    told = canary()["canary"]
    scenario = Scenario.objects.create(name="Both", steps=[])
    for given in (
        {"scenario": scenario},
        {"timing": {"kind": "local", "date": "2027-01-01", "time": "09:00"}},
        {"ttl": 60, "canary": told | {"minutes": 1}},
    ):
        campaign = make_campaign(shop, **{"canary": told, **given})
        with pytest.raises(IncompleteContentError):
            canaries.check(campaign)
