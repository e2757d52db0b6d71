"""Whom no send reaches: the do-not-contact list, and segments of which nobody gets anything.

Both hold for campaigns, where the audience is written down, and for every send, of the APIs
too, as a device's turn comes. Nothing goes past them: no contract has a message that may.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db import connection
from django.db.models import Case, Model, Q, QuerySet, SmallIntegerField, Value, When

from campaigns.models import Reason, Segment
from campaigns.targeting import Rule, compiled
from campaigns.targeting.expressions import complement
from devices.models import Application, Registration

M = TypeVar("M", bound=Model)

_FIND = """
SELECT (SELECT l.id FROM campaigns_staticlist l
        WHERE l.application_id = %(application)s AND l.do_not_contact
          AND EXISTS (SELECT 1 FROM campaigns_listmember m WHERE m.list_id = l.id)),
       ARRAY(SELECT s.id FROM campaigns_segment s
             WHERE s.application_id = %(application)s AND s.excludes ORDER BY s.id)
"""


@dataclass(frozen=True, slots=True)
class Exclusions:
    """What leaves devices of an application out of every send, by keys."""

    list: int | None  # with somebody on it
    segments: tuple[int, ...]

    def __bool__(self) -> bool:
        return self.list is not None or bool(self.segments)

    @property
    def rules(self) -> Iterator[tuple[Reason, Rule]]:
        if self.list is not None:
            yield Reason.DO_NOT_CONTACT, {"field": "list", "op": "in", "value": self.list}
        for number in self.segments:
            yield Reason.EXCLUDED, {"field": "segment", "op": "in", "value": number}


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition on devices that keeps them from every send, and its reason."""

    reason: Reason
    condition: Q
    probes: bool  # as that of a Compiled


def of(application_id: int) -> Exclusions:
    with connection.cursor() as cursor:
        cursor.execute(_FIND, {"application": application_id})
        number, segments = cursor.fetchone()
    return Exclusions(number, tuple(segments))


def gates(
    application: Application, *, sample: bool = False, exclusions: Exclusions | None = None
) -> list[Gate]:
    """In the order they are asked. Raises RuleError where a segment cannot be read: then nothing
    is sent, rather than to whom it would leave out.

    `exclusions`: what `of` said a moment ago.
    """
    found = []
    if exclusions is None:
        exclusions = of(application.pk)
    for reason, rule in exclusions.rules:
        read = compiled(rule, application, sample=sample)
        found.append(Gate(reason, read.condition, read.probes))
    return found


def without(devices: QuerySet[M], application: Application, *, sample: bool = False) -> QuerySet[M]:
    """Those of some devices that are not left out: rows of Registration, or of its sample."""
    for gate in gates(application, sample=sample):
        devices = devices.filter(complement(gate.condition))
    return devices


def reasons(application: Application, devices: Collection[int]) -> Mapping[int, Reason]:
    """Which of these devices nothing is sent to, and why."""
    return _stopped(application, devices, gates(application))


# One by one, by their keys. Of all of them together the planner may think that reading everything
# a rule looks at, such as a campaign of a million messages, is shorter than to ask for each: of
# what was written a moment ago it knows nothing, and it would do so for every window.
_STOPPED = """
SELECT judged.id, judged.reason
FROM unnest(%s::bigint[]) device (id)
CROSS JOIN LATERAL (SELECT * FROM ({rows}) r WHERE r.id = device.id OFFSET 0) judged
WHERE judged.reason > 0
"""


def _stopped(
    application: Application, devices: Collection[int], found: Sequence[Gate]
) -> dict[int, Reason]:
    """The first gate that stops each of some devices; nothing of those that none stops."""
    if not found or not devices:
        return {}
    reason = Case(
        *(When(gate.condition, then=Value(int(gate.reason))) for gate in found),
        default=Value(0),
        output_field=SmallIntegerField(),
    )
    rows = Registration.objects.filter(application=application).annotate(reason=reason)
    sql, parameters = rows.values("id", "reason").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(_STOPPED.format(rows=sql), [list(devices), *parameters])
        return {pk: Reason(why) for pk, why in cursor.fetchall()}


def people(application: Application, keys: Collection[int]) -> Mapping[int, Reason]:
    """Which of these people get no text message either: they are on the list themselves, or a
    device of theirs is in such a segment.
    """
    exclusions = of(application.pk)
    found: dict[int, Reason] = {}
    if not exclusions or not keys:
        return found
    if exclusions.segments:
        segments = Exclusions(None, exclusions.segments)
        mine = Registration.objects.filter(application=application, person__in=keys)
        owners = dict(mine.values_list("pk", "person_id"))
        inside = _stopped(application, owners, gates(application, exclusions=segments))
        found = {owner: why for pk, why in inside.items() if (owner := owners[pk]) is not None}
    if exclusions.list is not None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT person_id FROM campaigns_listmember"
                " WHERE list_id = %s AND person_id = ANY(%s)",
                [exclusions.list, list(keys)],
            )
            listed = [key for (key,) in cursor.fetchall()]
        found |= dict.fromkeys(listed, Reason.DO_NOT_CONTACT)
    return found


def segments_with(device: Registration) -> list[Segment]:
    """The segments that leave a device out now."""
    application = device.application
    return [
        segment
        for segment in Segment.objects.filter(application=application, excludes=True)
        if Registration.objects.filter(
            compiled({"field": "segment", "op": "in", "value": segment.pk}, application).condition,
            pk=device.pk,
        ).exists()
    ]
