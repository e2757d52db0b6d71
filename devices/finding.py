"""Which devices, or which people, somebody means by what they typed."""

import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.db.models.functions import Lower, Right

from devices import normalizing
from devices.models import Address, Application, Identity, Person, Registration

MOST_PEOPLE = 200  # whom a beginning may mean before more must be typed
TAIL = 8  # characters of a token that pages show, and that its index holds
SHORTEST = 6  # characters of an id or of a token's end …
SHORTEST_TAIL = 4  # … and where a "…" says that it is a token's end
LONGEST_TAG = 256  # characters
NUL = "\x00"  # PostgreSQL keeps none, so nothing is found by it


@dataclass(frozen=True, slots=True)
class Found:
    """Keys of devices or people; `more` people begin like this than were looked at."""

    keys: list[int] = field(default_factory=list)
    more: bool = False


def find(application: Application, typed: str) -> Found:
    """The devices that a text names: by what names them, or by their person.

    Each lookup has an index. A device is named by the beginning of its registration id, by its
    token, or by at least the last eight characters of it or the first of those (after a "…");
    its person by all that `find_people` looks for.
    """
    typed = typed.strip()
    if not typed or NUL in typed:
        return Found()
    people = _meant(_ways(typed))
    devices = Registration.objects.filter(application=application)
    found = set(devices.filter(person__in=people.keys).values_list("pk", flat=True))
    addresses = _addresses(application, typed)
    if addresses is not None:
        found.update(addresses.values_list("pk", flat=True)[:MOST_PEOPLE])
    return Found(sorted(found), more=people.more)


def devices_meant(application: Application, typed: str, *, most: int) -> list[Registration]:
    """Devices by what names them, or by their person; primary ones first."""
    devices = Registration.objects.filter(application=application)
    known = devices.filter(pk__in=find(application, typed).keys)
    known = known.select_related("person", "address", "application")
    return list(known.order_by("-primary", "-pk")[:most])


def devices_named(application: Application, typed: str, *, most: int) -> list[Registration]:
    """Devices by what names them alone, their id or their token; the newest first."""
    typed = typed.strip()
    addresses = None if NUL in typed else _addresses(application, typed)
    if addresses is None:
        return []
    keys = list(addresses.values_list("pk", flat=True)[:MOST_PEOPLE])
    devices = Registration.objects.filter(pk__in=keys) if keys else Registration.objects.none()
    return list(devices.select_related("address").order_by("-pk")[:most])


def find_people(application: Application, typed: str) -> Found:
    """The people that a text names, each lookup by an index.

    It may be the beginning of an external id, of a phone number, of an e-mail address, of a
    first or last name (or of both), of a tag, or what names a device of this application.
    """
    typed = typed.strip()
    if not typed or NUL in typed:
        return Found()
    ways = _ways(typed)
    addresses = _addresses(application, typed)
    if addresses is not None:
        owners = addresses.filter(registration__person__isnull=False)
        ways.append(owners.values_list("registration__person_id", flat=True))
    return _meant(ways)


def _ways(typed: str) -> list[QuerySet[Any, int]]:
    """Keys of people, by each thing of theirs that a text may be."""
    identities = Identity.objects.filter(_identity(typed)).order_by()
    # First who has just this tag: among all whose tags begin like it, they might not be shown.
    tagged = Person.objects.filter(tags__contains=[typed[:LONGEST_TAG]])
    ways: list[QuerySet[Any, int]] = [
        identities.values_list("person_id", flat=True),
        _named(typed).values_list("pk", flat=True),
        tagged.values_list("pk", flat=True),
    ]
    if len(typed) <= LONGEST_TAG:
        ways.append(Person.objects.filter(_TagBegins(typed)).values_list("pk", flat=True))
    return ways


def _meant(ways: list[QuerySet[Any, int]]) -> Found:
    found: set[int] = set()
    more = False
    for way in ways:
        keys = list(way[: MOST_PEOPLE + 1])
        more = more or len(keys) > MOST_PEOPLE
        found.update(keys[:MOST_PEOPLE])
    return Found(sorted(found), more=more)


def _named(typed: str) -> QuerySet[Person]:
    """People by the beginning of a name, in whatever case; of two words, both names."""
    people = Person.objects.alias(first=Lower("first_name"), last=Lower("last_name"))
    one, _, other = typed.lower().partition(" ")
    if other := other.strip():
        return people.filter(
            Q(first__startswith=one, last__startswith=other)
            | Q(last__startswith=one, first__startswith=other)
            | Q(first__startswith=f"{one} {other}")
            | Q(last__startswith=f"{one} {other}")
        )
    return people.filter(Q(first__startswith=one) | Q(last__startswith=one))


class _TagBegins(Func):
    """Whether one of a person's tags begins like this, in whatever case: index person_tag_words."""

    template = "(tag_words(%(expressions)s::tsquery)"
    arg_joiner = ") @@ "
    output_field = BooleanField()

    def __init__(self, typed: str) -> None:
        quoted = typed.lower().replace("\\", "\\\\").replace("'", "''")
        super().__init__(F("tags"), Value(f"'{quoted}':*"))


def _identity(typed: str) -> Q:
    condition = Q(kind=Identity.Kind.EXTERNAL_ID, value__startswith=typed)
    condition |= Q(kind=Identity.Kind.EMAIL, value__startswith=typed.lower())
    # As people dial abroad: 0044 is +44, and no country's code begins with a zero.
    digits = re.sub(r"[\s()/.+-]", "", typed).removeprefix("00")
    if digits.isascii() and digits.isdigit() and len(digits) >= 4:
        condition |= Q(kind=Identity.Kind.PHONE, value__startswith=digits)
    return condition


def _addresses(application: Application, typed: str) -> QuerySet[Address] | None:
    """Addresses by (the beginning of) their id or by (the end of) their token; None: by neither.

    Short texts are more often a number or a name, and would name a device by chance.
    """
    tail = typed.removeprefix("…")
    if len(tail) < (SHORTEST if tail == typed else SHORTEST_TAIL) or re.search(r"\s", tail):
        return None
    condition = Q(tail__startswith=tail)
    if len(tail) >= TAIL:
        condition = Q(tail=tail[-TAIL:], token__endswith=tail)
        condition |= Q(token_digest=normalizing.digest(tail))
    digits = tail.replace("-", "").lower()
    if tail == typed and re.fullmatch(r"[0-9a-f]{6,32}", digits):
        first, last = (uuid.UUID(digits.ljust(32, end)) for end in "0f")
        condition |= Q(public_id__range=(first, last))
    addresses = Address.objects.annotate(tail=Right(F("token"), TAIL))
    return addresses.filter(condition, application=application)
