"""Who can be reached how: by push, by text message, by both, by neither."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.postgres.aggregates import BoolOr
from django.db import OperationalError, connection
from django.db.models import Q

from campaigns import counting
from campaigns.flows import LONGEST
from devices.models import Identity, RegistrationQuerySet

# Words of a step, by its channel.
CHANNELS = {"PUSH": "Push", "SMS": "Text message"}

_COUNT = """
SELECT o.push, EXISTS (
           SELECT FROM devices_identity i WHERE i.person_id = o.person_id AND i.kind = %s
       ) AS phone, count(*)
FROM ({owners}) o (person_id, push)
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Ways:
    """People with a device that matches, by how they can be reached."""

    push_only: int = 0
    phone_only: int = 0
    both: int = 0
    neither: int = 0
    anonymous: int = 0  # devices of nobody that a push reaches

    @property
    def push(self) -> int:
        return self.push_only + self.both

    @property
    def phone(self) -> int:
        return self.phone_only + self.both

    @property
    def people(self) -> int:
        return self.push + self.phone_only + self.neither


def ways(
    devices: RegistrationQuerySet, *, primary_only: bool = False, milliseconds: int
) -> Ways | None:
    """Count the owners of devices; None when that takes longer than somebody waits."""
    shows = Q(enabled=True, notifications_enabled=True)
    if primary_only:
        shows &= Q(primary=True)
    owners = (
        devices.filter(person__isnull=False)
        .values("person")
        .annotate(push=BoolOr(shows))
        .values_list("person", "push")
        .order_by()
    )
    sql, parameters = owners.query.sql_with_params()
    with suppress(OperationalError), counting.patience(milliseconds):
        with connection.cursor() as cursor:
            cursor.execute(_COUNT.format(owners=sql), [Identity.Kind.PHONE, *parameters])
            counted = {(push, phone): number for push, phone, number in cursor.fetchall()}
        return Ways(
            push_only=counted.get((True, False), 0),
            phone_only=counted.get((False, True), 0),
            both=counted.get((True, True), 0),
            neither=counted.get((False, False), 0),
            anonymous=devices.filter(shows, person__isnull=True).count(),
        )
    return None


@dataclass(frozen=True, slots=True)
class StepReach:
    """Whom a step can reach, and what it costs at most."""

    number: int  # from 1
    channel: str
    label: str
    seconds: int
    sender: str
    accepted_is_enough: bool
    people: int | None  # None: not counted
    anonymous: int = 0
    price: Decimal = Decimal(0)  # of one SMS part; 0: nobody has written it down
    currency: str = ""
    parts: int = 1

    @property
    def cost(self) -> Decimal | None:
        """If everybody comes to it; None where that is not known."""
        if self.channel != "SMS" or not self.price or self.people is None:
            return None
        return self.price * self.parts * self.people


def steps(
    said: Sequence[Mapping[str, Any]],
    found: Ways | None = None,
    *,
    price: tuple[Any, str] = (0, ""),
    parts: int = 1,
) -> list[StepReach]:
    """The steps of a scenario with whom each reaches; `price` is that of an SMS part."""
    amount, currency = price
    told = []
    for number, step in enumerate(said, start=1):
        channel = step["channel"]
        people = None
        if found is not None and channel in CHANNELS:
            people = found.push if channel == "PUSH" else found.phone
        told.append(
            StepReach(
                number,
                channel,
                CHANNELS.get(channel, channel.replace("_", " ").capitalize()),
                step.get("validity") or LONGEST,
                step.get("sender", "") if channel == "SMS" else "",
                bool(step.get("accepted_is_enough")),
                people,
                found.anonymous if found is not None and channel == "PUSH" else 0,
                Decimal(amount) if channel == "SMS" else Decimal(0),
                currency if channel == "SMS" else "",
                parts,
            )
        )
    return told
