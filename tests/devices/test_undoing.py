"""devices.personalizing: what a move would do, and taking it back."""

from typing import Any

import pytest

from devices import personalizing
from devices.audit import Author
from devices.errors import (
    IdentityTakenError,
    NoIdentityError,
    NothingToUndoError,
    SeveralPeopleError,
)
from devices.models import AuditEntry, Person, Registration
from devices.personalizing import Choice, Identities, Preview
from tests.factories import make_application, make_person, make_registration

pytestmark = pytest.mark.django_db

SUPPORT = Author("support")
FORCE = Choice(force=True)


def move(device: Registration, **identities: Any) -> Person:
    return personalizing.personalize(
        device.application,
        device.address.public_id,
        Identities.of(**identities),
        SUPPORT,
        choice=FORCE,
    )


def last_move(device: Registration) -> AuditEntry:
    entries = AuditEntry.objects.filter(object_type="registration", object_id=str(device.pk))
    entry = entries.order_by("-pk").first()
    assert entry is not None
    return entry


def undo(device: Registration, entry: AuditEntry | None = None) -> Registration:
    return personalizing.undo(
        device.application, device.address.public_id, entry or last_move(device), SUPPORT
    )


def preview(device: Registration, **identities: Any) -> Preview:
    device.refresh_from_db()
    return personalizing.preview(device, Identities.of(**identities), FORCE)


# ------------------------------------------------------------------- taking a move back


def test_a_device_goes_back_to_whom_it_belonged_and_is_primary_again() -> None:
    make_person(external_id="anna", tags=["Pizza"])
    boris = make_person(external_id="boris", tags=["Sports"])
    application = make_application()
    device = make_registration(application, person=boris, primary=True, person_tags=["Sports"])
    other = make_registration(application, person=boris, person_tags=["Sports"])
    move(device, external_id="anna")
    personalizing.personalize(
        application, other.address.public_id, Identities.of(external_id="boris"), SUPPORT,
        choice=Choice(primary=True),
    )  # fmt: skip

    undone = undo(device)

    undone.refresh_from_db()
    assert (undone.person, undone.primary, undone.person_tags) == (boris, True, ["Sports"])
    other.refresh_from_db()
    assert not other.primary


def test_a_parted_device_goes_back() -> None:
    anna = make_person(external_id="anna")
    device = make_registration(make_application(), person=anna)
    personalizing.depersonalize(device.application, device.address.public_id, SUPPORT)

    assert undo(device).person == anna


def test_a_device_of_nobody_is_anonymous_again() -> None:
    device = make_registration(make_application())
    anna = move(device, external_id="anna")

    assert undo(device).person is None
    assert Person.objects.get() == anna  # whom somebody else may have learned of since


def test_an_anonymous_person_who_was_merged_away_is_made_again() -> None:
    make_person(external_id="anna")
    left = make_person(first_name="Ann", birthday="1990-01-02", tags=["Pizza"], attributes={"a": 1})
    device = make_registration(make_application(), person=left, person_tags=["Pizza"])
    move(device, external_id="anna")
    assert not Person.objects.filter(pk=left.pk).exists()

    again = undo(device).person

    assert again is not None
    again.refresh_from_db()
    assert (again.first_name, again.tags, again.attributes) == ("Ann", ["Pizza"], {"a": 1})
    assert again.birthday is not None
    assert again.birthday.isoformat() == "1990-01-02"
    assert not again.identities.exists()
    assert Registration.objects.get().person_tags == ["Pizza"]


def test_what_was_undone_can_be_undone() -> None:
    anna, boris = make_person(external_id="anna"), make_person(external_id="boris")
    device = make_registration(make_application(), person=boris)
    move(device, external_id="anna")

    assert undo(device).person == boris
    assert undo(device).person == anna


def test_a_move_that_another_followed_cannot_be_undone() -> None:
    for name in ("anna", "boris", "chloe"):
        make_person(external_id=name)
    device = make_registration(make_application())
    move(device, external_id="anna")
    first = last_move(device)
    chloe = move(device, external_id="chloe")

    with pytest.raises(NothingToUndoError):
        undo(device, first)

    device.refresh_from_db()
    assert device.person == chloe


def test_an_entry_of_another_device_cannot_be_undone() -> None:
    application, anna = make_application(), make_person(external_id="anna")
    device, other = (make_registration(application) for _ in range(2))
    for each in (device, other):
        move(each, external_id="anna")

    with pytest.raises(NothingToUndoError):
        undo(other, last_move(device))

    other.refresh_from_db()
    assert other.person == anna


def test_both_people_remember_a_move() -> None:
    anna, boris = make_person(external_id="anna"), make_person(external_id="boris")
    device = make_registration(make_application(), person=boris)
    move(device, external_id="anna")

    entry = AuditEntry.objects.get(object_type="person", object_id=str(boris.pk))
    assert (entry.action, entry.before) == (
        "part from device", {"registration": device.pk, "device": str(device)},
    )  # fmt: skip
    assert last_move(device).after == {"person": anna.pk}


# ------------------------------------------------------------------- what a move would do


def test_a_preview_tells_both_sides_and_writes_nothing() -> None:
    anna = make_person(external_id="anna", tags=["Pizza"], attributes={"size": 9})
    left = make_person(tags=["Pizza", "Sports"], attributes={"size": 8, "club": "Gold"})
    device = make_registration(make_application(), person=left, primary=True)
    make_registration(device.application, person=anna, primary=True)
    entries = AuditEntry.objects.count()

    seen = preview(device, external_id="anna", phones=["12345"])

    assert seen.owner is not None
    assert seen.owner.person == left
    assert [each.person for each in seen.found] == [anna]
    assert (seen.gained, seen.tags, seen.attributes) == (["12345"], ["Sports"], ["club"])
    assert (seen.merges, seen.loses_primary, seen.stays, seen.named) == (True, True, False, False)
    assert AuditEntry.objects.count() == entries
    move(device, external_id="anna", phones=["12345"])
    anna.refresh_from_db()
    assert (anna.tags, anna.attributes) == (["Pizza", "Sports"], {"size": 9, "club": "Gold"})
    device.refresh_from_db()
    assert not device.primary


def test_a_preview_knows_who_stays_and_who_gets_a_name() -> None:
    anna = make_person(external_id="anna")
    device = make_registration(make_application(), person=anna, primary=True)
    nobodys = make_registration(make_application(), primary=True)

    stays = preview(device, external_id="anna")
    named = preview(nobodys, external_id="boris")

    assert (stays.stays, stays.loses_primary, stays.gained) == (True, False, [])
    assert (named.named, named.loses_primary, named.gained) == (True, False, ["boris"])


def test_a_preview_shows_the_sides_of_a_conflict() -> None:
    anna = make_person(external_id="anna")
    boris = make_person(external_id="boris", phone="12345")
    device = make_registration(make_application())

    several = preview(device, external_id="anna", phones=["12345"])
    taken = preview(device, external_id="chloe", phones=["12345"])

    assert isinstance(several.refusal, SeveralPeopleError)
    assert [each.person for each in several.found] == [anna, boris]
    assert isinstance(taken.refusal, IdentityTakenError)
    with pytest.raises(NoIdentityError):
        preview(device)
