"""Make, save and duplicate drafts."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from campaigns import history, variants
from campaigns.errors import RuleError, StaleDraftError, WrongStateError
from campaigns.models import (
    Campaign,
    CampaignContent,
    CampaignVersion,
    ContentTemplate,
    Scenario,
    Segment,
)
from campaigns.targeting import to_q
from devices import audit
from devices.models import Application


def create(
    application: Application,
    user: User,
    *,
    name: str = "",
    template: ContentTemplate | None = None,
) -> Campaign:
    """A draft that says what the template does; without one, nothing in the default language."""
    with transaction.atomic():
        campaign = Campaign.objects.create(
            application=application,
            name=name or f"Campaign of {timezone.now():%-d %B %Y}",
            ttl=application.default_ttl,
            created_by=user,
            template=template,
        )
        said = {"name": campaign.name}
        if template is None:
            CampaignContent.objects.create(campaign=campaign)
        else:
            said["template"] = template.name
            write_contents(campaign, template.contents)
        history.keep(campaign, user, template=said.get("template", ""))
        audit.record(user, "create campaign", campaign, after=said)
    return campaign


def changeable(campaign: Campaign, version: int) -> Campaign:
    """The draft, locked, with the version that the change makes of it. In a transaction.

    Raises StaleDraftError when another save came in between.
    """
    return _begun(_locked(campaign, version))


def _locked(campaign: Campaign, version: int) -> Campaign:
    stored = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
    if not stored.is_draft:
        raise WrongStateError("This campaign was launched and can no longer be changed.")
    if stored.version != version:
        raise StaleDraftError(
            "Somebody else changed this draft. Reload the page to see their version."
        )
    return stored


def _begun(stored: Campaign) -> Campaign:
    history.begin(stored)
    stored.version += 1
    stored.save(update_fields=["version", "changed_at"])
    return stored


def save_draft(
    campaign: Campaign,
    *,
    version: int,
    draft: dict[str, Any],
    content: dict[str, Any],
    others: Mapping[int, dict[str, Any]] | None = None,
    user: User | None = None,
) -> Campaign:
    """Save what was typed: the default content, and others by their key; a version is kept.

    What says just what is stored makes no version: a second person who reads it meanwhile, to
    approve it, reads what there is. Raises StaleDraftError when another save came in between.
    """
    with transaction.atomic():
        stored = _locked(campaign, version)
        if _says(stored, draft, content, others or {}):
            return stored
        _begun(stored)
        if draft:
            for name, value in draft.items():
                setattr(stored, name, value)
            stored.save(update_fields=[*draft])
        CampaignContent.objects.filter(campaign=stored, language="", variant=0).update(**content)
        for pk, said in (others or {}).items():
            CampaignContent.objects.filter(campaign=stored, pk=pk).update(**said)
        history.keep(stored, user)
    return stored


def _says(
    stored: Campaign,
    draft: Mapping[str, Any],
    content: Mapping[str, Any],
    others: Mapping[int, Mapping[str, Any]],
) -> bool:
    """Whether a draft says all of this already."""
    if any(getattr(stored, name) != value for name, value in draft.items()):
        return False
    for each in stored.contents.all():
        typed = content if not (each.language or each.variant) else others.get(each.pk, {})
        if any(getattr(each, name) != value for name, value in typed.items()):
            return False
    return True


def duplicate(campaign: Campaign, user: User) -> Campaign:
    """A fresh draft with everything that was composed."""
    with transaction.atomic():
        copy = Campaign.objects.create(
            application=campaign.application,
            name=f"{campaign.name[:92]} (copy)",
            created_by=user,
            segment=campaign.segment,
            scenario=campaign.scenario,
            template=campaign.template,
            resend_of=campaign.resend_of,
            resend=campaign.resend,
            **{name: getattr(campaign, name) for name in history.DRAFT_FIELDS if name != "name"},
        )
        for content in campaign.contents.all():
            CampaignContent.objects.create(
                campaign=copy,
                language=content.language,
                variant=content.variant,
                **{name: getattr(content, name) for name in history.CONTENT_FIELDS},
            )
        history.keep(copy, user)
        audit.record(user, "duplicate campaign", copy, after={"copied_from": campaign.pk})
    return copy


def restore(campaign: Campaign, user: User, *, old: CampaignVersion, version: int) -> Campaign:
    """Let a draft say again what it said in an older version; a version of its own.

    Raises StaleDraftError when another save came in between, and WrongStateError where what the
    old version names does not exist any more.
    """
    said = old.draft
    with transaction.atomic():
        stored = changeable(campaign, version)
        for model, name in ((Segment, "segment"), (Scenario, "scenario")):
            if said[name] and not model.objects.filter(pk=said[name]).exists():
                raise WrongStateError(
                    f"The {name} of version {old.number} was deleted: restore another version."
                )
        try:
            to_q(said["rule"] or {"all": []}, campaign.application)
        except RuleError as fault:
            raise WrongStateError(
                f"The audience of version {old.number} cannot be read any more: {fault}"
            ) from None
        for name in history.DRAFT_FIELDS:
            # a version from before there were winners looks for none
            setattr(stored, name, said.get(name, {}) if name == "winner" else said[name])
        stored.segment_id, stored.scenario_id = said["segment"], said["scenario"]
        stored.save(update_fields=[*history.DRAFT_FIELDS, "segment", "scenario"])
        write_contents(stored, said["contents"])
        history.keep(stored, user, restored_from=old.number)
        audit.record(
            user, "restore draft", campaign,
            before={"version": version}, after={"version": stored.version, "as_in": old.number},
        )  # fmt: skip
    return stored


def restore_contents(campaign: Campaign, user: User, *, old: CampaignVersion) -> Campaign:
    """Let a draft's contents say again what they said; its audience and delivery stay."""
    with transaction.atomic():
        stored = changeable(campaign, campaign.version)
        stored.split = old.draft["split"]
        stored.save(update_fields=["split"])
        write_contents(stored, old.draft["contents"])
        history.keep(stored, user, restored_from=old.number)
        audit.record(
            user, "restore contents", campaign,
            before={"version": campaign.version},
            after={"version": stored.version, "as_in": old.number},
        )  # fmt: skip
    return stored


def write_contents(campaign: Campaign, contents: Sequence[Mapping[str, Any]]) -> None:
    """Let a draft say this and nothing else. In a transaction.

    Contents that are there before and after keep their keys: pages that are open go on to name
    them. Who gets which variant stays, unless there are more or fewer of them.
    """
    wanted = {(each["language"], each["variant"]): each for each in contents}
    count, split = len({variant for _, variant in wanted}), variants.split_of(campaign.split)
    if count != len(split.shares):
        divided = variants.evenly(count, split.holdout if count > 1 else 0)
        campaign.split = divided.as_json()
        campaign.save(update_fields=["split"])
    for content in CampaignContent.objects.filter(campaign=campaign):
        said = wanted.pop((content.language, content.variant), None)
        if said is None:
            content.delete()
            continue
        for name in history.CONTENT_FIELDS:
            setattr(content, name, said[name])
        content.save(update_fields=history.CONTENT_FIELDS)
    for said in wanted.values():
        CampaignContent.objects.create(campaign=campaign, **said)
