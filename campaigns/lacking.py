"""Whom of its audience a draft says nothing to: values that nobody knows, devices held out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError
from django.db.models import Count, Q, SmallIntegerField, Value

from campaigns import merging, variants
from campaigns.counting import PATIENCE, PATIENCE_UNSAMPLED, patience
from campaigns.languages import Contents
from campaigns.merging import Lack, Variable
from campaigns.models import Campaign, CampaignContent, Reason
from campaigns.previewing import reached_by
from campaigns.targeting import Rule
from devices.models import Platform

Asked = Mapping[Variable, bool]  # what a content asks for, and whether it has no fallback


@dataclass(frozen=True, slots=True)
class Lacking:
    """Values that are not known, and how many devices get nothing, by reason and platform."""

    lacks: Sequence[Lack] = ()
    unreached: Mapping[Reason, Counter[Platform]] = field(default_factory=dict)


def of(campaign: Campaign, rule: Rule, *, primary_only: bool) -> Lacking:
    """What a draft lacks for those whom a rule reaches: each by the content they would get.

    By the sample, where an application is large. Empty when it took too long.
    """
    contents = list(campaign.contents.all())
    split = variants.split_of(campaign.split)
    asked = [_asked_by(content) for content in contents]
    every = sorted({variable for each in asked for variable in each})
    if not every and not split.holdout:
        return Lacking()
    rows, sample = reached_by(campaign.application, rule, primary_only=primary_only)
    lacks = {each: each.lacking(sample=sample is not None) for each in every}
    stopping = {frozenset(name for name, stops in each.items() if stops) for each in asked}
    counts = {
        _key(every, some): Count("pk", filter=_any_of(lacks, some))
        for some in {*stopping, *(frozenset({each}) for each in every)}
        if some
    }
    placed = variants.drawn(
        rows.annotate(reason=Value(0, output_field=SmallIntegerField())),
        split,
        seed=variants.seed_of(campaign),
    )
    grouped = placed.values("platform", "language", "variant", "reason")
    with suppress(OperationalError), patience(PATIENCE if sample else PATIENCE_UNSAMPLED):
        found = list(grouped.annotate(devices=Count("pk"), **counts).order_by())
        scale = sample.devices / max(1, sample.probed) if sample else 1.0
        return _summed(contents, asked, every, found, scale)
    return Lacking()


def _asked_by(content: CampaignContent) -> Asked:
    texts = merging.templates(content.as_json())
    found = {variable for text in texts for variable in merging.variables(text)}
    return {each: any(merging.needs(text, each) for text in texts) for each in sorted(found)}


def _key(every: Sequence[Variable], some: frozenset[Variable]) -> str:
    return "lacks_" + "_".join(str(n) for n, each in enumerate(every) if each in some)


def _any_of(lacks: Mapping[Variable, Q], some: frozenset[Variable]) -> Q:
    condition = Q(pk__isnull=True)
    for each in some:
        condition |= lacks[each]
    return condition


def _summed(
    contents: Sequence[CampaignContent],
    asked: Sequence[Asked],
    every: Sequence[Variable],
    found: Sequence[Mapping[str, Any]],
    scale: float,
) -> Lacking:
    """Rows of one platform, language and variant each: all of them get the same content."""
    chosen = Contents([{"language": each.language, "variant": each.variant} for each in contents])
    lacks: Counter[tuple[Variable, bool]] = Counter()
    unreached: dict[Reason, Counter[Platform]] = {}
    for row in found:
        platform = Platform(row["platform"])
        if row["reason"]:
            unreached.setdefault(Reason(row["reason"]), Counter())[platform] += row["devices"]
            continue
        wanted = asked[chosen.place(row["language"], row["variant"])]
        for variable, stops in wanted.items():
            lacks[variable, stops] += row[_key(every, frozenset({variable}))]
        if stopping := frozenset(variable for variable, stops in wanted.items() if stops):
            unreached.setdefault(Reason.NO_VALUE, Counter())[platform] += row[_key(every, stopping)]
    return Lacking(
        [
            Lack(variable, devices, stops)
            for (variable, stops), number in sorted(lacks.items(), key=lambda each: each[0])
            if (devices := round(number * scale))
        ],
        {
            reason: +Counter({each: round(number * scale) for each, number in platforms.items()})
            for reason, platforms in unreached.items()
        },
    )
