"""Campaign → devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Count, QuerySet, SmallIntegerField, Value, When

from campaigns.models import Bulk, Reason
from campaigns.targeting import Rule, to_q
from devices.models import Application, Platform, Registration, RegistrationQuerySet


@dataclass(frozen=True, slots=True)
class AudienceSize:
    """Who would get it now, and who matches but would not."""

    total: int
    by_platform: dict[Platform, int]
    left_out: dict[Reason, int]


def matching(application: Application, rule: Rule) -> RegistrationQuerySet:
    """Every device of an application that a rule matches, reachable or not."""
    return Registration.objects.filter(to_q(rule, application), application=application)


def of(application: Application, rule: Rule, *, primary_only: bool = False) -> RegistrationQuerySet:
    """The devices a rule reaches."""
    reached = matching(application, rule).reachable()
    return reached.filter(primary=True) if primary_only else reached


def _with_reason(devices: RegistrationQuerySet, *, primary_only: bool) -> QuerySet[Any]:
    """Say of each device why it is left out; Reason.NONE when it is not."""
    gates = [
        When(enabled=False, then=Value(int(Reason.SWITCHED_OFF))),
        When(notifications_enabled=False, then=Value(int(Reason.NOTIFICATIONS_OFF))),
    ]
    if primary_only:
        gates.append(When(primary=False, then=Value(int(Reason.NOT_PRIMARY))))
    return devices.annotate(reason=Case(*gates, default=Value(0), output_field=SmallIntegerField()))


def size(application: Application, rule: Rule, *, primary_only: bool = False) -> AudienceSize:
    """Count an audience exactly, by platform and by reason of being left out."""
    rows = (
        _with_reason(matching(application, rule), primary_only=primary_only)
        .values_list("platform", "reason")
        .annotate(devices=Count("pk"))
        .order_by("platform", "reason")
    )
    by_platform: dict[Platform, int] = {}
    left_out: dict[Reason, int] = {}
    for platform, reason, devices in rows:
        if reason:
            left_out[Reason(reason)] = left_out.get(Reason(reason), 0) + devices
        else:
            by_platform[Platform(platform)] = devices
    return AudienceSize(sum(by_platform.values()), by_platform, left_out)


def statement(bulk: Bulk) -> tuple[str, Sequence[Any]]:
    """The SELECT of id, platform and reason that a bulk freezes, with its parameters."""
    devices = matching(bulk.application, bulk.rule)
    query = _with_reason(devices, primary_only=bulk.primary_only).values_list(
        "id", "platform", "reason"
    )
    sql, parameters = query.query.sql_with_params()
    return sql, parameters
