"""A second person looks at a campaign before it goes out, where the application demands it.

Who asks does not approve, and who approves does not launch. An approval holds for what the
draft says, to whom and how, by a digest of all of it: also a segment that is changed meanwhile
voids it.
"""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from campaigns import letters
from campaigns.errors import NotApprovedError, WrongStateError
from campaigns.models import Approval, Campaign
from campaigns.targeting import Rule
from devices import audit

# Columns of a campaign that are not what goes out; of a template it has a copy.
APART = {
    "id", "application_id", "name", "version", "created_by_id", "created_at", "changed_at",
    "launched_at", "launched_by_id", "archived_at", "template_id",
}  # fmt: skip
CONTENT_APART = {"id", "campaign_id"}


class State(StrEnum):
    """How far a draft is."""

    FREE = "free"  # nobody has to approve it
    UNASKED = "unasked"
    CHANGED = "changed"  # after it was asked for, or approved
    ASKED = "asked"
    SENT_BACK = "sent_back"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a draft stands, for one reader."""

    state: State
    user: User
    approval: Approval | None = None  # the newest

    @property
    def may_launch(self) -> bool:
        if self.state is State.FREE:
            return True
        mine = self.approval is not None and self.approval.decided_by_id == self.user.pk
        return self.state is State.APPROVED and not mine

    @property
    def may_decide(self) -> bool:
        mine = self.approval is not None and self.approval.asked_by_id == self.user.pk
        return self.state is State.ASKED and not mine

    @property
    def may_ask(self) -> bool:
        return self.state in (State.UNASKED, State.CHANGED, State.SENT_BACK)


def digest(campaign: Campaign, rule: Rule) -> bytes:
    """Of all that would go out; `rule` is the audience with its segments written out."""
    told: dict[str, Any] = {
        field.attname: getattr(campaign, field.attname)
        for field in Campaign._meta.concrete_fields
        if field.attname not in APART
    }
    told["rule"] = rule
    told["scenario"] = campaign.scenario.steps if campaign.scenario is not None else None
    told["contents"] = [
        {
            field.attname: getattr(content, field.attname)
            for field in content._meta.concrete_fields
            if field.attname not in CONTENT_APART
        }
        for content in campaign.contents.order_by("language", "variant")
    ]
    written = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).digest()


def standing(campaign: Campaign, rule: Rule, user: User) -> Standing:
    if not campaign.application.needs_approval:
        return Standing(State.FREE, user)
    newest = campaign.approvals.select_related("asked_by", "decided_by").first()
    if newest is None:
        return Standing(State.UNASKED, user)
    if bytes(newest.digest) != digest(campaign, rule):
        return Standing(State.CHANGED, user, newest)
    state = {None: State.ASKED, True: State.APPROVED, False: State.SENT_BACK}[newest.approved]
    return Standing(state, user, newest)


def ask(campaign: Campaign, rule: Rule, user: User) -> Approval:
    """Ask for a second person's approval of a draft as it stands."""
    with transaction.atomic():
        stands = _locked(campaign, rule, user)
        if not stands.may_ask:
            raise WrongStateError("It waits for approval, or has it already.")
        campaign.approvals.filter(approved=None).delete()  # of what it said before
        approval = Approval.objects.create(
            campaign=campaign, digest=digest(campaign, rule), asked_by=user
        )
        letters.ask_for_approval(approval)
        audit.record(user, "ask for approval", campaign, after={"version": campaign.version})
    return approval


def decide(
    campaign: Campaign, rule: Rule, user: User, *, approved: bool, note: str = ""
) -> Approval:
    """Approve a draft, or send it back and say why."""
    with transaction.atomic():
        stands = _locked(campaign, rule, user)
        if stands.state is State.CHANGED:
            raise WrongStateError("It was changed after you looked at it. Read it again.")
        if stands.state is not State.ASKED or stands.approval is None:
            raise WrongStateError("Nobody asks for approval of it any more.")
        if not stands.may_decide:
            raise NotApprovedError("You asked for it yourself: somebody else approves it.")
        approval = stands.approval
        approval.approved, approval.decided_by = approved, user
        approval.decided_at, approval.note = timezone.now(), note
        approval.save(update_fields=["approved", "decided_by", "decided_at", "note"])
        action = "approve campaign" if approved else "send campaign back"
        audit.record(
            user, action, campaign, after={"version": campaign.version, "note": note}
        )  # fmt: skip
    return approval


def check(campaign: Campaign, rule: Rule, user: User) -> None:
    """Raise why this person may not launch a draft; its row is locked."""
    stands = standing(campaign, rule, user)
    if stands.may_launch:
        return
    if stands.state is State.APPROVED:
        raise NotApprovedError("You approved it yourself: somebody else launches it.")
    if stands.state is State.CHANGED:
        raise NotApprovedError("It was changed after it was approved: ask for approval again.")
    raise NotApprovedError("A second person has to approve it before it is launched.")


def _locked(campaign: Campaign, rule: Rule, user: User) -> Standing:
    stored = Campaign.objects.select_for_update().get(pk=campaign.pk)
    if not stored.is_draft:
        raise WrongStateError("This campaign was launched already.")
    if not campaign.application.needs_approval:
        raise WrongStateError("This application asks for no approval.")
    return standing(campaign, rule, user)
