"""Send a draft to named devices at once, and hear what each cloud answers.

A trial is no message: nothing is kept of it but an entry in the audit trail, so no figure counts
it. Its merge tags say what is known of each device.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Timeout
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.utils import timezone

from campaigns import channels, merging, recipients
from campaigns.content_forms import where
from campaigns.merging import MissingValueError
from campaigns.models import Bulk, Campaign, CampaignContent, Reason, SavedDevice
from campaigns.outcomes import Recipient, told
from campaigns.rendering import PROVIDER_OF, Renderer
from devices import audit
from devices.models import Application, Provider, Registration
from providers import loop
from providers.base import (
    Addressed,
    CredentialError,
    NotPossible,
    Outcome,
    PayloadTooLarge,
    Verdict,
)
from providers.dialects import compact

MOST = 20  # devices of one trial, and saved by one member of the team
SECONDS = 40.0  # to wait for a cloud: more than a provider takes
ROOM = 2_400  # bytes for cards: phones fetch those of launched campaigns only

_SAID = {
    Verdict.ACCEPTED: "Accepted",
    Verdict.UNREGISTERED: "The token works no more",
    Verdict.REJECTED: "Refused",
    Verdict.TRY_LATER: "Not now",
    Verdict.MISCONFIGURED: "The credential is refused",
    Verdict.NOT_SENT: "The cloud was not reached",
    Verdict.UNKNOWN: "No answer",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the trial on one device."""

    device: Registration
    accepted: bool
    summary: str
    answer: str = ""  # the cloud's own words
    provider_id: str = ""


def saved(application: Application, user: User) -> list[Registration]:
    """The devices that somebody sends tests to, in the order they were saved."""
    kept = SavedDevice.objects.filter(user=user, registration__application=application)
    rows = kept.select_related("registration__person", "registration__address")
    return [each.registration for each in rows[:MOST]]


def save(device: Registration, user: User) -> bool:
    """False where there are as many as anybody may save."""
    if len(saved(device.application, user)) >= MOST:
        return SavedDevice.objects.filter(user=user, registration=device).exists()
    SavedDevice.objects.get_or_create(user=user, registration=device)
    return True


def forget(device: Registration, user: User) -> None:
    SavedDevice.objects.filter(user=user, registration=device).delete()


def send(
    campaign: Campaign, content: CampaignContent, devices: Sequence[Registration], user: User
) -> list[Answer]:
    """Send one content of a draft to some devices, and wait for what the clouds say."""
    said = merging.marked(_fitting(content.as_json()))
    bulk = Bulk(  # never stored
        application=campaign.application,
        content=[{"language": "", "variant": 0, **said}],
        ttl=campaign.ttl,
        repeat_policy=campaign.repeat_policy,
        starts_at=timezone.now(),
    )
    renderer = Renderer(bulk)
    renderer.credentials = channels.credentials_of(campaign.application_id)
    keys = [device.pk for device in devices]
    renderer.learn(keys)
    known = recipients.load(keys, campaign.application)
    tried = [(each, _try(each, known.get(each.pk), renderer, campaign)) for each in devices]
    answers = [_awaited(device, asked) for device, asked in tried]
    audit.record(
        user,
        "send test",
        campaign,
        after={
            "content": where(content),
            "devices": {_name(each.device): each.summary for each in answers},
        },
    )
    return answers


def _name(device: Registration) -> str:
    """Its registration id, as the APIs say it."""
    return str(device.address.public_id)


def _fitting(content: dict[str, Any]) -> dict[str, Any]:
    """With as many cards as a push carries itself. Those with merge tags always travel so."""
    if merging.CARDS in merging.fields_with_tags(content):
        return content
    cards = list(content.get("carousel", ()))
    while cards and len(compact(cards).encode()) > ROOM:
        cards.pop()
    return {**content, "carousel": cards} if "carousel" in content else content


def left_out(content: CampaignContent) -> int:
    """How many cards a trial of it does not show."""
    stored = content.as_json()
    return len(stored.get("carousel", ())) - len(_fitting(stored).get("carousel", ()))


def _try(
    device: Registration, known: Recipient | None, renderer: Renderer, campaign: Campaign
) -> Future[list[Outcome]] | str:
    """What the cloud is asked, or why it is not."""
    if (gate := recipients.gate(known)) is not None or known is None:
        return str(Reason(gate or Reason.REGISTRATION_GONE).label)
    try:
        credential, payload = renderer.payload(device.platform, 0, known)
        if credential is None or payload is None:
            cloud = Provider(known.provider or PROVIDER_OF[device.platform]).label
            return f"{campaign.application} has no credential for {cloud}"
        one = Addressed(
            payload=payload,
            message_id=uuid4(),
            token=known.token,
            token_kind=known.kind,
            ttl=campaign.ttl,
            environment=known.environment,
        )
        return loop.submit(channels.channel(credential).provider.send([one]))
    except MissingValueError as problem:
        return f"{problem}, and there is no fallback"
    except PayloadTooLarge as problem:
        return f"It takes {problem.size:,} bytes; at most {problem.limit:,} are allowed"
    except (NotPossible, CredentialError) as problem:
        return str(problem)


def _awaited(device: Registration, asked: Future[list[Outcome]] | str) -> Answer:
    if isinstance(asked, str):
        return Answer(device, accepted=False, summary=f"Not sent: {asked}.")
    outcome = Outcome(verdict=Verdict.UNKNOWN)
    with suppress(Timeout):
        outcome = asked.result(timeout=SECONDS)[0]
    return Answer(
        device,
        accepted=outcome.verdict is Verdict.ACCEPTED,
        summary=_SAID[outcome.verdict],
        answer=told(outcome),
        provider_id=outcome.provider_id,
    )
