"""Campaigns that go out again and again: each run is a bulk with figures of its own.

The next run is written down once the one before is over, or shortly before its time. What
it says, to whom and how stands as it was launched; who that is, is looked up at each run. A
run starts once, however often it is planned: its time is unique in its campaign. Runs whose
time passed while nothing planned them are left out.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from campaigns.models import Bulk, Campaign, Flow
from campaigns.models.messages import make_bulk_id
from campaigns.timing import Kind, Timing

AHEAD = timedelta(minutes=10)  # before its time a run is planned, also while the last one goes on
AS_LAUNCHED = ("timing", "transactional", "canary", "winner")  # of a bulk's delivery
OWN = {
    "id", "bulk_id", "flow_id", "status", "status_reason", "delivery", "starts_at", "span",
    "expires_at", "audience", "left_out", "created_at", "frozen_at", "finished_at",
}  # fmt: skip


def plan() -> int:
    """Write down what runs next, of every campaign; how many runs were new."""
    recurring = Campaign.objects.filter(
        timing__kind=Kind.REPEAT.value, launched_at__isnull=False, archived_at=None,
        application__enabled=True,
    )  # fmt: skip
    return sum(plan_next(pk) for pk in recurring.values_list("pk", flat=True))


def plan_next(campaign_pk: int) -> bool:
    """Write down the next run of a campaign, if it is time for that."""
    try:
        with transaction.atomic():
            return _plan_next(campaign_pk)
    except IntegrityError:  # somebody else planned it at this moment
        return False


def _plan_next(campaign_pk: int) -> bool:
    campaign = Campaign.objects.select_for_update(skip_locked=True).filter(pk=campaign_pk).first()
    if campaign is None or campaign.is_draft:
        return False
    newest = runs_of(campaign).first()
    if newest is None or newest.status in (Bulk.Status.PENDING, Bulk.Status.CANCELLED):
        return False
    starts_at = _next(newest)
    if starts_at is None:
        return False
    going_on = Bulk.objects.filter(
        campaign=campaign, starts_at=newest.starts_at, status__in=Bulk.UNFINISHED
    ).exists()
    if going_on and starts_at - timezone.now() > AHEAD:
        return False
    _repeat(newest, starts_at)
    return True


def runs_of(campaign: Campaign) -> Any:
    """Its runs, the newest first."""
    launched = Bulk.objects.filter(campaign=campaign, origin=Bulk.Origin.CAMPAIGN, step=0)
    return launched.select_related("flow").order_by("-starts_at", "-pk")


def runs_after(last: Bulk, earliest: datetime) -> Iterator[datetime]:
    """The times that follow a run, from `earliest` on."""
    timing = Timing.of(last.delivery.get("timing", {}))
    return timing.runs(max(earliest, last.starts_at + timedelta(seconds=1)))


def _next(last: Bulk) -> datetime | None:
    return next(runs_after(last, timezone.now()), None)


def next_run(campaign: Campaign) -> datetime | None:
    """When a launched campaign goes out next; None for one that does so no more."""
    newest = runs_of(campaign).first()
    if newest is None or newest.status == Bulk.Status.CANCELLED:
        return None
    if newest.status == Bulk.Status.PENDING:
        at: datetime = newest.starts_at
        return at
    return _next(newest)


def shown(campaign: Campaign, run: int | None = None) -> Bulk | None:
    """A run, as its first bulk, or the one to look at first: the newest that has begun."""
    runs = runs_of(campaign)
    if run is not None:
        found: Bulk | None = runs.filter(pk=run).first()
        return found
    begun: Bulk | None = runs.exclude(status=Bulk.Status.PENDING, frozen_at=None).first()
    return begun or runs.first()


def _repeat(last: Bulk, starts_at: datetime) -> None:
    """Write down another run, with all steps of the last one."""
    bulks, flow = [last], None
    if last.flow is not None:
        flow = Flow.objects.create(steps=last.flow.steps)
        later = Bulk.objects.filter(flow=last.flow_id, step__gt=0).order_by("step", "pk")
        firsts: dict[int, Bulk] = {}
        for each in later:  # siblings of a step are made as they are needed
            firsts.setdefault(each.step, each)
        bulks += firsts.values()
    delivery = {name: last.delivery[name] for name in AS_LAUNCHED if name in last.delivery}
    for name in ("canary", "winner"):  # without what came of it in the last run
        if told := delivery.get(name):
            delivery[name] = {key: told[key] for key in told if key not in ("asked", "decided")}
    public = make_bulk_id()
    for each in bulks:
        kept = {
            field.attname: getattr(each, field.attname)
            for field in Bulk._meta.concrete_fields
            if field.attname not in OWN
        }
        Bulk.objects.create(
            **kept, bulk_id=public, flow=flow, starts_at=starts_at, delivery=dict(delivery)
        )
