"""A locked person: what is known of them, what changes, and what the audit trail says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

from devices import attributes, audit, normalizing
from devices.attributes import JSON
from devices.audit import Author
from devices.errors import ContactLimitError, IdentityTakenError, TagError
from devices.models import Identity, Person
from devices.personalizing.copies import copy_tags
from devices.unsaid import UNSAID, Said, Unsaid

Key: TypeAlias = tuple[int, str]  # kind and value of an identity
Kind = Identity.Kind

MOST_CONTACTS = 100  # phones of one person, and e-mails
MOST_TAGS = 500
TAG_LENGTH = 256  # characters
_CONTACTS = {Kind.PHONE: "phones", Kind.EMAIL: "emails"}


@dataclass(frozen=True, slots=True)
class Identities:
    """By what a person is known, in the one spelling that is stored."""

    keys: frozenset[Key] = frozenset()

    @classmethod
    def of(
        cls, *, external_id: str = "", phones: Iterable[str] = (), emails: Iterable[str] = ()
    ) -> "Identities":
        """Raises ExternalIdError, PhoneError and EmailError for what is none."""
        external_id = normalizing.external_id(external_id)
        keys: set[Key] = {(Kind.EXTERNAL_ID, external_id)} if external_id else set()
        keys.update((Kind.PHONE, normalizing.phone(each)) for each in phones)
        keys.update((Kind.EMAIL, normalizing.email(each)) for each in emails)
        return cls(frozenset(keys))

    def __bool__(self) -> bool:
        return bool(self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What somebody says of a person; members they do not speak of are UNSAID.

    Identities are given in the stored spelling (devices.normalizing). With `adding`, tags and
    contacts are added to those there are; otherwise the lists take their place.
    """

    external_id: Said[str] = UNSAID  # "": none any more
    phones: Said[Sequence[str]] = UNSAID
    emails: Said[Sequence[str]] = UNSAID
    first_name: Said[str] = UNSAID
    last_name: Said[str] = UNSAID
    middle_name: Said[str] = UNSAID
    gender: Said[Person.Gender] = UNSAID
    birthday: Said[date | None] = UNSAID
    address: Said[str] = UNSAID
    city: Said[str] = UNSAID
    country: Said[str] = UNSAID
    preferred_language: Said[str] = UNSAID
    profile_picture: Said[str] = UNSAID
    kind: Said[Person.Kind] = UNSAID
    tags: Said[Sequence[str]] = UNSAID
    attributes: Said[Mapping[str, JSON] | None] = UNSAID  # merged; None: all go
    adding: bool = False

    def check(self) -> None:
        """See that it can be kept. Raises TagError and CustomAttributeError.

        Outside the transaction, so that a type is learned once and nobody waits for it.
        """
        if not isinstance(self.tags, Unsaid):
            for tag in self.tags:
                if not 1 <= len(tag) <= TAG_LENGTH or "\0" in tag:
                    raise TagError(f"a string of 1 to {TAG_LENGTH} characters")
        if self.attributes and not isinstance(self.attributes, Unsaid):
            attributes.check(None, self.attributes)


PLAIN = (
    "first_name",
    "last_name",
    "middle_name",
    "gender",
    "birthday",
    "address",
    "city",
    "country",
    "preferred_language",
    "profile_picture",
    "kind",
)
_WRITTEN = (*PLAIN, "tags", "attributes")


class Portrait:
    """A person whose row is locked, with their identities, until `save` writes what changed."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.keys: set[Key] = {(each.kind, each.value) for each in person.identities.all()}
        self._stored = set(self.keys)
        self._before = self.state()

    @property
    def anonymous(self) -> bool:
        return not self.keys

    def add(self, identities: Identities) -> None:
        """Add what is missing. Raises IdentityTakenError where the external id is another."""
        mine = self._of_kind(Kind.EXTERNAL_ID)
        for kind, value in identities.keys:
            if kind == Kind.EXTERNAL_ID and mine - {value}:
                raise IdentityTakenError(kind)
        self.keys |= identities.keys
        self._check_limits()

    def describe(self, said: Described) -> None:
        """Put what is said in the place of what was known."""
        self._put_identities(said)
        for name in PLAIN:
            if (value := getattr(said, name)) is not UNSAID:
                setattr(self.person, name, value)
        if not isinstance(said.tags, Unsaid):
            self.put_tags({*said.tags, *self.person.tags} if said.adding else said.tags)
        if not isinstance(said.attributes, Unsaid):
            self.person.attributes = attributes.merged(
                self.person.attributes, said.attributes, owner="person"
            )

    def put_tags(self, tags: Iterable[str]) -> None:
        after = sorted(set(tags))
        if len(after) > MOST_TAGS:
            raise TagError(f"one of at most {MOST_TAGS} tags of a person")
        self.person.tags = after

    def fill_gaps(self, tags: Iterable[str], values: Mapping[str, JSON]) -> None:
        """Take over what an anonymous person leaves; what is known already stays."""
        self.put_tags({*self.person.tags, *tags})
        self.person.attributes = attributes.merged(values, self.person.attributes, owner="person")

    def save(self, author: Author) -> None:
        """Write what changed. May break the constraints of identities: then a race was lost."""
        if self._stored and not self.keys:
            self.person.kind = Person.Kind.LEAD
        for kind, value in sorted(self._stored - self.keys):
            self.person.identities.filter(kind=kind, value=value).delete()
        for kind, value in sorted(self.keys - self._stored):
            Identity.objects.create(kind=kind, value=value, person=self.person)
        self._stored = set(self.keys)
        after = self.state()
        changed = [name for name, value in after.items() if value != self._before[name]]
        if not changed:
            return
        self.person.changed_from = author.source
        self.person.save(update_fields=[*_WRITTEN, "changed_from", "changed_at"])
        if "tags" in changed:
            copy_tags(self.person)
        audit.note(
            author,
            "change person",
            self.person,
            before={name: self._before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
        self._before = after

    def known(self) -> dict[str, Any]:
        """Everything there is, for the audit trail."""
        return {name: value for name, value in self.state().items() if value}

    def _put_identities(self, said: Described) -> None:
        if not isinstance(said.external_id, Unsaid):
            self._put(Kind.EXTERNAL_ID, [said.external_id] if said.external_id else [])
        for kind, values in ((Kind.PHONE, said.phones), (Kind.EMAIL, said.emails)):
            if not isinstance(values, Unsaid):
                kept = self._of_kind(kind) if said.adding else set()
                self._put(kind, {*values, *kept})
        self._check_limits()

    def _put(self, kind: Kind, values: Iterable[str]) -> None:
        others = {key for key in self.keys if key[0] != kind}
        self.keys = others | {(int(kind), value) for value in values}

    def _of_kind(self, kind: int) -> set[str]:
        return {value for each, value in self.keys if each == kind}

    def _check_limits(self) -> None:
        for kind, name in _CONTACTS.items():
            if len(self._of_kind(kind)) > MOST_CONTACTS:
                raise ContactLimitError(name, MOST_CONTACTS)

    def state(self) -> dict[str, Any]:
        """Everything that the audit trail compares."""
        person = self.person
        return {
            **{name: getattr(person, name) for name in PLAIN if name != "birthday"},
            "birthday": person.birthday.isoformat() if person.birthday else None,
            "tags": list(person.tags),
            "attributes": dict(person.attributes),
            "external_id": min(self._of_kind(Kind.EXTERNAL_ID), default=""),
            "phones": sorted(self._of_kind(Kind.PHONE)),
            "emails": sorted(self._of_kind(Kind.EMAIL)),
        }
