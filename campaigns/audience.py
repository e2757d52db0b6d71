"""Campaign → devices."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Case, Count, QuerySet, SmallIntegerField, Value, When

from campaigns import excluding, variants
from campaigns.excluding import Gate
from campaigns.models import Bulk, Reason
from campaigns.targeting import Rule, to_q
from campaigns.targeting.expressions import complement
from devices.models import Application, Platform, Registration, RegistrationQuerySet


@dataclass(frozen=True, slots=True)
class AudienceSize:
    """Who would get it now, and who matches but would not. Exact, unless it says otherwise."""

    total: int
    by_platform: dict[Platform, int]
    left_out: dict[Reason, int]
    error: int = 0  # devices it may be off, at a confidence of 95 %
    at_most: int | None = None  # too few to estimate, and not counted in time
    stays: bool = False  # to count it exactly takes too long

    @property
    def exact(self) -> bool:
        return not self.error and self.at_most is None

    @property
    def rounded(self) -> int:
        """As many digits of an estimate as mean something."""
        return round(self.total, 1 - len(str(self.error))) if self.error else self.total

    @property
    def percent(self) -> float:
        return 100 * self.error / self.total if self.total else 0.0

    def without(self, others: Mapping[Reason, Mapping[Platform, int]]) -> "AudienceSize":
        """The same without devices that get nothing for these reasons."""
        by_platform, left_out = Counter(self.by_platform), Counter(self.left_out)
        for reason, platforms in others.items():
            by_platform.subtract(platforms)
            left_out[reason] += sum(platforms.values())
        return replace(
            self,
            total=max(0, self.total - sum(sum(each.values()) for each in others.values())),
            by_platform=dict(+by_platform),
            left_out=dict(+left_out),
        )


def matching(application: Application, rule: Rule) -> RegistrationQuerySet:
    """Every device of an application that a rule matches, reachable or not."""
    return Registration.objects.filter(to_q(rule, application), application=application)


def of(application: Application, rule: Rule, *, primary_only: bool = False) -> RegistrationQuerySet:
    """The devices a rule reaches."""
    devices = matching(application, rule)
    excluded = excluding.gates(application)
    found: RegistrationQuerySet = reached(devices, excluded, primary_only=primary_only)
    return found


def reached(devices: QuerySet[Any], excluded: Iterable[Gate], *, primary_only: bool) -> Any:
    """Those of some devices, or of their sample, that a push can be shown on."""
    found = devices.filter(enabled=True, notifications_enabled=True)
    for gate in excluded:
        found = found.filter(complement(gate.condition))
    return found.filter(primary=True) if primary_only else found


def with_reason(
    devices: QuerySet[Any], excluded: Iterable[Gate], *, primary_only: bool
) -> QuerySet[Any]:
    """Say of each device why it is left out; Reason.NONE when it is not."""
    gates = [
        When(enabled=False, then=Value(int(Reason.SWITCHED_OFF))),
        When(notifications_enabled=False, then=Value(int(Reason.NOTIFICATIONS_OFF))),
    ]
    gates += [When(gate.condition, then=Value(int(gate.reason))) for gate in excluded]
    if primary_only:
        gates.append(When(primary=False, then=Value(int(Reason.NOT_PRIMARY))))
    reason = Case(*gates, default=Value(0), output_field=SmallIntegerField())
    with_reasons: QuerySet[Any] = devices.annotate(reason=reason)
    return with_reasons


def size(application: Application, rule: Rule, *, primary_only: bool = False) -> AudienceSize:
    """Count an audience exactly, by platform and by reason of being left out."""
    devices = matching(application, rule)
    return count(devices, excluding.gates(application), primary_only=primary_only)


def count(devices: QuerySet[Any], excluded: Iterable[Gate], *, primary_only: bool) -> AudienceSize:
    """Count rows of Registration, or of its sample; gates are those of the same table."""
    rows = (
        with_reason(devices, excluded, primary_only=primary_only)
        .values_list("platform", "reason")
        .annotate(devices=Count("pk"))
        .order_by("platform", "reason")
    )
    by_platform: dict[Platform, int] = {}
    left_out: dict[Reason, int] = {}
    for platform, reason, number in rows:
        if reason:
            left_out[Reason(reason)] = left_out.get(Reason(reason), 0) + number
        else:
            by_platform[Platform(platform)] = number
    return AudienceSize(sum(by_platform.values()), by_platform, left_out)


def statement(bulk: Bulk) -> tuple[str, Sequence[Any]]:
    """The SELECT of what a bulk freezes, with its parameters: id, platform, variant, reason,
    timezone_offset and person_id.
    """
    devices = with_reason(
        matching(bulk.application, bulk.rule),
        excluding.gates(bulk.application),
        primary_only=bulk.primary_only,
    )
    seed = variants.seed_of(bulk.campaign) if bulk.campaign is not None else bulk.pk
    sql, parameters = (
        variants.drawn(devices, variants.split_of(bulk.split), seed=seed)
        .values_list("id", "platform", "variant", "reason", "timezone_offset", "person_id")
        .query.sql_with_params()
    )
    return sql, parameters
