"""devices.personalizing: which person a device belongs to. Source: contract/people.md 5.1."""

from typing import Any

import pytest

from devices import personalizing
from devices.errors import (
    AlreadyPersonalizedError,
    ContactLimitError,
    DeviceError,
    EmailError,
    ExternalIdError,
    IdentityTakenError,
    NoIdentityError,
    PhoneError,
    SeveralPeopleError,
    TagError,
    UnknownRegistrationError,
)
from devices.models import Identity, Person, Registration
from devices.personalizing import Identities
from tests.devices.owners import ANNA, SYSTEM, depersonalize, known_by, owner_of, personalize
from tests.factories import make_application, make_person, make_registration

pytestmark = pytest.mark.django_db


# ------------------------------------------------------------------- nobody has the identity


def test_a_device_of_nobody_gets_a_new_person() -> None:
    device = make_registration(make_application())

    person = personalize(device, **ANNA)

    assert owner_of(device) == person
    assert person.kind == Person.Kind.CUSTOMER
    assert known_by(person) == ["anna", "79810000000", "anna@example.com"]


def test_an_anonymous_person_gets_the_identity() -> None:
    person = make_person(first_name="Anna", tags=["Pizza"])
    device = make_registration(make_application(), person=person, person_tags=["Pizza"])

    assert personalize(device, external_id="anna") == person
    assert known_by(person) == ["anna"]
    assert Person.objects.get().first_name == "Anna"


def test_the_device_of_another_person_is_not_taken_for_a_new_one() -> None:
    person = make_person(external_id="boris")
    device = make_registration(make_application(), person=person)

    with pytest.raises(AlreadyPersonalizedError):
        personalize(device, external_id="anna")

    assert Person.objects.get() == person
    assert owner_of(device) == person


def test_force_takes_it_for_a_new_one() -> None:
    boris = make_person(external_id="boris", tags=["Pizza"])
    device = make_registration(
        make_application(), person=boris, primary=True, person_tags=["Pizza"]
    )

    anna = personalize(device, external_id="anna", force=True)

    device.refresh_from_db()
    assert (device.person, device.primary, device.person_tags) == (anna, False, [])
    assert known_by(boris) == ["boris"]


# ------------------------------------------------------------------- one person has it


def test_an_anonymous_device_moves_to_the_person_and_adds_what_they_lack() -> None:
    anna = make_person(external_id="anna", tags=["Sports"])
    device = make_registration(make_application())

    assert personalize(device, **ANNA) == anna

    assert known_by(anna) == ["anna", "79810000000", "anna@example.com"]
    assert Registration.objects.get().person_tags == ["Sports"]


def test_an_anonymous_person_leaves_tags_and_attributes_that_are_missing() -> None:
    anna = make_person(external_id="anna", tags=["Sports"], attributes={"size": 9})
    left = make_person(tags=["Pizza"], attributes={"size": 8, "club": "Gold"}, first_name="Ann")
    device = make_registration(make_application(), person=left, person_tags=["Pizza"])
    other = make_registration(make_application(), person=anna, person_tags=["Sports"])

    personalize(device, external_id="anna")

    anna.refresh_from_db()
    assert (anna.tags, anna.attributes) == (["Pizza", "Sports"], {"size": 9, "club": "Gold"})
    assert anna.first_name == ""
    assert not Person.objects.filter(pk=left.pk).exists()
    for each in (device, other):
        each.refresh_from_db()
        assert each.person_tags == ["Pizza", "Sports"]


def test_an_anonymous_person_with_another_device_stays() -> None:
    make_person(external_id="anna")
    left, application = make_person(tags=["Pizza"]), make_application()
    device, other = (make_registration(application, person=left) for _ in range(2))

    personalize(device, external_id="anna")

    assert owner_of(other) == left


def test_a_device_that_is_there_already_adds_what_is_missing() -> None:
    anna = make_person(phone="79810000000")
    device = make_registration(make_application(), person=anna)

    assert personalize(device, **ANNA) == anna
    assert known_by(anna) == ["anna", "79810000000", "anna@example.com"]


def test_the_device_of_another_person_moves_by_force_alone() -> None:
    anna, boris = make_person(external_id="anna"), make_person(external_id="boris")
    device = make_registration(make_application(), person=boris, primary=True)

    with pytest.raises(AlreadyPersonalizedError):
        personalize(device, external_id="anna")
    assert owner_of(device) == boris

    assert personalize(device, external_id="anna", force=True) == anna
    device.refresh_from_db()
    assert (device.person, device.primary) == (anna, False)
    assert Person.objects.filter(pk=boris.pk).exists()


def test_another_external_id_is_a_conflict() -> None:
    make_person(external_id="anna", phone="79810000000")
    device = make_registration(make_application())

    with pytest.raises(IdentityTakenError):
        personalize(device, external_id="another", phones=["79810000000"])

    assert owner_of(device) is None
    assert Identity.objects.count() == 2


# ------------------------------------------------------------------- several people have it


@pytest.mark.parametrize("force", [False, True])
def test_identities_of_two_people_are_refused_even_by_force(force: bool) -> None:
    anna = make_person(external_id="anna")
    make_person(phone="79810000000")
    device = make_registration(make_application(), person=anna)

    with pytest.raises(SeveralPeopleError):
        personalize(device, **ANNA, force=force)

    assert owner_of(device) == anna
    assert Identity.objects.count() == 2


def test_devices_with_the_same_phone_end_at_one_person() -> None:
    first, second = (make_registration(make_application()) for _ in range(2))

    assert personalize(first, phones=["+79810000000"]) == personalize(
        second, phones=["79810000000"], emails=["anna@example.com"]
    )


# ------------------------------------------------------------------- what is asked for beside it


def test_a_lead_may_stay_one() -> None:
    device = make_registration(make_application())

    assert personalize(device, external_id="anna", keep_as_lead=True).kind == Person.Kind.LEAD
    assert personalize(device, external_id="anna").kind == Person.Kind.CUSTOMER
    assert personalize(device, external_id="anna", keep_as_lead=True).kind == Person.Kind.CUSTOMER


def test_the_device_becomes_primary_if_asked() -> None:
    application, anna = make_application(), make_person(external_id="anna")
    first = make_registration(application, person=anna, primary=True)
    elsewhere = make_registration(make_application(), person=anna, primary=True)
    device = make_registration(application)

    personalize(device, external_id="anna", primary=True)

    assert set(Registration.objects.filter(primary=True)) == {device, elsewhere}
    assert not Registration.objects.get(pk=first.pk).primary


def test_a_primary_anonymous_device_yields_to_the_one_there_is() -> None:
    application, anna = make_application(), make_person(external_id="anna")
    first = make_registration(application, person=anna, primary=True)
    device = make_registration(application, primary=True)

    personalize(device, external_id="anna")

    assert list(Registration.objects.filter(primary=True)) == [first]


def test_attributes_replace_and_tags_are_added_on_every_device() -> None:
    anna = make_person(
        external_id="anna", first_name="A", last_name="Doe", tags=["Sports"],
        attributes={"size": 9, "club": "Gold"},
    )  # fmt: skip
    application = make_application()
    other = make_registration(application, person=anna, person_tags=["Sports"])

    personalize(
        make_registration(application),
        external_id="anna",
        attributes={
            "first_name": "Anna", "last_name": "", "tags": ["Pizza"],
            "attributes": {"club": None, "since": "2024-01-01"},
        },
    )  # fmt: skip

    anna.refresh_from_db()
    other.refresh_from_db()
    assert (anna.first_name, anna.last_name, anna.tags) == ("Anna", "", ["Pizza", "Sports"])
    assert anna.attributes == {"size": 9, "since": "2024-01-01"}
    assert other.person_tags == ["Pizza", "Sports"]


# ------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("identities", "error"),
    [
        ({}, NoIdentityError),
        ({"external_id": "NuLl"}, NoIdentityError),
        ({"external_id": "x" * 257}, ExternalIdError),
        ({"external_id": "a\0"}, ExternalIdError),
        ({"phones": ["0123456"]}, PhoneError),
        ({"phones": ["1234"]}, PhoneError),
        ({"phones": ["1234567890123456"]}, PhoneError),
        ({"phones": ["٣٤٥٦٧٨٩"]}, PhoneError),
        ({"phones": [""]}, PhoneError),
        ({"emails": ["anna"]}, EmailError),
        ({"emails": ["a@" + "x" * 255 + ".com"]}, EmailError),
        ({"emails": ["a\0@example.com"]}, EmailError),
    ],
)
def test_an_identity_that_is_none_is_refused(
    identities: dict[str, Any], error: type[DeviceError]
) -> None:
    device = make_registration(make_application())

    with pytest.raises(error):
        personalize(device, **identities)

    assert not Person.objects.exists()


@pytest.mark.parametrize("tag", ["", "x" * 257, "a\0"])
def test_a_tag_that_cannot_be_kept_is_refused(tag: str) -> None:
    device = make_registration(make_application())

    with pytest.raises(TagError):
        personalize(device, external_id="anna", attributes={"tags": [tag]})

    assert not Person.objects.exists()


def test_a_person_has_at_most_100_phones() -> None:
    device = make_registration(make_application())
    numbers = [str(79810000000 + number) for number in range(100)]
    anna = personalize(device, phones=numbers)

    with pytest.raises(ContactLimitError):
        personalize(device, phones=[numbers[0], "12345"])

    assert len(known_by(anna)) == 100


def test_a_device_of_another_application_is_not_found() -> None:
    device, other = make_registration(make_application()), make_application()

    with pytest.raises(UnknownRegistrationError):
        personalizing.depersonalize(other, device.address.public_id, SYSTEM)
    with pytest.raises(UnknownRegistrationError):
        personalizing.personalize(
            other, device.address.public_id, Identities.of(external_id="anna"), SYSTEM
        )


# ------------------------------------------------------------------- parting


def test_a_device_leaves_its_person_and_keeps_what_is_its_own() -> None:
    anna = make_person(external_id="anna", tags=["Pizza"])
    device = make_registration(
        make_application(), person=anna, primary=True, person_tags=["Pizza"], attributes={"a": 1}
    )

    assert depersonalize(device)
    assert not depersonalize(device)

    device.refresh_from_db()
    assert (device.person, device.primary, device.person_tags) == (None, False, [])
    assert device.attributes == {"a": 1}
    assert known_by(anna) == ["anna"]


def test_an_anonymous_person_is_not_parted_from() -> None:
    left = make_person(tags=["Pizza"])
    device = make_registration(make_application(), person=left, primary=True)

    assert not depersonalize(device)
    assert owner_of(device) == left
