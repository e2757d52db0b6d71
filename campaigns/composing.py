"""Launch, undo, pause, resume, cancel."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from campaigns import (
    approving,
    audience,
    canaries,
    channels,
    failover,
    flows,
    ledger,
    merging,
    previewing,
    rendering,
    resending,
    scheduling,
    variants,
)
from campaigns.card_forms import kind_of
from campaigns.errors import (
    CampaignError,
    ContentTooLargeError,
    EmptyAudienceError,
    IncompleteContentError,
    NoCredentialError,
    WrongStateError,
)
from campaigns.merging import MissingValueError
from campaigns.models import Bulk, Campaign, CampaignContent, Chunk
from campaigns.rendering import PROVIDER_OF, notification
from campaigns.targeting import Rule, expanded
from devices import audit
from devices.models import Platform
from providers.base import CredentialError, NotPossible, PayloadTooLarge
from providers.faults import faults

# What CampaignContent.options may hold: fields of PushNotification that have no column.
OPTIONS = {
    "sound", "vibrate", "badge", "category", "silent", "content_available", "in_app_style",
    "in_app_expires_in", "in_app_open_title", "in_app_dismiss_title", "inbox_topic",
    "inbox_expires_in", "carousel",
    "carousel_kind", "deep_link", "browser_url", "web_view_url", "custom_payload", "collapse_key",
    "thread_id", "channel_id", "urgency", "may_trim",
}  # fmt: skip
SHORTEN = {
    "text": "the text or the data",
    "custom_payload": "the custom payload; it is never cut",
    "carousel": "the carousel, or give the server an https address, so that apps fetch it",
}


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


def check_content(campaign: Campaign) -> None:
    """Raise the first thing that keeps the content from being sent, by field."""
    for content in campaign.contents.all():
        if not content.text.strip() and not content.options.get("silent"):
            raise _incomplete("Write what the notification says.", "text", content)
        if content.on_tap != CampaignContent.OnTap.APP and not content.target:
            raise _incomplete("Say which address a tap opens.", "target", content)
        if content.image_url and not content.image_url.startswith("https://"):
            sentence = "The address of an image begins with https://."
            raise _incomplete(sentence, "image_url", content)
        if lacking := _lacks_of_cards(content.options):
            raise _incomplete(lacking[1], lacking[0], content)
        for name, wrong in mistakes(content):
            raise _incomplete(str(wrong), name, content)
    if not (split := variants.split_of(campaign.split)).adds_up:
        sentence = f"The shares of the variants and the holdout are {split.percent} % in sum."
        raise IncompleteContentError(f"{sentence} Make it 100 %.", field="share_0")


def _lacks_of_cards(options: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a carousel or slider lacks, if it shows one, with its field before it."""
    if not (kind := kind_of(options)):
        return None
    if not options["carousel"]:
        return "carousel", f"Add a card to the {kind}, or choose one picture."
    for place, item in enumerate(options["carousel"]):
        if not item.get("image_url"):
            return f"carousel[{place}].image_url", f"Card {place + 1} has no picture."
        if not item.get("headline"):
            return f"carousel[{place}].headline", f"Card {place + 1} has no title."
    return None


def check_delivery(campaign: Campaign) -> None:
    """Raise the first thing in how it goes out that does not fit the rest, by field."""
    canaries.check(campaign)
    resending.check(campaign)


def mistakes(content: CampaignContent) -> list[tuple[str, merging.Mistake]]:
    """What is wrong with the merge tags of a content, by form field."""
    said = {"title": content.title, "text": content.text, "target": content.target}
    found = ((name, merging.mistake(text)) for name, text in said.items())
    return [(name, wrong) for name, wrong in found if wrong is not None]


def _incomplete(sentence: str, field: str, content: CampaignContent) -> IncompleteContentError:
    return IncompleteContentError(sentence, field=field, content=content.pk)


def check_options(campaign: Campaign, platforms: set[Platform]) -> None:
    """Raise the first thing the clouds of these platforms would refuse, by field."""
    clouds = {str(PROVIDER_OF[platform]) for platform in platforms}
    for content in campaign.contents.all():
        if unknown := set(content.options) - OPTIONS:
            sentence = f"No notification has the option {min(unknown)}: take it out."
            raise _incomplete(sentence, "options", content)
        for fault in faults(rendering.read(content.as_json()), clouds):
            raise _incomplete(fault.problem, fault.field, content)


def check_size(
    campaign: Campaign, platforms: set[Platform], people: Sequence[merging.Values] = ()
) -> dict[Platform, int]:
    """Bytes the content takes on each platform that has a credential; of merged ones, the most
    it takes for one of these people.

    Raises ContentTooLargeError with the figures for the first that is over its limit, and
    IncompleteContentError for what a platform cannot show.
    """
    credentials = channels.credentials_of(campaign.application_id)
    sizes: dict[Platform, int] = {}
    for platform in sorted(platforms):
        found = [c for (p, _), c in credentials.items() if p == PROVIDER_OF[platform]]
        for content, said in _said(campaign, people) if found else ():
            try:
                payload = channels.build(found[0]).compile(
                    notification(
                        said,
                        campaign.application,
                        bulk_id="0" * 36,
                        sent_at_ms=10**12,
                        ttl=campaign.ttl,
                    )
                )
            except PayloadTooLarge as problem:
                raise ContentTooLargeError(
                    f"{platform.label} takes at most {problem.limit:,} bytes, and this"
                    f" notification has {problem.size:,}. Shorten {SHORTEN[problem.field]}.",
                    field=problem.field,
                    content=content.pk,
                ) from None
            except NotPossible as problem:
                raise _incomplete(str(problem), problem.field, content) from None
            except CredentialError:
                continue  # the launch says so: no working credential
            sizes[platform] = max(sizes.get(platform, 0), payload.size())
    return sizes


def _said(
    campaign: Campaign, people: Sequence[merging.Values]
) -> Iterator[tuple[CampaignContent, dict[str, Any]]]:
    """Each content as it is, or as each of these people reads it."""
    for content in campaign.contents.all():
        said = merging.marked(content.as_json())
        yield content, said
        for values in people if "merge" in said else ():
            with suppress(MissingValueError):
                yield content, {**said, **merging.merged(said, values)}


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
        check_content(campaign)
        check_delivery(campaign)
        starts_at = scheduling.starts_at(campaign)
        rule = rule_now(campaign)
        approving.check(campaign, rule, user)
        reached = audience.size(campaign.application, rule, primary_only=campaign.primary_only)
        if not reached.total:
            raise EmptyAudienceError(
                "Nobody would get this: no reachable device matches the audience. Widen it."
            )
        _check_credentials(campaign, set(reached.by_platform))
        check_options(campaign, set(reached.by_platform))
        check_size(campaign, set(reached.by_platform), previewing.worst(campaign, rule))
        steps = flows.of_campaign(campaign) if campaign.scenario is not None else []
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


def _check_credentials(campaign: Campaign, platforms: set[Platform]) -> None:
    have = {provider for provider, _ in channels.credentials_of(campaign.application_id)}
    if not any(PROVIDER_OF[platform] in have for platform in platforms):
        names = " and ".join(sorted(platform.label for platform in platforms))
        raise NoCredentialError(
            f"{campaign.application} has no credential for {names}."
            " Add one under Settings, Applications."
        )


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
    bulk = _move(
        campaign, user, "resume campaign", {Bulk.Status.PAUSED}, Bulk.Status.SENDING,
        "Only a paused campaign can be resumed.",
    )  # fmt: skip
    if "asked" in bulk.delivery.get("canary", {}):
        canaries.release(bulk)
    for each in _bulks_of(bulk):
        ledger.finish(each.pk)
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
    bulk = _move(
        campaign, user, "cancel campaign",
        {Bulk.Status.PENDING, Bulk.Status.SENDING, Bulk.Status.PAUSED}, Bulk.Status.CANCELLED,
        "This campaign has ended already.",
    )  # fmt: skip
    for each in _bulks_of(bulk):
        ledger.cancel_chunks(each.pk)
    Bulk.objects.filter(  # the next run of a recurring campaign
        campaign=campaign, status=Bulk.Status.PENDING, origin=Bulk.Origin.CAMPAIGN
    ).update(status=Bulk.Status.CANCELLED, finished_at=timezone.now())
    if bulk.flow_id is not None:
        failover.cancel(bulk.flow_id)
    return bulk


def _locked_bulk(campaign: Campaign) -> Bulk:
    """The first bulk of the newest launch; those of its later steps are locked with it.

    Of a recurring campaign the run that goes on, if one does, else the newest.
    """
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
    "CampaignError", "cancel", "change_pace", "check_content", "check_delivery", "check_options",
    "check_size", "launch", "pause", "resume", "rule_now", "rule_of", "undo", "unsent",
]  # fmt: skip
