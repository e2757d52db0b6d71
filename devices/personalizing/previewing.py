"""What personalizing would do, before anybody does it."""

from dataclasses import dataclass, field

from devices.errors import NoIdentityError, PersonError, SeveralPeopleError
from devices.models import Identity, Person, Registration
from devices.personalizing.attaching import Choice
from devices.personalizing.copies import primary_of
from devices.personalizing.locking import people_with
from devices.personalizing.portrait import Identities, Portrait


@dataclass(slots=True)
class Side:
    """A person, by what they are known, and how many devices they have."""

    person: Person
    identities: list[Identity]
    devices: int  # of every application

    @property
    def anonymous(self) -> bool:
        return not self.identities


@dataclass(slots=True)
class Preview:
    """What becomes of a device and of two people; nothing is locked, so it may be overtaken."""

    owner: Side | None  # whose it is now; None: nothing is known of them
    found: list[Side]  # who has one of the identities
    refusal: PersonError | None = None
    gained: list[str] = field(default_factory=list)  # identities that the person gets
    tags: list[str] = field(default_factory=list)  # that the merged person leaves them
    attributes: list[str] = field(default_factory=list)
    merges: bool = False  # the anonymous person is deleted
    loses_primary: bool = False

    @property
    def stays(self) -> bool:
        """The device belongs to that person already."""
        return (
            self.owner is not None
            and len(self.found) == 1
            and self.found[0].person.pk == self.owner.person.pk
        )

    @property
    def named(self) -> bool:
        """Nobody has the identities, so the anonymous person gets them."""
        return not self.found and (self.owner is None or self.owner.anonymous)


def preview(registration: Registration, identities: Identities, choice: Choice) -> Preview:
    """What `personalize` would do now. Raises NoIdentityError."""
    if not identities:
        raise NoIdentityError("An external id, a phone or an e-mail should be given")
    people = Person.objects.filter(pk__in=people_with(identities.keys)).order_by("pk")
    owner = _side(registration.person) if registration.person is not None else None
    seen = Preview(owner, [_side(each) for each in people])
    if len(seen.found) > 1:
        seen.refusal = SeveralPeopleError("These identities belong to several people")
        return seen
    target = Portrait(seen.found[0].person) if seen.found else None
    known = set(target.keys) if target is not None else set()
    seen.gained = [value for _, value in sorted(identities.keys - known)]
    if target is not None:
        try:
            target.add(identities)
        except PersonError as refusal:
            seen.refusal = refusal
            return seen
    if seen.stays or seen.named:
        return seen
    _compare(seen, registration, choice)
    return seen


def _compare(seen: Preview, registration: Registration, choice: Choice) -> None:
    """What the device and the anonymous person lose by the move, and somebody else gains."""
    target = seen.found[0].person if seen.found else None
    if seen.owner is not None and seen.owner.anonymous and target is not None:
        left = seen.owner.person
        seen.merges = seen.owner.devices == 1
        seen.tags = sorted(set(left.tags) - set(target.tags))
        seen.attributes = sorted(set(left.attributes) - set(target.attributes))
    if registration.primary and not choice.primary:
        anonymous = seen.owner is None or seen.owner.anonymous
        other = Registration(
            pk=registration.pk, person=target, application=registration.application
        )
        seen.loses_primary = not anonymous or primary_of(other) is not None


def _side(person: Person) -> Side:
    devices = Registration.objects.filter(person=person).count()
    return Side(person, list(person.identities.all()), devices)
