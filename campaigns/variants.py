"""Which variant of a campaign a device gets: the same one, whoever asks, and whenever.

A device's place is a hash of the campaign and of its own key, so nothing has to be written down
for each of them, and what is sent to it again says the same.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from django.db.models import (
    BigIntegerField,
    Case,
    F,
    Func,
    Q,
    QuerySet,
    SmallIntegerField,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast, Concat

from campaigns.models import Campaign, Reason

MOST = 8
NAMES = "ABCDEFGH"
PLACES = 2**32


@dataclass(frozen=True, slots=True)
class Split:
    """Percent of the audience that get each variant, and nothing at all; 100 in sum."""

    shares: tuple[int, ...] = (100,)
    holdout: int = 0

    @property
    def ends(self) -> list[int]:
        """Of each variant, the first place that is not its own any more."""
        return [PLACES * percent // 100 for percent in accumulate(self.shares)]

    @property
    def percent(self) -> int:
        """All of it: 100, unless somebody is still typing."""
        return sum(self.shares) + self.holdout

    @property
    def adds_up(self) -> bool:
        return self.percent == 100

    @property
    def named(self) -> list[tuple[str, int]]:
        """What each part is called, and its percentage; none while there is one variant."""
        if len(self.shares) == 1:
            return []
        parts = [(f"Variant {name}", part) for name, part in zip(NAMES, self.shares, strict=False)]
        return [*parts, ("Nobody: held out", self.holdout)] if self.holdout else parts

    def as_json(self) -> dict[str, Any]:
        return {} if self == Split() else {"shares": list(self.shares), "holdout": self.holdout}


def split_of(stored: Mapping[str, Any]) -> Split:
    """What a campaign or a bulk keeps; {} is one variant for everybody."""
    return Split(tuple(stored["shares"]), stored["holdout"]) if stored else Split()


def evenly(count: int, holdout: int = 0) -> Split:
    """So many variants of the same size, the first ones larger where it does not divide."""
    each, rest = divmod(100 - holdout, count)
    return Split(tuple(each + (number < rest) for number in range(count)), holdout)


def seed_of(campaign: Campaign) -> int:
    """What devices are placed by: a campaign that is sent again gives each its old variant."""
    first = campaign.resend_of
    return campaign.pk if first is None or first.campaign_id is None else first.campaign_id


def variant_of(split: Split, *, seed: int, registration: int) -> int | None:
    """The variant of a device; None when it is held out. As `drawn` says it for many."""
    if split.holdout == 0 and len(split.shares) == 1:
        return 0
    digest = hashlib.md5(f"{seed}:{registration}".encode(), usedforsecurity=False).hexdigest()
    place = int(digest[:8], 16)
    return next((number for number, end in enumerate(split.ends) if place < end), None)


class _Place(Func):
    """Places of rows, 0 to 2³²-1, by the hash of a text."""

    template = "('x' || left(md5(%(expressions)s), 8))::bit(32)::bigint"
    output_field = BigIntegerField()


def drawn(devices: QuerySet[Any], split: Split, *, seed: int) -> QuerySet[Any]:
    """Say of each device which `variant` it gets; whoever is held out has that `reason`."""
    if split.holdout == 0 and len(split.shares) == 1:
        everybody: QuerySet[Any] = devices.annotate(
            variant=Value(0, output_field=SmallIntegerField())
        )
        return everybody
    key = Concat(Value(f"{seed}:"), Cast("pk", TextField()), output_field=TextField())
    others = Q(reason__gt=0) | Q(place__gte=split.ends[-1])
    parts = [
        When(place__lt=end, then=Value(number, output_field=SmallIntegerField()))
        for number, end in enumerate(split.ends)
    ]
    placed: QuerySet[Any] = (
        devices.annotate(place=_Place(key))
        .annotate(
            variant=Case(When(others, then=Value(0)), *parts, output_field=SmallIntegerField())
        )
        .annotate(
            reason=Case(
                When(reason=0, place__gte=split.ends[-1], then=Value(int(Reason.HELD_OUT))),
                default=F("reason"),
                output_field=SmallIntegerField(),
            )
        )
    )
    return placed
