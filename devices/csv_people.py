"""Whom the devices of a batch belong to. Source: contract/people.md 5.1, as if forced.

A file speaks for its device: one that belongs to somebody else by another external id is
parted from them first, as `forceDepersonalize=true` does. A row that names nobody known, and no
other external id, adds its phone and e-mail to whoever has the device.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db import connection
from django.utils import timezone

from devices import attributes, csv_sql
from devices.csv_person_rows import WantedPerson
from devices.csv_rows import RowFault, Wanted
from devices.models import Identity, Person, Registration
from devices.personalizing.portrait import MOST_CONTACTS, MOST_TAGS, Key
from devices.racing import Raced

Kind = Identity.Kind
_PERSON = {
    "kind": "text", "first_name": "text", "last_name": "text", "tags": "text[]",
    "middle_name": "text", "gender": "text", "birthday": "date", "address": "text",
    "city": "text", "country": "text", "preferred_language": "text", "profile_picture": "text",
}  # fmt: skip
# In SQL, so that numbers which no float can hold stay as they are.
_CHANGED = f""", attributes = new.attributes || old.attributes || new.given,
    changed_at = now(), changed_from = '{Person.Source.PORTAL}'"""
_CONTACTS = {Kind.PHONE: ("phone", "phone numbers"), Kind.EMAIL: ("email", "e-mail addresses")}


@dataclass(slots=True, eq=False)
class Owner:
    """A person as it is in the database, or will be."""

    pk: int | None = None  # None until it is written
    kind: str = Person.Kind.LEAD
    first_name: str = ""
    last_name: str = ""
    middle_name: str = ""
    gender: str = ""
    birthday: date | None = None
    address: str = ""
    city: str = ""
    country: str = ""
    preferred_language: str = ""
    profile_picture: str = ""
    tags: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)  # attributes that rows say themselves
    external_id: str = ""
    contacts: Counter[int] = field(default_factory=Counter)  # identities of each kind
    stored: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stored = self.said()

    def said(self) -> list[Any]:
        return [*(getattr(self, name) for name in _PERSON), self.attributes]

    @property
    def differs(self) -> bool:
        return self.said() != self.stored

    @property
    def anonymous(self) -> bool:
        return not self.contacts

    def know(self, key: Key) -> None:
        self.contacts[key[0]] += 1
        if key[0] == Kind.EXTERNAL_ID:
            self.external_id = key[1]

    def put(self, **said: Any) -> None:
        for name, value in said.items():
            setattr(self, name, value)


class People:
    """The people a batch is about, their rows locked in the order everybody keeps."""

    def __init__(self, wanted: Collection[Wanted | WantedPerson], owners: Iterable[int]) -> None:
        """`owners` are the people who have a device of the batch."""
        keys = {each for row in wanted for each in row.identities}
        owned = Identity.objects.order_by().filter(
            kind__in={kind for kind, _ in keys}, value__in={value for _, value in keys}
        )
        people = {*owners, *(owned.values_list("person_id", flat=True) if keys else ())}
        rows = Person.objects.filter(pk__in=people).order_by("pk").select_for_update(no_key=True)
        self.by_pk = {
            pk: Owner(pk, **dict(zip((*_PERSON, "attributes"), said, strict=True)))
            for pk, *said in rows.values_list("pk", *_PERSON, "attributes")
        }
        if len(self.by_pk) != len(people):
            raise Raced
        self.by_identity: dict[Key, Owner] = {}
        known = Identity.objects.order_by().filter(person__in=people)
        for kind, value, pk in known.values_list("kind", "value", "person_id"):
            self.by_identity[kind, value] = self.by_pk[pk]
            self.by_pk[pk].know((kind, value))
        self._fresh: dict[Owner, None] = {}  # in their order
        self._joined: list[tuple[Key, Owner]] = []
        self._left: set[int] = set()

    def owner_of(self, row: Wanted, person: int | None, device_tags: Iterable[str]) -> Owner | None:
        """Whom the device of a row belongs to from now on; None: to nobody who is known.

        `person` has the device until now; nobody has it who is known: its own tags go along.
        Raises RowFault with nothing changed.
        """
        attached = self.by_pk[person] if person is not None else None
        target = self._target(row, attached)
        if target is None:
            return None
        new = [key for key in row.identities if key not in self.by_identity]
        left = attached if attached is not target and attached and attached.anonymous else None
        tags = {*target.tags, *row.tags, *(left.tags if left else ())}
        if attached is None:
            tags.update(device_tags)
        values = {**left.attributes, **target.attributes} if left else target.attributes
        _check_limits(target, new, tags, values)
        self._keep(target, new)
        if left is not None and left.pk is not None:
            self._left.add(left.pk)
        target.put(tags=sorted(tags), attributes=values, **row.person)
        if row.identities:
            target.put(kind=Person.Kind.CUSTOMER)
        return target

    def put(self, row: WantedPerson) -> None:
        """The person of a row as it says. Raises RowFault with nothing changed."""
        target = self._target(row, None) or Owner()
        new = [key for key in row.identities if key not in self.by_identity]
        tags = {*target.tags, *row.tags}
        values = {**target.attributes, **row.attributes}
        _check_limits(target, new, tags, values)
        self._keep(target, new)
        target.given.update(row.attributes)
        said = {"kind": Person.Kind.CUSTOMER, **row.person} if target.pk is None else row.person
        target.put(tags=sorted(tags), attributes=values, **said)

    def _keep(self, target: Owner, new: Iterable[Key]) -> None:
        """Somebody whom the file names, and by what they are known from now on."""
        if target.pk is None:
            self._fresh.setdefault(target)
        for key in new:
            self.by_identity[key] = target
            self._joined.append((key, target))
            target.know(key)

    @property
    def made(self) -> int:
        return len(self._fresh)

    @property
    def changed(self) -> int:
        """People who were known and are different now."""
        joined = {owner.pk for _, owner in self._joined}
        return sum(owner.differs or owner.pk in joined for owner in self.by_pk.values())

    def _target(self, row: Wanted | WantedPerson, attached: Owner | None) -> Owner | None:
        if not row.identities:
            return attached or (Owner() if row.person else None)
        own = dict(row.identities).get(Kind.EXTERNAL_ID, "")
        found = {self.by_identity[key] for key in row.identities if key in self.by_identity}
        if len(found) > 1:
            raise RowFault("external_id", "These identities belong to different people.")
        for owner in found:
            if own and owner.external_id not in ("", own):
                raise RowFault("external_id", "Phone or e-mail belong to another external ID.")
            return owner
        if attached is not None and not (own and attached.external_id):
            return attached
        return Owner()  # somebody new; with another external id, the device has changed hands

    def write(self) -> None:
        """Write who is new or differs; afterwards every owner has a key."""
        now = timezone.now()
        keys = csv_sql.draw_keys("devices_person", len(self._fresh))
        for owner, pk in zip(self._fresh, keys, strict=True):
            owner.pk = pk
        csv_sql.copy(
            "devices_person",
            f"id {' '.join(_PERSON)} attributes origin changed_from created_at changed_at",
            [
                (
                    o.pk, *(getattr(o, name) for name in _PERSON), json.dumps(o.attributes),
                    Person.Source.PORTAL, Person.Source.PORTAL, now, now,
                )
                for o in self._fresh
            ],
        )  # fmt: skip
        changed = [
            {
                "id": o.pk,
                **dict(zip((*_PERSON, "attributes"), o.said(), strict=True)),
                "given": o.given,
            }
            for o in self.by_pk.values()
            if o.differs
        ]
        if changed:
            sql = csv_sql.update(
                "devices_person",
                "id",
                _PERSON,
                more=_CHANGED,
                beside={"attributes": "jsonb", "given": "jsonb"},
            )
            with connection.cursor() as cursor:
                cursor.execute(sql, [json.dumps(changed, default=str)])

    def settle(self) -> None:
        """After the devices: copy tags to the others of their owners, write identities, and
        delete who was anonymous and has no device any more."""
        changed = [owner.pk for owner in self.by_pk.values() if owner.differs]
        if changed:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE devices_registration r SET person_tags = p.tags FROM devices_person p"
                    " WHERE p.id = r.person_id AND p.id = ANY(%s) AND r.person_tags <> p.tags",
                    [changed],
                )
        csv_sql.copy(
            "devices_identity",
            "kind value person_id",
            sorted((kind, value, owner.pk) for (kind, value), owner in self._joined),
        )
        if self._left:
            nobody = Person.objects.filter(pk__in=self._left, identities=None)
            nobody.exclude(
                pk__in=Registration.objects.filter(person__in=self._left).values("person")
            ).delete()


def _check_limits(
    target: Owner, new: Collection[Key], tags: Collection[str], values: Collection[str]
) -> None:
    added = Counter(kind for kind, _ in new)
    for kind, (column, name) in _CONTACTS.items():
        if target.contacts[kind] + added[kind] > MOST_CONTACTS:
            raise RowFault(column, f"A person has at most {MOST_CONTACTS} {name}.")
    if len(tags) > MOST_TAGS:
        raise RowFault("tags", f"A person has at most {MOST_TAGS} tags.")
    if len(values) > attributes.MOST:
        raise RowFault("", f"A person has at most {attributes.MOST} attributes.")
