"""Bulks that are handed over to a cloud, and what became of them."""

from collections import Counter as Tally
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from campaigns import fanout, reconciling, statistics
from campaigns.lanes import Lane
from campaigns.models import Bulk, Message
from devices.models import ProviderCredential
from providers.base import Outcome, Verdict
from tests.factories import make_application, make_bulk, make_credential, make_registrations

CloudFor = Callable[[ProviderCredential], Any]
ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, provider_id="1", status=200)
LONG_AGO = timezone.now() - timedelta(days=1)  # before the clock of any transaction


def frozen(count: int = 30, **given: Any) -> tuple[Bulk, ProviderCredential]:
    application = make_application()
    make_registrations(application, count)
    bulk = make_bulk(application, **given)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    return bulk, make_credential(application)


def states(bulk: Bulk) -> Tally[tuple[int, int]]:
    return Tally(Message.objects.of_bulk(bulk).values_list("state", "reason"))


def fills(lane: Lane) -> bool:
    """Whether the lane found something to put on the wire."""
    lane.fill(urgent=False)
    return lane.future is not None


def is_paused(credential: ProviderCredential) -> bool:
    credential.refresh_from_db()
    return credential.paused_at is not None


def assert_consistent(bulk: Bulk) -> None:
    """Every device in one state; counters, rows and chunks tell the same."""
    bulk.refresh_from_db()
    counted = statistics.funnel(bulk)
    assert counted == statistics.recount(bulk)
    assert reconciling.differences(bulk) == []
    assert counted.adds_up
