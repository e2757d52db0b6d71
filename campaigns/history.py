"""What a draft was before: each change keeps a version, and any version can be restored.

What one person types in one go is one version. The oldest ones are let go of.
"""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from campaigns.models import Campaign, CampaignContent, CampaignVersion

DRAFT_FIELDS = (
    "name", "rule", "primary_only", "ttl", "throttle", "repeat_policy", "split", "timing",
    "canary", "winner", "transactional",
)  # fmt: skip
CONTENT_FIELDS = ("title", "text", "image_url", "on_tap", "target", "options")
CHOSEN = ("segment", "scenario")  # kept by their keys
MOST = 100  # versions of a draft
PAUSE = timedelta(minutes=2)  # between two changes: what comes later is a version of its own
LONGEST = timedelta(minutes=10)  # that one version takes in

Draft = dict[str, Any]  # as CampaignVersion.draft keeps it


def snapshot(campaign: Campaign) -> Draft:
    """A draft as it stands, with all its contents."""
    draft: Draft = {name: getattr(campaign, name) for name in DRAFT_FIELDS}
    draft |= {name: getattr(campaign, f"{name}_id") for name in CHOSEN}
    names = ("language", "variant", *CONTENT_FIELDS)
    # asked anew: what the campaign remembers of its contents is from before the change
    draft["contents"] = list(CampaignContent.objects.filter(campaign=campaign).values(*names))
    return draft


def begin(campaign: Campaign) -> None:
    """Keep what a draft says before its first change, for those without any version."""
    if not campaign.versions.exists():
        _make(campaign, campaign.created_by, snapshot(campaign), at=campaign.changed_at)


def keep(
    campaign: Campaign,
    user: User | None,
    *,
    restored_from: int | None = None,
    template: str = "",
) -> None:
    """Keep what a draft says now, if that is news. In the transaction of the change.

    What was restored, or taken over from a template, is a version of its own.
    """
    now, draft = timezone.now(), snapshot(campaign)
    last = list(campaign.versions.all()[:2])
    newest = last[0] if last else None
    if newest is not None and restored_from is None and not template:
        if newest.draft == draft:
            return
        if len(last) > 1 and _goes_on(newest, user, now):
            newest.number, newest.draft, newest.saved_at = campaign.version, draft, now
            newest.save(update_fields=["number", "draft", "saved_at"])
            return
    _make(campaign, user, draft, at=now, restored_from=restored_from, template=template)
    kept = campaign.versions.values_list("pk", flat=True)[:MOST]
    campaign.versions.exclude(pk__in=list(kept)).delete()


def _goes_on(newest: CampaignVersion, user: User | None, now: datetime) -> bool:
    """Whether it is the same person who still writes."""
    mine = user is not None and newest.saved_by_id == user.pk
    typed = newest.restored_from is None and not newest.template
    return mine and typed and now - newest.saved_at < PAUSE and now - newest.began_at < LONGEST


def _make(
    campaign: Campaign,
    user: Any,
    draft: Draft,
    *,
    at: datetime,
    restored_from: int | None = None,
    template: str = "",
) -> None:
    CampaignVersion.objects.create(
        campaign=campaign,
        number=campaign.version,
        draft=draft,
        saved_by=user,
        began_at=at,
        saved_at=at,
        restored_from=restored_from,
        template=template,
    )
