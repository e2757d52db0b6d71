"""What a campaign's text message says before it is sent: how long at worst, and to whom nothing."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from django.db import OperationalError
from django.db.models import Count, QuerySet

from campaigns import audience, excluding, merging, previewing
from campaigns.counting import PATIENCE, PATIENCE_UNSAMPLED, patience
from campaigns.merging import Lack, MissingValueError, Variable
from campaigns.models import Campaign
from campaigns.targeting import Rule
from devices.models import Application, Identity, Registration
from providers.sms import Encoding, Parts, parts
from providers.sms.parts import GSM_7, GSM_7_EXTENSION

LONGEST = 4  # people for each value that the text asks for
LOOKED_AT = 20  # others
# A single letter that GSM-7 has not makes the whole text longer: two bytes for each letter.
_UNUSUAL = "[^{}]".format(
    "".join(f"\\u{ord(each):04x}" for each in sorted(GSM_7 | GSM_7_EXTENSION))
)


@dataclass(frozen=True, slots=True)
class Length:
    """How many SMS a text takes; with merge tags, of those who would get it."""

    least: int
    most: int
    unusual: bool  # the longest has letters that make each SMS shorter

    @property
    def varies(self) -> bool:
        return self.least != self.most


def text_of(campaign: Campaign) -> str:
    """What its text messages say: the words of its default content."""
    first = campaign.contents.filter(language="").values_list("text", flat=True).first()
    return first or ""


def numbers(application: Application, rule: Rule) -> QuerySet[Identity]:
    """The phone numbers of an audience's people, whether their devices show pushes or not."""
    devices = audience.matching(application, rule)
    owners = excluding.without(devices, application).filter(person__isnull=False)
    return Identity.objects.filter(kind=Identity.Kind.PHONE, person__in=owners.values("person"))


def with_numbers(application: Application, rule: Rule) -> QuerySet[Registration]:
    """The devices of an audience whose people have a number."""
    phones = Identity.objects.filter(kind=Identity.Kind.PHONE).values("person")
    devices = audience.matching(application, rule).filter(person__in=phones)
    return excluding.without(devices, application)


def length(text: str, application: Application, rule: Rule) -> Length:
    """Of a text that can be read; without merge tags no query is needed."""
    read: list[Parts] = []
    if not merging.has_tags(text):
        read = [parts(text)]
    elif merging.mistake(text) is None:
        read = list(_lengths(text, _worst(text, application, rule)))
    if not read:
        read = [parts(merging.without_tags(text))]
    longest = max(read, key=lambda each: (each.count, each.units))
    least = min(each.count for each in read)
    return Length(least, longest.count, longest.encoding is Encoding.UCS_2)


def _lengths(text: str, people: Iterable[merging.Values]) -> Iterable[Parts]:
    for values in people:
        with suppress(MissingValueError):
            yield parts(merging.rendered(text, values))


def _worst(text: str, application: Application, rule: Rule) -> list[merging.Values]:
    """Who reads the longest texts, some others, and who has none of the values."""
    asked = merging.variables(text)
    reached = with_numbers(application, rule)
    people = previewing.longest(reached, asked, most=LONGEST, key="person")
    people += previewing.longest(reached, asked, most=LONGEST, key="person", spelt=_UNUSUAL)
    with suppress(OperationalError), patience(PATIENCE):
        people += list(reached.values_list("person", flat=True)[:LOOKED_AT])
    known = merging.values_of_people(application.pk, set(people))
    return [*known.values(), merging.NOBODY]


def lacks(text: str, application: Application, rule: Rule) -> list[Lack]:
    """Of how many people with a number a value of the text is not known."""
    asked = merging.variables(text)
    if not asked:
        return []
    counted = _lacking(asked, application, with_numbers(application, rule)) or {}
    return [
        Lack(variable, people, merging.needs(text, variable))
        for variable, people in counted.items()
        if people
    ]


def _lacking(
    asked: Collection[Variable], application: Application, reached: QuerySet[Registration]
) -> dict[Variable, int] | None:
    """Likewise by value, with the device that speaks for each; None when it took too long."""
    theirs = Registration.objects.filter(
        application=application, person__in=reached.values("person")
    )
    speaking = theirs.order_by("person", "-enabled", "-primary", "-last_seen_day", "-pk").distinct(
        "person"
    )
    counts = {
        f"v{number}": Count("pk", filter=variable.lacking(sample=False))
        for number, variable in enumerate(asked)
    }
    with suppress(OperationalError), patience(PATIENCE_UNSAMPLED):
        found = Registration.objects.filter(pk__in=speaking.values("pk")).aggregate(**counts)
        return {each: found[f"v{number}"] for number, each in enumerate(asked)}
    return None
