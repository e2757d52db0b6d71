"""Which person a device belongs to. Source: contract/people.md 5.1."""

import uuid
from dataclasses import dataclass
from functools import partial

from devices import audit
from devices.audit import Author
from devices.errors import (
    AlreadyPersonalizedError,
    NoIdentityError,
    SeveralPeopleError,
)
from devices.models import Application, Person, Registration
from devices.personalizing.copies import check_same_person, primary_of, yield_primary
from devices.personalizing.locking import RULES, Held, hold
from devices.personalizing.portrait import Described, Identities, Portrait
from devices.racing import until_settled

NOTHING = Described(adding=True)

# actions of the audit trail
PERSONALIZE, DEPERSONALIZE, UNDO = "personalize device", "depersonalize device", "undo device move"
MERGE, PART = "merge person", "part from device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How far personalizing may go."""

    force: bool = False  # part the device from another person first
    keep_as_lead: bool = False  # a LEAD does not become a CUSTOMER
    primary: bool = False  # the device becomes its person's primary one


def personalize(
    application: Application,
    public_id: uuid.UUID,
    identities: Identities,
    author: Author,
    *,
    described: Described = NOTHING,
    choice: Choice | None = None,
) -> Person:
    """Join a device to the person with these identities, who is made if there is none.

    An anonymous person becomes that person, or leaves them tags and attributes they lack.
    Repeating it changes nothing. Raises NoIdentityError, AlreadyPersonalizedError,
    SeveralPeopleError, IdentityTakenError, ContactLimitError, UnknownRegistrationError, and
    what Described.check raises, with nothing written.
    """
    if not identities:
        raise NoIdentityError("An external id, a phone or an e-mail should be given")
    described.check()
    step = partial(
        _personalize, application, public_id, identities, author, described, choice or Choice()
    )
    return until_settled(step, rules=RULES)


def _personalize(
    application: Application,
    public_id: uuid.UUID,
    identities: Identities,
    author: Author,
    described: Described,
    choice: Choice,
) -> Person:
    held = hold(application, public_id, identities.keys)
    registration, before = held.registration, state_of(held.registration)
    target = _target(held, identities, choice, author)
    target.add(identities)
    if not choice.keep_as_lead:
        target.person.kind = Person.Kind.CUSTOMER
    target.describe(described)
    if registration.person_id != target.person.pk:
        _move(held, target)
    if choice.primary and not registration.primary:
        yield_primary(registration)
        registration.primary = True
    target.save(author)
    registration.person_tags = target.person.tags
    save_owner(registration, before, author, PERSONALIZE, left=held.owner)
    forget(held.owner, target, author)
    return target.person


def _target(held: Held, identities: Identities, choice: Choice, author: Author) -> Portrait:
    """The person it will belong to. The one who has the identities, else the device's own."""
    if len(held.found) > 1:
        raise SeveralPeopleError("These identities belong to several people")
    owner, found = held.owner, held.found[0] if held.found else None
    if found is not None:
        found.add(identities)  # a refusal about this person comes before one about the device
        if owner is not None and found.person.pk == owner.person.pk:
            return owner
    if owner is not None and not owner.anonymous and not choice.force:
        raise AlreadyPersonalizedError("The device belongs to another person")
    if found is not None:
        return found
    if owner is not None and owner.anonymous:
        return owner
    return make(author)


def make(author: Author) -> Portrait:
    """A new anonymous person."""
    person = Person.objects.create(origin=author.source, changed_from=author.source)
    audit.note(author, "create person", person)
    return Portrait(person)


def _move(held: Held, target: Portrait) -> None:
    """Put a device to a person; an anonymous one's tags and attributes fill the gaps."""
    registration, owner = held.registration, held.owner
    if owner is None:
        target.fill_gaps(registration.person_tags, {})
    elif owner.anonymous:
        target.fill_gaps(owner.person.tags, owner.person.attributes)
    else:
        registration.primary = False  # it was the other person's
    registration.person = target.person
    if registration.primary and primary_of(registration) is not None:
        registration.primary = False


def forget(left: Portrait | None, target: Portrait | None, author: Author) -> None:
    """Delete an anonymous person who has no device any more."""
    if left is None or not left.anonymous or left is target:
        return
    if Registration.objects.filter(person=left.person).exists():
        return
    audit.note(
        author,
        MERGE,
        left.person,
        before=left.known(),
        after={"merged_into": target.person.pk if target is not None else None},
    )
    left.person.delete()


def depersonalize(
    application: Application,
    public_id: uuid.UUID,
    author: Author,
    *,
    caller: uuid.UUID | None = None,
) -> bool:
    """Part a device from its person, who stays; False for one that is anonymous already.

    What is known of the device stays with it; it is nobody's primary device any more. Another
    device (`caller`) may ask for it when both belong to the same person.
    Raises UnknownRegistrationError.
    """
    step = partial(_depersonalize, application, public_id, author, caller)
    return until_settled(step, rules=RULES)


def _depersonalize(
    application: Application, public_id: uuid.UUID, author: Author, caller: uuid.UUID | None
) -> bool:
    held = hold(application, public_id)
    if caller is not None and caller != public_id:
        check_same_person(held.registration, caller)
    if held.owner is None or held.owner.anonymous:
        return False
    registration, before = held.registration, state_of(held.registration)
    registration.person = None
    registration.person_tags = []
    registration.primary = False
    save_owner(registration, before, author, DEPERSONALIZE, left=held.owner)
    return True


def state_of(registration: Registration) -> dict[str, object]:
    return {
        "person": registration.person_id,
        "primary": registration.primary,
        "person_tags": list(registration.person_tags),
    }


def save_owner(
    registration: Registration,
    before: dict[str, object],
    author: Author,
    action: str,
    *,
    left: Portrait | None,
) -> None:
    """Write to whom a device belongs; the trail of the person it leaves says so, too."""
    after = state_of(registration)
    changed = [name for name, value in after.items() if value != before[name]]
    if not changed:
        return
    registration.save(update_fields=["person", "primary", "person_tags"])
    if changed == ["person_tags"]:
        return
    audit.note(
        author,
        action,
        registration,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    if left is not None and not left.anonymous and left.person.pk != registration.person_id:
        known = {"registration": registration.pk, "device": str(registration)}
        application = registration.application
        audit.note(author, PART, left.person, before=known, application=application)
