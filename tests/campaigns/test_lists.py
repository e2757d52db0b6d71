"""Lists and their pages: who may see and change them, who is on them, what uses them."""

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from campaigns import listing, membership, usage
from campaigns.errors import ListError, ListInUseError, NameTakenError
from campaigns.membership import Members
from campaigns.models import ListMember, Segment, StaticList
from campaigns.targeting import Rule
from devices.audit import Author
from devices.models import Application, AuditEntry, Role
from devices.permissions import RIGHTS, Right
from tests.factories import (
    make_application,
    make_campaign,
    make_person,
    make_registration,
    signed_in,
)

pytestmark = pytest.mark.django_db
SOMEBODY = Author("somebody")


@pytest.fixture
def shop() -> Application:
    return make_application(name="Shop")


def make_list(application: Application, name: str = "Testers") -> StaticList:
    return listing.create(application, SOMEBODY, name)


def url(name: str, shown: StaticList, *more: int) -> str:
    return reverse(f"campaigns:{name}", args=[shown.application_id, shown.pk, *more])


def on(static: StaticList) -> Rule:
    return {"field": "list", "op": "in", "value": static.pk}


# ------------------------------------------------------------------------------ the steps


def test_members_are_counted_once_however_often_they_are_added(shop: Application) -> None:
    testers = make_list(shop)
    people = frozenset(make_person().pk for _ in range(3))
    devices = frozenset({make_registration(shop).pk})

    assert membership.add(testers, Members(people, devices)) == 4
    assert membership.add(testers, Members(people, devices)) == 0
    assert ListMember.objects.filter(list=testers).count() == 4
    assert membership.remove(testers, Members(people)) == 3
    assert membership.remove(testers, Members(people)) == 0


def test_a_device_of_another_application_is_never_on_a_list(shop: Application) -> None:
    theirs = make_registration(make_application())
    assert membership.add(make_list(shop), Members(devices=frozenset({theirs.pk}))) == 0


def test_who_was_deleted_meanwhile_is_not_added(shop: Application) -> None:
    gone, there = make_person(), make_person()
    people = frozenset({gone.pk, there.pk})
    gone.delete()
    assert membership.add(make_list(shop), Members(people)) == 1


def test_a_list_that_is_gone_takes_nobody(shop: Application) -> None:
    testers = make_list(shop)
    stale = StaticList.objects.get()
    listing.delete(testers, SOMEBODY)
    with pytest.raises(ListError):
        membership.add(stale, Members(frozenset({make_person().pk})))
    with pytest.raises(ListError):
        listing.rename(stale, SOMEBODY, "New")


def test_two_lists_of_an_application_have_two_names(shop: Application) -> None:
    make_list(shop)
    other = make_list(shop, "Other")
    make_list(make_application())
    with pytest.raises(NameTakenError):
        make_list(shop)
    with pytest.raises(NameTakenError):
        listing.rename(other, SOMEBODY, "Testers")


@pytest.mark.parametrize("kind", ["campaign", "segment"])
def test_a_list_in_use_is_not_deleted(shop: Application, kind: str) -> None:
    testers, other = make_list(shop), make_list(shop, "Other")
    rule = {"all": [{"any": [{"not": on(testers)}]}]}
    user = (
        make_campaign(shop, name="Friday sale", rule=rule)
        if kind == "campaign"
        else Segment.objects.create(application=shop, name="Friday sale", rule=rule)
    )

    with pytest.raises(ListInUseError, match=f"the {kind} “Friday sale”"):
        listing.delete(testers, SOMEBODY)

    assert [use.user for use in usage.of_lists(shop)[testers.pk]] == [user]
    listing.delete(other, SOMEBODY)
    assert list(StaticList.objects.all()) == [testers]


# ------------------------------------------------------------------------------ the pages


PAGES = {
    "list-detail": Right.SEE_CAMPAIGNS,
    "list-upload-new": Right.EDIT_CAMPAIGNS,
    "list-rename": Right.EDIT_CAMPAIGNS,
    "list-delete": Right.EDIT_CAMPAIGNS,
    "list-add": Right.EDIT_CAMPAIGNS,
}
POSTED = ("list-rename", "list-delete", "list-add")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", PAGES)
def test_the_server_asks_for_the_right_of_each_page(
    shop: Application, name: str, role: Role
) -> None:
    client = signed_in(shop, role)
    call = client.post if name in POSTED else client.get

    status = call(url(name, make_list(shop))).status_code

    assert (status == 403) == (PAGES[name] not in RIGHTS[role])


@pytest.mark.parametrize("name", PAGES)
def test_another_applications_list_is_not_found(shop: Application, name: str) -> None:
    theirs = make_list(make_application())
    client = signed_in(shop)
    call = client.post if name in POSTED else client.get
    address = reverse(f"campaigns:{name}", args=[shop.pk, theirs.pk])

    assert call(address).status_code == 404


def test_a_list_is_made_by_name(shop: Application) -> None:
    client = signed_in(shop)
    address = reverse("campaigns:list-new", args=[shop.pk])

    assert client.post(address, {"name": " "}).status_code == 422
    made = client.post(address, {"name": "Testers"}, follow=True)
    assert "Nobody is on it yet" in made.content.decode()
    taken = client.post(address, {"name": "Testers"})
    assert taken.status_code == 422
    assert "There is a list “Testers” already" in taken.content.decode()


def test_members_are_added_found_and_removed_by_hand(shop: Application) -> None:
    testers, client = make_list(shop), signed_in(shop)
    ana = make_person(first_name="Ana", phone="491512345678", external_id="u-1")
    bo = make_person(first_name="Bo", external_id="u-2")
    device = make_registration(shop, model="Pixel 9")
    for key, text in (
        ("phone", "+49 151 2345678"),
        ("external_id", "u-2"),
        ("registration_id", str(device.address.public_id)),
    ):
        told = client.post(url("list-add", testers), {"key": key, "text": text}, follow=True)
        assert "One member more." in told.content.decode()
    twice = {"key": "external_id", "text": "u-1"}
    again = client.post(url("list-add", testers), twice, follow=True)
    assert "on the list already" in again.content.decode()

    page = client.get(url("list-detail", testers)).content.decode()
    assert "2 people and 1 single device" in page
    assert all(name in page for name in ("Ana", "Bo", "Pixel 9"))
    found = client.get(url("list-detail", testers), {"q": "4915123"}).content.decode()
    assert "Ana" in found
    assert "Remove Bo" not in found

    member = ListMember.objects.get(person=bo)
    remove = url("list-remove", testers, member.pk)
    assert "One member less." in client.post(remove, follow=True).content.decode()
    assert "not on the list any more" in client.post(remove, follow=True).content.decode()
    assert set(testers.members.values_list("person", "registration")) == {
        (ana.pk, None), (None, device.pk),
    }  # fmt: skip
    added, *_, removed = AuditEntry.objects.filter(action__endswith="list").order_by("pk")[1:]
    assert added.after == {"people": [ana.pk]}
    assert removed.before == {"people": [bo.pk]}


@pytest.mark.parametrize(
    ("key", "text", "part"),
    [
        ("phone", "many", "A phone number has 5 to 15 digits"),
        ("phone", "4915123456789", "Nobody is known by this phone."),
        ("email", "nobody@example.com", "Nobody is known by this e-mail."),
        ("registration_id", "7", "A registration ID is a UUID."),
        ("registration_id", "f6b2a2a0-6a0e-4f6a-9b8b-0f6c1b1f7a11", "No device of this"),
        ("external_id", "", "Type what names the member."),
        ("colour", "x", "Select a valid choice"),
    ],
)
def test_who_cannot_be_added_is_said(shop: Application, key: str, text: str, part: str) -> None:
    page = signed_in(shop).post(url("list-add", make_list(shop)), {"key": key, "text": text})
    assert page.status_code == 422
    assert part in page.content.decode()


def test_a_list_is_renamed_and_deleted(shop: Application) -> None:
    testers, client = make_list(shop), signed_in(shop)
    make_list(shop, "Other")

    assert client.post(url("list-rename", testers), {"name": "Other"}).status_code == 422
    page = client.post(url("list-rename", testers), {"name": "Beta"}, follow=True)
    assert "renamed list" in page.content.decode()
    segment = Segment.objects.create(application=shop, name="Beta", rule=on(testers))
    refused = client.post(url("list-delete", testers), follow=True).content.decode()
    assert "in use by the segment “Beta”" in refused
    segment.delete()
    assert (
        "Beta is deleted." in client.post(url("list-delete", testers), follow=True).content.decode()
    )


def test_who_may_not_see_devices_sees_how_many_alone(shop: Application) -> None:
    testers = make_list(shop)
    membership.add(testers, Members(frozenset({make_person(first_name="Ana").pk})))

    page = signed_in(shop, Role.ANALYST).get(url("list-detail", testers)).content.decode()

    assert "1 person" in page
    assert "Ana" not in page


def test_the_list_of_lists_costs_as_many_statements_for_many_as_for_one(
    shop: Application, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in(shop)
    address = reverse("campaigns:lists", args=[shop.pk])
    assert "No list yet" in client.get(address).content.decode()
    lists = [make_list(shop, f"List {number}") for number in range(3)]
    people = frozenset(make_person().pk for _ in range(2))
    membership.add(lists[0], Members(people))
    make_campaign(shop, name="Friday sale", rule={"all": [on(lists[0])]})

    with django_assert_num_queries(11):
        page = client.get(address).content.decode()

    assert page.index("List 2") < page.index("List 0")
    assert "Friday sale" in page
    assert "List 1" not in client.get(address, {"q": "st 2"}).content.decode()
