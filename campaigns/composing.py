"""Launch, undo, pause, resume, cancel."""

from contextlib import suppress

from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from django.utils import timezone

from campaigns import (
    approving,
    audience,
    canaries,
    channels,
    checking,
    counting,
    failover,
    flows,
    ledger,
    merging,
    previewing,
    resending,
    scheduling,
    winners,
)
from campaigns.audience import AudienceSize
from campaigns.errors import (
    CampaignError,
    EmptyAudienceError,
    NoCredentialError,
    WrongStateError,
)
from campaigns.models import Bulk, Campaign, Chunk
from campaigns.rendering import PROVIDER_OF
from campaigns.targeting import Rule, expanded
from devices import audit
from devices.models import Platform

PATIENCE = 20_000  # milliseconds for the count before a launch


def rule_of(campaign: Campaign) -> Rule:
    """Who is in the segment, if one is chosen, and matches the campaign's own rule."""
    own: Rule = campaign.rule or {"all": []}
    others = resending.conditions(campaign)
    if campaign.segment_id is not None:
        others = [{"field": "segment", "op": "in", "value": campaign.segment_id}, *others]
    if not others:
        return own
    return {"all": [*others, *(own["all"] if set(own) == {"all"} else [own])]}


def rule_now(campaign: Campaign) -> Rule:
    """The whole audience, with the segments it names as they are now."""
    return expanded(rule_of(campaign), campaign.application)


def launch(campaign: Campaign, user: User) -> Bulk:
    """Freeze the content and hold it for LAUNCH_HOLD_SECONDS, so that it can be undone.

    Raises a CampaignError when it may not go out; then nothing has changed.
    """
    with transaction.atomic():
        campaign = (
            Campaign.objects.select_for_update(of=("self",))
            .select_related("application", "segment", "scenario")
            .get(pk=campaign.pk)
        )
        if not campaign.is_draft:
            raise WrongStateError("This campaign was launched already.")
        if not campaign.application.enabled:
            raise WrongStateError("This application is switched off under Settings.")
        checking.check_content(campaign)
        checking.check_delivery(campaign)
        starts_at = scheduling.starts_at(campaign)
        rule = rule_now(campaign)
        approving.check(campaign, rule, user)
        reached = _reached(campaign, rule)
        if reached.exact and not reached.total:
            raise EmptyAudienceError(
                "Nobody would get this: no reachable device matches the audience. Widen it."
            )
        platforms = set(reached.by_platform) or _served(campaign.application_id)
        _check_credentials(campaign, platforms)
        checking.check_options(campaign, platforms)
        checking.check_size(campaign, platforms, previewing.worst(campaign, rule))
        steps = flows.of_campaign(campaign, rule) if campaign.scenario is not None else []
        bulk = Bulk(
            application=campaign.application,
            campaign=campaign,
            content=[
                {
                    "language": content.language,
                    "variant": content.variant,
                    **merging.marked(content.as_json()),
                }
                for content in campaign.contents.all()
            ],
            rule=rule,
            primary_only=campaign.primary_only,
            ttl=campaign.ttl,
            repeat_policy=campaign.repeat_policy,
            throttle=campaign.throttle,
            split=campaign.split,
            starts_at=starts_at,
            delivery=scheduling.delivery_of(campaign),
        )
        if steps:
            flows.make(steps, bulk)
        else:
            bulk.save()
        campaign.launched_at, campaign.launched_by = timezone.now(), user
        campaign.save(update_fields=["launched_at", "launched_by"])
        audit.record(user, "launch campaign", campaign, after={"devices": reached.total})
    return bulk


def _reached(campaign: Campaign, rule: Rule) -> AudienceSize:
    """Whom it would reach; the estimate where an exact count takes longer than somebody waits."""
    primary = campaign.primary_only
    with suppress(OperationalError), counting.patience(PATIENCE):
        return audience.size(campaign.application, rule, primary_only=primary)
    return counting.live(campaign.application, rule, primary_only=primary)


def _check_credentials(campaign: Campaign, platforms: set[Platform]) -> None:
    if not platforms & _served(campaign.application_id):
        names = " and ".join(sorted(platform.label for platform in platforms)) or "any platform"
        raise NoCredentialError(
            f"{campaign.application} has no credential for {names}."
            " Add one under Settings, Applications."
        )


def _served(application_id: int) -> set[Platform]:
    """The platforms that an application has a credential for."""
    have = {provider for provider, _ in channels.credentials_of(application_id)}
    return {platform for platform in Platform if PROVIDER_OF[platform] in have}


def undo(campaign: Campaign, user: User) -> None:
    """Take a launch back while it is held; the campaign is a draft again."""
    with transaction.atomic():
        bulk = _locked_bulk(campaign)
        if bulk.status != Bulk.Status.PENDING:
            raise WrongStateError("Too late to undo: sending has begun. You can still cancel.")
        before = Bulk.objects.filter(campaign=campaign, starts_at__lt=bulk.starts_at)
        if before.filter(origin=Bulk.Origin.CAMPAIGN).exists():
            raise WrongStateError("It has gone out before: cancel it, and it does so no more.")
        if bulk.flow is not None:
            bulk.flow.delete()  # and with it the bulks of all its steps
        else:
            bulk.delete()
        Campaign.objects.filter(pk=campaign.pk).update(launched_at=None, launched_by=None)
        audit.record(user, "undo launch", campaign)


def pause(campaign: Campaign, user: User) -> Bulk:
    """Stop after the windows that are on the wire."""
    return _move(
        campaign, user, "pause campaign", {Bulk.Status.SENDING}, Bulk.Status.PAUSED,
        "Only a campaign that is being sent can be paused.",
    )  # fmt: skip


def resume(campaign: Campaign, user: User) -> Bulk:
    with transaction.atomic():
        winners.check_chosen(_locked_bulk(campaign))
        bulk = _move(
            campaign, user, "resume campaign", {Bulk.Status.PAUSED}, Bulk.Status.SENDING,
            "Only a paused campaign can be resumed.",
        )  # fmt: skip
        # With it: nobody may judge the first again before the others are let go.
        if "asked" in bulk.delivery.get("canary", {}):
            canaries.release(bulk)
    for each in _bulks_of(bulk):
        ledger.finish(each.pk)
    return bulk


def choose_winner(campaign: Campaign, user: User, variant: int) -> Bulk:
    """Send a variant to all who wait for the best one."""
    with transaction.atomic():
        bulk = _locked_bulk(campaign)
        winners.choose(bulk, variant, user)
    return bulk


def change_pace(campaign: Campaign, user: User, throttle: int | None) -> Bulk:
    """Messages a second from the next window on; None lets go of the brake."""
    with transaction.atomic():
        bulk = _locked_bulk(campaign)
        if all(each.status not in Bulk.UNFINISHED for each in _bulks_of(bulk)):
            raise WrongStateError("This campaign has ended already.")
        before, bulk.throttle = bulk.throttle, throttle
        for each in _bulks_of(bulk):
            each.throttle = throttle
            each.save(update_fields=["throttle"])
        audit.record(
            user,
            "change pace",
            campaign,
            before={"throttle": before},
            after={"throttle": throttle},
        )
    return bulk


def cancel(campaign: Campaign, user: User) -> Bulk:
    """Send nothing more. What is on the wire arrives; the rest is counted as cancelled."""
    with transaction.atomic():
        bulk = _move(
            campaign, user, "cancel campaign",
            {Bulk.Status.PENDING, Bulk.Status.SENDING, Bulk.Status.PAUSED}, Bulk.Status.CANCELLED,
            "This campaign has ended already.",
        )  # fmt: skip
        Bulk.objects.filter(  # the next run of a recurring campaign
            campaign=campaign, status=Bulk.Status.PENDING, origin=Bulk.Origin.CAMPAIGN
        ).update(status=Bulk.Status.CANCELLED, finished_at=timezone.now())
    for each in _bulks_of(bulk):
        ledger.cancel_chunks(each.pk)
    if bulk.flow_id is not None:
        failover.cancel(bulk.flow_id)
    return bulk


def _locked_bulk(campaign: Campaign) -> Bulk:
    """The first bulk of the newest launch; those of its later steps are locked with it.

    Of a recurring campaign the run that goes on, if one does, else the newest; nobody plans
    another while the campaign's own row is locked.
    """
    Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    bulks = Bulk.objects.select_for_update()
    launched = bulks.filter(campaign=campaign, origin=Bulk.Origin.CAMPAIGN)
    firsts = launched.filter(step=0).order_by("-pk")
    bulk = firsts.filter(status__in=(Bulk.Status.SENDING, Bulk.Status.PAUSED)).first()
    bulk = bulk or firsts.first()
    if bulk is None:
        raise WrongStateError("This campaign was not launched yet.")
    if bulk.flow_id is not None:
        list(bulks.filter(flow=bulk.flow_id, step__gt=0).order_by("pk"))
    return bulk


def _bulks_of(bulk: Bulk) -> list[Bulk]:
    """The bulks of all steps, in their order."""
    if bulk.flow_id is None:
        return [bulk]
    later = Bulk.objects.filter(flow=bulk.flow_id, step__gt=0)
    return [bulk, *later.order_by("pk")]


def _move(
    campaign: Campaign,
    user: User,
    action: str,
    sources: set[Bulk.Status],
    target: Bulk.Status,
    refusal: str,
) -> Bulk:
    with transaction.atomic():
        bulk = _locked_bulk(campaign)
        moved = [each for each in _bulks_of(bulk) if each.status in sources]
        if not moved:
            raise WrongStateError(refusal)
        before = moved[0].status
        for each in moved:
            each.status, each.status_reason = target, ""
            if target == Bulk.Status.CANCELLED:
                each.finished_at = timezone.now()
            each.save(update_fields=["status", "status_reason", "finished_at"])
        audit.record(user, action, campaign, before={"status": before}, after={"status": target})
    return bulk


def unsent(bulk: Bulk) -> int:
    """How many devices pausing or cancelling concerns."""
    chunks = Chunk.objects.filter(bulk=bulk, status=Chunk.Status.OPEN)
    return sum(size - cursor for size, cursor in chunks.values_list("size", "cursor"))


__all__ = [
    "CampaignError", "cancel", "change_pace", "choose_winner", "launch", "pause", "resume",
    "rule_now", "rule_of", "undo", "unsent",
]  # fmt: skip
