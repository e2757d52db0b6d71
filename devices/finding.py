"""Which devices, or which people, somebody means by what they typed."""

import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Lower, Right

from devices import normalizing
from devices.models import Address, Application, Identity, Person, Registration

MOST_PEOPLE = 200  # whom a beginning may mean before more must be typed
TAIL = 8  # characters of a token that pages show, and that its index holds
NUL = "\x00"  # PostgreSQL keeps none, so nothing is found by it


@dataclass(frozen=True, slots=True)
class Found:
    """Keys of devices or people; `more` people begin like this than were looked at."""

    keys: list[int] = field(default_factory=list)
    more: bool = False


def find(application: Application, typed: str) -> Found:
    """The devices that a text names, each lookup by an index.

    It may be a registration id, a token or at least its last eight characters, or the beginning
    of an external id, of a phone number or of an e-mail address.
    """
    typed = typed.strip()
    if not typed or NUL in typed:
        return Found()
    people = list(
        Identity.objects.filter(_identity(typed))
        .order_by()
        .values_list("person_id", flat=True)[: MOST_PEOPLE + 1]
    )
    found = set(
        Registration.objects.filter(
            application=application, person__in=people[:MOST_PEOPLE]
        ).values_list("pk", flat=True)
        if people
        else ()
    )
    if address := _address(typed):
        addresses = Address.objects.annotate(tail=Right(F("token"), TAIL))
        found.update(
            addresses.filter(address, application=application).values_list("pk", flat=True)
        )
    return Found(sorted(found), more=len(people) > MOST_PEOPLE)


def devices_meant(application: Application, typed: str, *, most: int) -> list[Registration]:
    """Devices by what names them, or by their person; primary ones first."""
    devices = Registration.objects.filter(application=application)
    people = find_people(application, typed)
    found = find(application, typed).keys
    keys = [*found, *devices.filter(person__in=people.keys).values_list("pk", flat=True)[:50]]
    known = devices.filter(pk__in=keys).select_related("person", "address", "application")
    return list(known.order_by("-primary", "-pk")[:most])


def find_people(application: Application, typed: str) -> Found:
    """The people that a text names, each lookup by an index.

    It may be the beginning of an external id, of a phone number, of an e-mail address, of a
    first or last name (or of both), a whole tag, or what names a device of this application.
    """
    typed = typed.strip()
    if not typed or NUL in typed:
        return Found()
    ways: list[QuerySet[Any, int]] = [
        Identity.objects.filter(_identity(typed)).order_by().values_list("person_id", flat=True),
        _named(typed).values_list("pk", flat=True),
        Person.objects.filter(tags__contains=[typed[:256]]).values_list("pk", flat=True),
    ]
    if address := _address(typed):
        addresses = Address.objects.annotate(tail=Right(F("token"), TAIL))
        owners = addresses.filter(
            address, application=application, registration__person__isnull=False
        )
        ways.append(owners.values_list("registration__person_id", flat=True))
    found: set[int] = set()
    more = False
    for way in ways:
        keys = list(way[: MOST_PEOPLE + 1])
        more = more or len(keys) > MOST_PEOPLE
        found.update(keys[:MOST_PEOPLE])
    return Found(sorted(found), more=more)


def _named(typed: str) -> QuerySet[Person]:
    """People by the beginning of a name, in whatever case; of two words, first and last name."""
    people = Person.objects.alias(first=Lower("first_name"), last=Lower("last_name"))
    first, _, last = typed.lower().partition(" ")
    if last.strip():
        return people.filter(first__startswith=first, last__startswith=last.strip())
    return people.filter(Q(first__startswith=first) | Q(last__startswith=first))


def _identity(typed: str) -> Q:
    condition = Q(kind=Identity.Kind.EXTERNAL_ID, value__startswith=typed)
    condition |= Q(kind=Identity.Kind.EMAIL, value__startswith=typed.lower())
    digits = re.sub(r"[\s()/.+-]", "", typed)
    if digits.isascii() and digits.isdigit() and len(digits) >= 4:
        condition |= Q(kind=Identity.Kind.PHONE, value__startswith=digits)
    return condition


def _address(typed: str) -> Q | None:
    """A condition on Address, or None for what is neither an id nor (the end of) a token."""
    tail = typed.removeprefix("…")
    if len(tail) < TAIL or re.search(r"\s", tail):
        return None
    condition = Q(tail=tail[-TAIL:], token__endswith=tail)
    condition |= Q(token_digest=normalizing.digest(tail))
    try:
        return condition | Q(public_id=uuid.UUID(tail))
    except ValueError:
        return condition
