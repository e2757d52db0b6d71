"""What keeps a draft from being sent: by content, by cloud, by size."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from campaigns import (
    canaries,
    channels,
    merging,
    pictures,
    rendering,
    resending,
    variants,
    winners,
)
from campaigns.card_forms import kind_of
from campaigns.errors import ContentTooLargeError, IncompleteContentError
from campaigns.merging import MissingValueError
from campaigns.models import Campaign, CampaignContent
from campaigns.rendering import PROVIDER_OF, notification
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
PERSONAL_CARDS = "the cards: those with merge tags travel in the push, and are not fetched by apps"


def check_content(campaign: Campaign) -> None:
    """Raise the first thing that keeps a draft from being sent, by field."""
    for content in campaign.contents.all():
        check_one(content)
    _check_pictures(campaign)
    if not (split := variants.split_of(campaign.split)).adds_up:
        sentence = f"The shares of the variants and the holdout are {split.percent} % in sum."
        raise IncompleteContentError(f"{sentence} Make it 100 %.", field="share_0")


def _check_pictures(campaign: Campaign) -> None:
    """Refuse what was looked at and found to be no picture; nothing is loaded here."""
    places = [
        (url, field, content)
        for content in campaign.contents.all()
        for url, field in _pictures(content)
    ]
    known = pictures.known({url for url, _, _ in places})
    for url, field, content in places:
        if url in known and pictures.is_none(known[url]):
            sentence = "There is no picture at this address, so no device can show it."
            raise _incomplete(sentence, field, content)


def _pictures(content: CampaignContent) -> Iterator[tuple[str, str]]:
    """The addresses of its pictures, each with its field."""
    if content.image_url:
        yield content.image_url, "image_url"
    for place, item in enumerate(content.options.get("carousel", ())):
        if url := item.get("image_url"):
            yield url, f"carousel[{place}].image_url"


def check_one(content: CampaignContent) -> None:
    """Raise the first thing that keeps one content from being sent, by field."""
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
    winners.check(campaign)
    resending.check(campaign)


def mistakes(content: CampaignContent) -> list[tuple[str, merging.Mistake]]:
    """What is wrong with the merge tags of a content, by form field."""
    said = [("title", content.title), ("text", content.text), ("target", content.target)]
    for place, card in enumerate(content.options.get(merging.CARDS, ())):
        where = f"{merging.CARDS}[{place}]"
        said += [(f"{where}.{name}", card.get(name, "")) for name in ("headline", "description")]
        said += [(f"{where}.{merging.LINKS}", url) for url in card.get(merging.LINKS, {}).values()]
    found = ((name, merging.mistake(text)) for name, text in said)
    return [(name, wrong) for name, wrong in found if wrong is not None]


def _incomplete(sentence: str, field: str, content: CampaignContent) -> IncompleteContentError:
    return IncompleteContentError(sentence, field=field, content=content.pk)


def check_options(campaign: Campaign, platforms: set[Platform]) -> None:
    """Raise the first thing the clouds of these platforms would refuse, by field."""
    for content in campaign.contents.all():
        check_options_of(content, platforms)


def check_options_of(content: CampaignContent, platforms: set[Platform]) -> None:
    clouds = {str(PROVIDER_OF[platform]) for platform in platforms}
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
        if not found:
            continue
        try:
            provider = channels.build(found[0])  # reads private keys, which takes a while
        except CredentialError:
            continue  # the launch says so: no working credential
        for content, said in _said(campaign, people):
            try:
                payload = provider.compile(
                    notification(
                        said,
                        campaign.application,
                        bulk_id="0" * 36,
                        sent_at_ms=10**12,
                        ttl=campaign.ttl,
                    )
                )
            except PayloadTooLarge as problem:
                personal = problem.field == merging.CARDS and merging.CARDS in said.get("merge", ())
                shorten = PERSONAL_CARDS if personal else SHORTEN[problem.field]
                raise ContentTooLargeError(
                    f"{platform.label} takes at most {problem.limit:,} bytes, and this"
                    f" notification has {problem.size:,}. Shorten {shorten}.",
                    field=problem.field,
                    content=content.pk,
                ) from None
            except NotPossible as problem:
                raise _incomplete(str(problem), problem.field, content) from None
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
