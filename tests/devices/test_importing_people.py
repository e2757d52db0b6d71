"""Whom imported devices belong to (contract/people.md 5.1, with forceDepersonalize)."""

import pytest

from devices import importing
from devices.models import Application, Identity, ImportRun, Person, Registration
from devices.personalizing.portrait import MOST_CONTACTS, MOST_TAGS
from tests.factories import make_application, make_person

pytestmark = pytest.mark.django_db


def imported(application: Application, text: str | bytes) -> ImportRun:
    content = text.encode() if isinstance(text, str) else text
    run = importing.receive(application, None, "devices.csv", [content[:7], content[7:]])
    finished = importing.run_upload(run.pk)
    assert finished is not None
    return finished


def test_identities_of_two_people_are_refused() -> None:
    application = make_application()
    run = imported(
        application,
        "platform,token,external_id,phone\nAndroid,t-1,u-1,41790000001\n"
        "Android,t-2,u-2,41790000002\nAndroid,t-3,u-1,41790000002\n",
    )
    assert (run.created, run.refused) == (2, 1)
    assert "different people" in run.refusals.get().reason


def test_a_device_with_another_external_id_goes_to_its_new_owner() -> None:
    application = make_application()
    imported(application, "platform,token,external_id\nAndroid,t-1,u-1\n")
    Registration.objects.update(primary=True)
    run = imported(application, "platform,token,external_id\nAndroid,t-1,u-2\n")

    assert (run.status, run.updated, run.refused) == (ImportRun.Status.DONE, 1, 0)
    device = Registration.objects.select_related("person").get()
    assert device.person is not None
    assert device.person.identities.get().value == "u-2"
    assert not device.primary
    assert Identity.objects.filter(value="u-1").exists()


def test_a_new_contact_joins_the_person_the_device_has() -> None:
    application = make_application()
    imported(application, "platform,token,external_id\nAndroid,t-1,u-1\n")
    imported(application, "platform,token,email,first_name\nAndroid,t-1,ana@example.com,Ana\n")

    person = Person.objects.get()
    assert person.first_name == "Ana"
    assert set(person.identities.values_list("value", flat=True)) == {"u-1", "ana@example.com"}


def test_tags_of_a_row_reach_the_person_and_all_their_devices() -> None:
    application = make_application()
    imported(application, "platform,token,external_id\nAndroid,t-1,u-1\nAndroid,t-2,u-1\n")
    imported(application, "platform,token,tags\nAndroid,t-1,vip|new\n")

    assert Person.objects.get().tags == ["new", "vip"]
    assert [d.person_tags for d in Registration.objects.all()] == [["new", "vip"]] * 2


def device(token: str) -> Registration:
    found = Registration.objects.select_related("person").get(address__token=token)
    if found.person is not None:
        assert found.person_tags == found.person.tags
    return found


def test_an_external_id_is_added_to_who_has_the_phone() -> None:
    person = make_person(phone="41793026727", kind=Person.Kind.LEAD)
    run = imported(
        make_application(),
        "platform,token,external_id,phone\nAndroid,t-1,u-1,0041 (79) 302-67.27\n",
    )

    assert run.created == 1
    assert device("t-1").person == person
    person.refresh_from_db()
    assert person.kind == Person.Kind.CUSTOMER
    assert set(person.identities.values_list("value", flat=True)) == {"41793026727", "u-1"}


def test_a_phone_of_another_external_id_is_refused() -> None:
    application = make_application()
    imported(application, "platform,token,external_id,phone\nAndroid,t-1,u-1,41790000001\n")
    run = imported(application, "platform,token,external_id,phone\nAndroid,t-2,u-2,41790000001\n")

    assert (run.status, run.refused) == (ImportRun.Status.DONE, 1)
    assert "another external ID" in run.refusals.get().reason
    assert not Identity.objects.filter(value="u-2").exists()


def test_tags_of_a_device_nobody_owned_go_to_its_owner() -> None:
    application = make_application()
    imported(application, "platform,token,tags\nAndroid,t-1,early\n")
    assert device("t-1").person is None

    imported(application, "platform,token,external_id,tags\nAndroid,t-1,u-1,vip\n")

    assert device("t-1").person_tags == ["early", "vip"]


def test_an_anonymous_person_leaves_tags_and_attributes_to_the_owner_and_goes() -> None:
    application = make_application()
    anonymous = make_person(tags=["early"], attributes={"size": "M", "plan": "free"})
    owner = make_person(external_id="u-1", tags=["vip"], attributes={"plan": "gold"})
    imported(application, "platform,token\nAndroid,t-1\nAndroid,t-2\n")
    Registration.objects.update(person=anonymous, person_tags=["early"])

    imported(application, "platform,token,external_id\nAndroid,t-1,u-1\n")
    owner.refresh_from_db()
    assert device("t-1").person == owner
    assert (owner.tags, owner.attributes) == (["early", "vip"], {"size": "M", "plan": "gold"})
    assert Person.objects.filter(pk=anonymous.pk).exists()  # who has another device

    imported(application, "platform,token,external_id\nAndroid,t-2,u-1\n")
    assert not Person.objects.filter(pk=anonymous.pk).exists()


def test_an_anonymous_person_becomes_who_the_row_names() -> None:
    application = make_application()
    anonymous = make_person(kind=Person.Kind.LEAD)
    imported(application, "platform,token\nAndroid,t-1\n")
    Registration.objects.update(person=anonymous)

    imported(application, "platform,token,external_id\nAndroid,t-1,u-1\n")

    assert device("t-1").person == anonymous
    assert Identity.objects.get().person == anonymous


def test_a_name_without_an_identity_is_kept_with_its_device() -> None:
    text = "platform,token,first_name,tags\nAndroid,t-1,Ana,vip\n"
    application = make_application()
    imported(application, text)
    again = imported(application, text)

    person = device("t-1").person
    assert person is not None
    assert (person.first_name, person.tags, person.kind) == ("Ana", ["vip"], "LEAD")
    assert (again.updated, Person.objects.count()) == (0, 1)


def test_a_device_stays_primary_with_its_first_owner_who_has_no_other() -> None:
    application = make_application()
    imported(application, "platform,token\nAndroid,t-1\nAndroid,t-2\nAndroid,t-3\n")
    Registration.objects.update(primary=True)

    run = imported(
        application,
        "platform,token,external_id\nAndroid,t-1,u-1\nAndroid,t-2,u-1\nAndroid,t-3,u-2\n",
    )

    assert run.updated == 3
    assert [device(token).primary for token in ("t-1", "t-2", "t-3")] == [True, False, True]


def test_a_person_has_so_many_phones_and_no_more() -> None:
    rows = "".join(f"Android,t-{n},u-1,4179{n:07}\n" for n in range(MOST_CONTACTS + 1))
    run = imported(make_application(), f"platform,token,external_id,phone\n{rows}")

    assert (run.created, run.refused) == (MOST_CONTACTS, 1)
    refusal = run.refusals.get()
    assert (refusal.line, refusal.column) == (MOST_CONTACTS + 2, "phone")


def test_a_person_has_so_many_tags_and_no_more() -> None:
    application = make_application()
    make_person(external_id="u-1", tags=[f"tag-{n:03}" for n in range(MOST_TAGS)])
    run = imported(application, "platform,token,external_id,tags\nAndroid,t-1,u-1,more\n")

    assert (run.created, run.refused, run.refusals.get().column) == (0, 1, "tags")


def test_a_copy_that_drifted_from_its_person_is_mended() -> None:
    application = make_application()
    text = "platform,token,external_id,tags\nAndroid,t-1,u-1,vip\n"
    imported(application, text)
    Registration.objects.update(person_tags=["old"])

    imported(application, text)

    assert device("t-1").person_tags == ["vip"]
