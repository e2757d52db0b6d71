"""What became of each variant of a bulk, and whether they differ by more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any
from uuid import UUID

from django.db import OperationalError, connection
from django.db.models import Sum

from campaigns.counting import patience
from campaigns.ids import id_range
from campaigns.languages import Contents, name_of
from campaigns.models import Bulk, Counter, Message
from campaigns.variants import NAMES, split_of
from devices.versions import unpack_version

COUNTED = ("sent", "accepted", "delivered", "seen", "clicked", "failed")
ENOUGH = 5  # expected of either kind, in each variant: below that the test says nothing
SURE = 0.05
PATIENCE = 3_000  # milliseconds for counting message rows
MOST_PARTS = 50  # languages, versions


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

    def hits(self, what: str) -> int:
        """How many were "tapped", "seen" or "delivered"."""
        return {"tapped": self.clicked, "seen": self.seen, "delivered": self.delivered}[what]


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
    found = (verdict(variants, what) for what in ("tapped", "seen"))
    return [each for each in found if each is not None]


def verdict(variants: Sequence[VariantFigures], what: str) -> Verdict | None:
    """The same of one rate; None where fewer than two variants were accepted at all."""
    counted = [each for each in variants if each.accepted]
    if len(counted) < 2:
        return None
    hits = [each.hits(what) for each in counted]
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


# ------------------------------------------------------------------- languages, versions


@dataclass(slots=True)
class PartFigures:
    """Devices that have something in common when it was sent."""

    name: str
    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    seen: int = 0
    clicked: int = 0
    failed: int = 0
    expired: int = 0
    unknown: int = 0
    value: str = ""  # what they have in common; "" where they reported nothing


@dataclass(slots=True)
class LanguageFigures(PartFigures):
    """Devices that reported a language: `value`."""

    read: str = ""  # the content they got


_PARTS = """
SELECT {column}, count(*),
       count(*) FILTER (WHERE state BETWEEN %(accepted)s AND %(clicked)s),
       count(*) FILTER (WHERE state BETWEEN %(delivered)s AND %(clicked)s),
       count(*) FILTER (WHERE state BETWEEN %(seen)s AND %(clicked)s),
       count(*) FILTER (WHERE state = %(clicked)s),
       count(*) FILTER (WHERE state = %(failed)s),
       count(*) FILTER (WHERE state = %(expired)s),
       count(*) FILTER (WHERE state = %(unknown)s)
FROM campaigns_message WHERE id BETWEEN %(first)s AND %(last)s
GROUP BY {column} ORDER BY 2 DESC, 1 LIMIT %(most)s
"""


def _parts(bulk: Bulk, column: str) -> list[tuple[Any, ...]] | None:
    """By a column of the messages, counted from them themselves; None where that took too long."""
    first, last = id_range(bulk)
    states = {state.name.lower(): state.value for state in Message.State}
    values: dict[str, int | UUID] = {**states, "first": first, "last": last, "most": MOST_PARTS}
    try:
        with patience(PATIENCE), connection.cursor() as cursor:
            cursor.execute(_PARTS.format(column=column), values)
            return list(cursor.fetchall())
    except OperationalError:
        return None


def languages(bulk: Bulk) -> list[LanguageFigures] | None:
    """By the languages that devices reported; None where that took too long to count."""
    rows = _parts(bulk, "language")
    if rows is None:
        return None
    contents = Contents(bulk.content)
    found = []
    for language, *counts in rows:
        written = bulk.content[contents.place(language, 0)].get("language", "")
        read = name_of(written) if written else "Default"
        name = name_of(language) if language else "None reported"
        figures = LanguageFigures(name, *counts)
        figures.value, figures.read = language, read
        found.append(figures)
    return found


def app_versions(bulk: Bulk) -> list[PartFigures] | None:
    """By the version of the app; None where that took too long to count."""
    rows = _parts(bulk, "app_version")
    if rows is None:
        return None
    found = []
    for packed, *counts in rows:
        version = unpack_version(packed)
        figures = PartFigures(version or "None reported", *counts)
        figures.value = version
        found.append(figures)
    return found
