"""The contents of a draft: one for each language and variant."""

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import transaction

from campaigns import history, variants
from campaigns.drafting import changeable
from campaigns.errors import CampaignError, WrongStateError
from campaigns.history import CONTENT_FIELDS
from campaigns.languages import Contents, canonical, name_of
from campaigns.models import Campaign, CampaignContent

MOST_LANGUAGES = 40


class UnknownLanguageError(CampaignError):
    """Nothing that could be the tag of a language."""

    code = "unknown_language"


def add_language(
    campaign: Campaign, language: str, *, version: int, user: User | None = None
) -> str:
    """A content to write in another language, for each variant; the tag as it is kept.

    What a tap opens and the picture are those of the default content; the words are not.
    """
    tag = canonical(language)
    if not tag:
        raise UnknownLanguageError(
            f"No language has the tag {language.strip()[:40] or '(nothing)'}."
            " Write one such as de or pt-BR."
        )
    with transaction.atomic():
        stored = changeable(campaign, version)
        contents = list(stored.contents.all())
        if tag in {content.language for content in contents}:
            raise WrongStateError(f"There is a content in {name_of(tag)} already.")
        if len({content.language for content in contents}) > MOST_LANGUAGES:
            raise WrongStateError(f"A campaign speaks at most {MOST_LANGUAGES} languages.")
        for content in contents:
            if content.language == "":
                _copy(content, language=tag, title="", text="")
        history.keep(stored, user)
    return tag


def remove_language(
    campaign: Campaign, language: str, *, version: int, user: User | None = None
) -> None:
    """Its devices get what is closest to it: a wider language, else the default."""
    with transaction.atomic():
        stored = changeable(campaign, version)
        if not language:
            raise WrongStateError("The default content is what everybody else gets: it stays.")
        stored.contents.filter(language=language).delete()
        history.keep(stored, user)


def add_variant(campaign: Campaign, *, version: int, user: User | None = None) -> int:
    """Another variant, as the first one stands, in each language; its number.

    The audience is divided evenly again.
    """
    with transaction.atomic():
        stored = changeable(campaign, version)
        split = variants.split_of(stored.split)
        number = len(split.shares)
        if number >= variants.MOST:
            raise WrongStateError(f"A campaign has at most {variants.MOST} variants.")
        for content in stored.contents.filter(variant=0):
            _copy(content, variant=number)
        _divide(stored, number + 1, split.holdout)
        history.keep(stored, user)
    return number


def remove_variant(
    campaign: Campaign, variant: int, *, version: int, user: User | None = None
) -> None:
    """Those behind it move up; the audience is divided evenly among the rest."""
    with transaction.atomic():
        stored = changeable(campaign, version)
        split = variants.split_of(stored.split)
        if len(split.shares) == 1 or not 0 <= variant < len(split.shares):
            raise WrongStateError("There is no such variant to remove.")
        stored.contents.filter(variant=variant).delete()
        for content in stored.contents.filter(variant__gt=variant).order_by("variant"):
            content.variant -= 1
            content.save(update_fields=["variant"])
        left = len(split.shares) - 1
        _divide(stored, left, split.holdout if left > 1 else 0)
        history.keep(stored, user)


def _divide(stored: Campaign, count: int, holdout: int) -> None:
    stored.split = variants.evenly(count, holdout).as_json()
    stored.save(update_fields=["split"])


def _copy(content: CampaignContent, **given: object) -> CampaignContent:
    said = {name: getattr(content, name) for name in CONTENT_FIELDS}
    said |= {"language": content.language, "variant": content.variant, **given}
    return CampaignContent.objects.create(campaign_id=content.campaign_id, **said)


def spoken(campaign: Campaign) -> list[str]:
    """The languages of a draft: the default first."""
    return sorted({content.language for content in campaign.contents.all()})


def by_content(languages: list[str], reported: Mapping[str, int]) -> dict[str, int]:
    """Devices by the language they report → by the language whose content they get."""
    contents = Contents([{"language": language, "variant": 0} for language in languages])
    found = dict.fromkeys(languages, 0)
    for language, devices in reported.items():
        found[languages[contents.place(language, 0)]] += devices
    return found
