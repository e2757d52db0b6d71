"""What became of each variant of a bulk, and whether they differ by more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from uuid import UUID

from django.db import OperationalError, connection
from django.db.models import Sum

from campaigns.counting import patience
from campaigns.ids import id_range
from campaigns.languages import Contents, name_of
from campaigns.models import Bulk, Counter, Message
from campaigns.variants import NAMES, split_of

COUNTED = ("sent", "accepted", "delivered", "seen", "clicked", "failed")
ENOUGH = 5  # expected of either kind, in each variant: below that the test says nothing
SURE = 0.05
PATIENCE = 3_000  # milliseconds for counting message rows
MOST_LANGUAGES = 50


@dataclass(frozen=True, slots=True)
class VariantFigures:
    """One variant; what is not known yet is 0."""

    variant: int
    share: int  # percent of the audience, as it was asked for
    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    seen: int = 0
    clicked: int = 0
    failed: int = 0

    @property
    def name(self) -> str:
        return NAMES[self.variant]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can honestly be said of one rate."""

    what: str  # "tapped"
    best: VariantFigures
    other: VariantFigures  # of the rest, the one that is nearest to it
    rates: tuple[float, float]
    chance: float | None  # that equal variants differ as much; None: too few to tell

    @property
    def is_sure(self) -> bool:
        return self.chance is not None and self.chance < SURE

    @property
    def one_in(self) -> int:
        """Equal variants would differ as much once in so many campaigns."""
        return round(1 / max(self.chance or 1.0, 1e-9))


def figures(bulk: Bulk) -> list[VariantFigures]:
    """The variants of a bulk in their order; none where it has only one."""
    split = split_of(bulk.split)
    if len(split.shares) == 1:
        return []
    rows = Counter.objects.filter(bulk=bulk).values_list("variant")
    found = {row[0]: row[1:] for row in rows.annotate(**{name: Sum(name) for name in COUNTED})}
    return [
        VariantFigures(number, share, *found.get(number, ()))
        for number, share in enumerate(split.shares)
    ]


def verdicts(variants: Sequence[VariantFigures]) -> list[Verdict]:
    """For seen and tapped, of what the clouds accepted: is the best one better, or lucky?"""
    counted = [each for each in variants if each.accepted]
    if len(counted) < 2:
        return []
    return [
        _verdict(counted, "tapped", [each.clicked for each in counted]),
        _verdict(counted, "seen", [each.seen for each in counted]),
    ]


def _verdict(counted: Sequence[VariantFigures], what: str, hits: Sequence[int]) -> Verdict:
    rates = {each.variant: hit / each.accepted for each, hit in zip(counted, hits, strict=True)}
    best, other, *_ = sorted(counted, key=lambda each: (-rates[each.variant], each.variant))
    by_variant = dict(zip((each.variant for each in counted), hits, strict=True))
    chance = chance_of(
        by_variant[best.variant], best.accepted, by_variant[other.variant], other.accepted
    )
    if chance is not None:  # the best was picked: every pair had its chance
        pairs = len(counted) * (len(counted) - 1) // 2
        chance = min(1.0, chance * pairs)
    return Verdict(what, best, other, (rates[best.variant], rates[other.variant]), chance)


def chance_of(hits: int, total: int, other_hits: int, other_total: int) -> float | None:
    """How likely two equal variants differ at least as much: the two-proportion z-test.

    Two-sided, with the pooled rate. None where it is no good approximation.
    """
    pooled = (hits + other_hits) / (total + other_total)
    if min(total, other_total) * min(pooled, 1 - pooled) < ENOUGH:
        return None
    error = sqrt(pooled * (1 - pooled) * (1 / total + 1 / other_total))
    return erfc(abs(hits / total - other_hits / other_total) / error / sqrt(2))


# ------------------------------------------------------------------- languages


@dataclass(slots=True)
class LanguageFigures:
    """Devices that reported a language when it was sent."""

    language: str
    read: str  # the content they got
    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    seen: int = 0
    clicked: int = 0
    failed: int = 0

    @property
    def name(self) -> str:
        return name_of(self.language) if self.language else "None reported"


_LANGUAGES = """
SELECT language, count(*),
       count(*) FILTER (WHERE state BETWEEN %s AND %s),
       count(*) FILTER (WHERE state BETWEEN %s AND %s),
       count(*) FILTER (WHERE state BETWEEN %s AND %s),
       count(*) FILTER (WHERE state = %s),
       count(*) FILTER (WHERE state = %s)
FROM campaigns_message WHERE id BETWEEN %s AND %s
GROUP BY language ORDER BY 2 DESC, 1 LIMIT %s
"""


def languages(bulk: Bulk) -> list[LanguageFigures] | None:
    """By the languages that devices reported, counted from the messages themselves.

    None where that took too long.
    """
    state = Message.State
    parameters: list[int | UUID] = [
        state.ACCEPTED, state.CLICKED, state.DELIVERED, state.CLICKED, state.SEEN, state.CLICKED,
        state.CLICKED, state.FAILED, *id_range(bulk), MOST_LANGUAGES,
    ]  # fmt: skip
    contents = Contents(bulk.content)
    try:
        with patience(PATIENCE), connection.cursor() as cursor:
            cursor.execute(_LANGUAGES, parameters)
            rows = cursor.fetchall()
    except OperationalError:
        return None
    found = []
    for language, *counts in rows:
        written = bulk.content[contents.place(language, 0)].get("language", "")
        read = name_of(written) if written else "Default"
        found.append(LanguageFigures(language, read, *counts))
    return found
