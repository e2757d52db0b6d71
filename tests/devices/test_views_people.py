"""Pages of people: who may look, who is found, and what a support agent puts right."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from devices import attributes, audit, finding, people_forms, personalizing
from devices.models import Address, Application, AuditEntry, Person, Registration, Role
from devices.views.trail import Change
from tests.factories import make_application, make_person, make_registration, make_user

pytestmark = pytest.mark.django_db
QueryCount = Callable[[int], AbstractContextManager[Any]]


@pytest.fixture
def application(client: Client) -> Application:
    """One whose support agent is signed in."""
    application = make_application(name="Shop")
    client.force_login(make_user(Role.SUPPORT, application))
    return application


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """No type of an attribute is remembered of an earlier test."""
    yield
    attributes._known.clear()


def url(name: str, application: Application, *keys: int, query: str = "") -> str:
    return reverse(f"devices:{name}", args=[application.pk, *keys]) + query


def said(response: Any) -> list[str]:
    return [str(each) for each in response.context["messages"]]


# ------------------------------------------------------------------- who may


@pytest.mark.parametrize(
    ("role", "sees", "edits"),
    [
        (Role.ADMINISTRATOR, 200, 302),
        (Role.SUPPORT, 200, 302),
        (Role.MARKETER, 200, 403),
        (Role.APPROVER, 200, 403),
        (Role.DEVELOPER, 200, 403),
        (Role.ANALYST, 403, 403),
        (None, 404, 404),
    ],
)
def test_people_are_seen_and_changed_by_role(
    client: Client, role: Role | None, sees: int, edits: int
) -> None:
    application, person = make_application(), make_person(external_id="anna")
    device = make_registration(application, person=person)
    client.force_login(make_user(role, application) if role else make_user())

    for name, keys in (("people", ()), ("person", (person.pk,))):
        assert client.get(url(name, application, *keys)).status_code == sees
    expected = 200 if edits == 302 else edits
    assert client.get(url("owner-preview", application, device.pk)).status_code == expected
    for name, keys in (
        ("owner", (device.pk,)),
        ("part", (device.pk,)),
        ("primary", (device.pk,)),
        ("device-attribute", (device.pk,)),
        ("person-attribute", (person.pk,)),
        ("person-edit", (person.pk,)),
        ("person-erase", (person.pk,)),
    ):
        status = client.post(url(name, application, *keys)).status_code
        assert (302 if status == 422 else status) == edits


def test_a_device_of_another_application_cannot_be_moved(
    client: Client, application: Application
) -> None:
    anna = make_person(external_id="anna")
    device = make_registration(make_application(), person=anna)

    for name in ("owner", "part", "primary"):
        answer = client.post(url(name, application, device.pk), {"external_id": "boris"})
        assert answer.status_code == 404
    device.refresh_from_db()
    assert device.person == anna


# ------------------------------------------------------------------- finding somebody


@pytest.fixture
def anna(application: Application) -> Person:
    person = make_person(
        external_id="crm-1", phone="447700900123", email="anna@example.com",
        first_name="Anna", last_name="Łukasz", tags=["vip", "Vip", "Gold Card", "it's \\ odd"],
    )  # fmt: skip
    make_registration(application, person=person, token="x" * 20 + "TAILTAIL")
    make_person(external_id="other", first_name="Boris", last_name="Doe")
    return person


@pytest.mark.parametrize(
    "typed",
    [
        "crm-1", "crm", "+44 7700 900-123", "4477", "anna@example.com", "ANNA@", "anna", "ANN",
        "łuk", "anna ł", "Łukasz an", "vip", "VI", "Gold C", "gold card", "it's", "…TAILTAIL",
        "TAILTAIL", "…TAIL", "TAILTA",
    ],
)  # fmt: skip
def test_a_person_is_found_by_whatever_names_them(
    client: Client, application: Application, anna: Person, typed: str
) -> None:
    response = client.get(url("people", application), {"q": typed})

    assert [row.person for row in response.context["rows"]] == [anna]


def test_a_person_is_found_by_a_registration_id(
    client: Client, application: Application, anna: Person
) -> None:
    known = str(anna.registrations.get().address.public_id)

    for typed in (known.upper(), known.replace("-", ""), known[:12], known[:8]):
        response = client.get(url("people", application), {"q": typed})
        assert [row.person for row in response.context["rows"]] == [anna], typed


@pytest.mark.parametrize(
    "typed", ["%", "_", "nobody", "a\0b", "x" * 4096, "' or 1=1", "doe x", "card", "ip':* |", "\\"]
)
def test_nobody_is_found_by_what_names_nobody(
    client: Client, application: Application, anna: Person, typed: str
) -> None:
    response = client.get(url("people", application), {"q": typed})

    assert response.status_code == 200
    assert response.context["rows"] == []
    assert "Nobody matches" in response.content.decode()


def test_a_device_of_another_application_names_nobody(
    client: Client, application: Application
) -> None:
    device = make_registration(make_application(), person=make_person(external_id="anna"))

    response = client.get(url("people", application), {"q": str(device.address.public_id)})

    assert response.context["rows"] == []


def test_more_people_than_are_looked_at_are_said(
    client: Client, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MOST_PEOPLE", 2)
    for number in range(3):
        make_person(external_id=f"crm-{number}")

    response = client.get(url("people", application), {"q": "crm"})

    assert len(response.context["rows"]) == 2
    assert "More people begin like this" in response.content.decode()


def test_a_search_answers_with_the_rows_alone(
    client: Client, application: Application, anna: Person
) -> None:
    response = client.get(url("people", application), {"q": "anna"}, headers={"HX-Request": "true"})

    assert "<html" not in response.content.decode()
    assert "Anna" in response.content.decode()


def test_a_long_list_takes_few_queries(
    client: Client, application: Application, django_assert_max_num_queries: QueryCount
) -> None:
    for number in range(30):
        person = make_person(external_id=str(number), phone=str(447700900000 + number))
        make_registration(application, person=person)
    client.get(url("people", application))

    with django_assert_max_num_queries(10):
        response = client.get(url("people", application))

    assert len(response.context["rows"]) == 30
    assert all(row.devices == 1 for row in response.context["rows"])


# ------------------------------------------------------------------- the page of a person


def test_a_person_is_shown_with_devices_of_this_application_alone(
    client: Client, application: Application, anna: Person
) -> None:
    primary = make_registration(application, person=anna, primary=True, enabled=False)
    make_registration(make_application(), person=anna, model="Secret phone")

    response = client.get(url("person", application, anna.pk))

    page = response.content.decode()
    devices = [device for device, _ in response.context["devices"]]
    assert devices == [primary, anna.registrations.exclude(pk=primary.pk).order_by("pk")[0]]
    assert "Secret phone" not in page
    assert "1 more in other applications" in page
    assert "A push reaches 1 of 2 devices in Shop" in page
    for text in ("crm-1", "447700900123", "anna@example.com", "vip", "Primary"):
        assert text in page


def test_html_in_names_stays_text(client: Client, application: Application) -> None:
    evil = "<script>alert(1)</script>"
    person = make_person(external_id=evil, first_name=evil, tags=[evil], attributes={evil: evil})

    for name, keys in (("people", ()), ("person", (person.pk,))):
        assert evil not in client.get(url(name, application, *keys)).content.decode()


def test_the_page_of_a_person_with_many_devices_takes_few_queries(
    client: Client,
    application: Application,
    anna: Person,
    django_assert_max_num_queries: QueryCount,
) -> None:
    for _ in range(60):
        make_registration(application, person=anna)
    client.get(url("person", application, anna.pk))

    with django_assert_max_num_queries(14):
        response = client.get(url("person", application, anna.pk))

    assert len(response.context["devices"]) == 50
    assert "11 more are not shown" in response.content.decode()
    assert "A push reaches 61 of 61 devices" in response.content.decode()


def test_an_unknown_person_is_not_found(client: Client, application: Application) -> None:
    assert client.get(url("person", application, 7777777)).status_code == 404
    edited = client.post(url("person-edit", application, 7777777), {"first_name": "A"})
    assert edited.status_code == 404
    erased = client.post(url("person-erase", application, 7777777), follow=True)
    assert said(erased) == ["Person not found."]


def test_a_person_is_edited_and_their_devices_know_the_tags(
    client: Client, application: Application, anna: Person
) -> None:
    client.post(
        url("person-edit", application, anna.pk),
        {"first_name": "Ann", "last_name": "Doe", "gender": "FEMALE", "birthday": "1990-01-02",
         "tags": "Pizza, vip,, Pizza"},
        follow=True,
    )  # fmt: skip

    anna.refresh_from_db()
    assert (anna.first_name, anna.gender, str(anna.birthday)) == ("Ann", "FEMALE", "1990-01-02")
    assert anna.tags == anna.registrations.get().person_tags == ["Pizza", "vip"]
    entry = AuditEntry.objects.filter(object_type="person", object_id=str(anna.pk)).latest("pk")
    assert entry.actor is not None
    assert (entry.before["first_name"], entry.after["first_name"]) == ("Anna", "Ann")  # type: ignore[index]
    told = client.get(reverse("campaigns:person-timeline", args=[application.pk, anna.pk]))
    assert "first name: Anna → Ann" in told.content.decode()


@pytest.mark.parametrize(
    "typed",
    [
        {"first_name": "x" * 256}, {"birthday": "yesterday"}, {"gender": "X"},
        {"tags": "x" * 257}, {"tags": ",".join(map(str, range(501)))}, {"first_name": "a\0"},
    ],
)  # fmt: skip
def test_what_cannot_be_kept_of_a_person_is_said_beside_its_field(
    client: Client, application: Application, anna: Person, typed: dict[str, str]
) -> None:
    response = client.post(url("person-edit", application, anna.pk), typed)

    assert response.status_code == 422
    assert set(response.context["form"].errors) == set(typed)
    assert "data-open" in response.content.decode()
    anna.refresh_from_db()
    assert anna.first_name == "Anna"


WHOLE: dict[str, str] = {
    "first_name": "Anna", "middle_name": "", "last_name": "Łukasz", "phones": "447700900123",
    "emails": "anna@example.com", "external_id": "crm-1", "kind": "LEAD", "gender": "",
    "birthday": "", "preferred_language": "", "address": "", "city": "", "country": "",
    "profile_picture": "", "tags": "vip",
}  # fmt: skip
SHOWN = {f"initial-{name}": value for name, value in WHOLE.items()}


def identities(person: Person) -> list[str]:
    return list(person.identities.values_list("value", flat=True))


def test_every_field_and_identity_of_a_person_is_edited_and_undone(
    client: Client, application: Application, anna: Person
) -> None:
    before = personalizing.state_of_person(anna)
    typed = {
        "first_name": "Ann", "middle_name": "B", "last_name": "Lee",
        "phones": "+44 7700 900-123\r\n+41 79 302 67 27\r\n", "emails": "",
        "external_id": "crm-9", "kind": "CUSTOMER", "gender": "FEMALE", "birthday": "1990-01-02",
        "preferred_language": "de-CH", "address": "Bahnhofstrasse 1", "city": "Zürich",
        "country": "Schweiz", "profile_picture": "https://example.com/a.png", "tags": "a, b",
    }  # fmt: skip

    client.post(url("person-edit", application, anna.pk), SHOWN | typed)

    anna.refresh_from_db()
    assert identities(anna) == ["crm-9", "447700900123", "41793026727"]
    kept: dict[str, Any] = {name: value for name, value in typed.items() if name in before}
    kept |= {"phones": ["41793026727", "447700900123"], "emails": [], "tags": ["a", "b"]}
    assert personalizing.state_of_person(anna) == {**before, **kept}
    entry = AuditEntry.objects.latest("pk")
    client.post(url("change-undo", application, entry.pk))
    anna.refresh_from_db()
    assert personalizing.state_of_person(anna) == before | {"tags": sorted(before["tags"])}


def test_what_an_app_told_while_the_form_stood_open_is_kept(
    client: Client, application: Application, anna: Person
) -> None:
    anna.identities.create(kind=2, value="41793026727")
    Person.objects.update(city="Bern")

    client.post(url("person-edit", application, anna.pk), SHOWN | WHOLE | {"first_name": "Ann"})

    anna.refresh_from_db()
    assert (anna.first_name, anna.city) == ("Ann", "Bern")
    assert "41793026727" in identities(anna)


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("phones", "447700900123\n41790000001"),
        ("emails", "B@example.com"),
        ("external_id", "other"),
    ],
)
def test_an_identity_of_somebody_else_is_refused_beside_its_field_with_a_way_to_them(
    client: Client, application: Application, anna: Person, name: str, typed: str
) -> None:
    boris = Person.objects.get(first_name="Boris")
    boris.identities.create(kind=2, value="41790000001")
    boris.identities.create(kind=3, value="b@example.com")
    before = identities(anna)

    page = client.post(
        url("person-edit", application, anna.pk),
        SHOWN | WHOLE | {name: typed},
        headers={"HX-Request": "true"},
    )

    assert page.status_code == 422
    link = f'<a href="{url("person", application, boris.pk)}">Boris Doe</a>'
    field = page.content.decode().split(f'id="id_{name}_field"')[1].split('class="field"')[0]
    assert f"belongs to {link}" in field
    assert page.content.decode().count(link) == 1
    assert "<html" not in page.content.decode()
    assert identities(anna) == before


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("phones", "447700900123\ncall me"),
        ("phones", "\n".join(map(str, range(10**6, 10**6 + 101)))),
        ("emails", "anna@"), ("preferred_language", "german"), ("profile_picture", "javascript:1"),
        ("kind", "KING"), ("city", "x" * 51),
    ],
)  # fmt: skip
def test_an_identity_that_is_none_is_refused_beside_its_field(
    client: Client, application: Application, anna: Person, name: str, typed: str
) -> None:
    page = client.post(url("person-edit", application, anna.pk), SHOWN | WHOLE | {name: typed})

    assert page.status_code == 422
    assert list(page.context["form"].errors) == [name]


# ------------------------------------------------------------------- in place


def in_place(client: Client, address: str, typed: dict[str, str] | None = None) -> Any:
    return client.post(address, typed or {}, headers={"HX-Request": "true"})


def test_each_action_in_place_says_what_it_did_and_offers_to_undo_it(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()
    before = personalizing.state_of_person(anna), personalizing.state_of_device(device)
    for name, row, typed in (
        ("device-switch", device, {"enabled": "0"}),
        ("primary", device, {"primary": "1"}),
        ("device-attribute", device, {"name": "club", "value": "gold"}),
        ("person-attribute", anna, {"name": "club", "value": "gold"}),
        ("person-edit", anna, {"first_name": "Ann"}),
        ("owner", device, {"external_id": "other"}),
    ):
        said = in_place(client, url(name, application, row.pk), typed)

        assert (said.status_code, said["HX-Reswap"], said["HX-Trigger"]) == (
            200, "none", '{"changed": {}}',
        )  # fmt: skip
        page = said.content.decode()
        assert page.count('hx-swap-oob="beforeend:#toasts"') == 1
        entry = AuditEntry.objects.latest("pk")
        kind = "owner-undo" if name == "owner" else "change-undo"
        keys = (device.pk, entry.pk) if name == "owner" else (entry.pk,)
        undo = url(kind, application, *keys)
        if name == "owner":  # the person who is left is told after the device
            undo = page.split('hx-post="')[1].split('"')[0]
            assert undo.startswith(url("detail", application, device.pk))
        assert f'hx-post="{undo}"' in page
        undone = in_place(client, undo)
        assert "HX-Trigger" in undone
        anna.refresh_from_db()
        device.refresh_from_db()
        assert device.person == anna
        now = personalizing.state_of_person(anna), personalizing.state_of_device(device)
        assert now == (before[0] | {"tags": now[0]["tags"]}, before[1]), name


def test_parting_a_device_in_place_is_undone(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()

    page = in_place(client, url("part", application, device.pk)).content.decode()

    device.refresh_from_db()
    assert device.person is None
    in_place(client, page.split('hx-post="')[1].split('"')[0])
    device.refresh_from_db()
    assert device.person == anna


def test_what_changed_nothing_offers_no_undo(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()
    for name, row, typed in (
        ("device-switch", device, {"enabled": "1"}),
        ("primary", device, {"primary": "0"}),
        ("person-edit", anna, {"first_name": "Anna"}),
    ):
        page = in_place(client, url(name, application, row.pk), typed).content.decode()

        assert "toast is-" in page
        assert "Undo" not in page
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("name", ["person", "detail"])
def test_the_parts_that_an_action_changed_are_asked_for_alone(
    client: Client, application: Application, anna: Person, name: str
) -> None:
    row: Any = anna if name == "person" else anna.registrations.get()

    page = client.get(url(name, application, row.pk), headers={"HX-Request": "true"})

    parts = page.content.decode()
    assert "<html" not in parts
    word = "person" if name == "person" else "device"
    for part in (f"{word}-head", f"{word}-facts", "attribute-form"):
        assert f'id="{part}"' in parts
    assert parts.count('hx-swap-oob="') >= 4


@pytest.mark.parametrize(
    ("name", "opened"),
    [("person", "edit"), ("person", "attribute"), ("person", "erase"), ("detail", "owner"),
     ("detail", "attribute")],
)  # fmt: skip
def test_a_dialog_stands_open_in_the_page_for_whoever_has_no_scripts(
    client: Client, application: Application, anna: Person, name: str, opened: str
) -> None:
    row: Any = anna if name == "person" else anna.registrations.get()

    page = client.get(url(name, application, row.pk), {"open": opened}).content.decode()

    assert page.count("data-open open") == 1
    assert f'id="{opened}-dialog"' in page.split("data-open open")[0].rsplit("<dialog", 1)[1]


def test_without_scripts_a_move_is_shown_before_it_is_made_and_undone_from_its_message(
    client: Client, application: Application, anna: Person
) -> None:
    device = make_registration(application, person=Person.objects.get(first_name="Boris"))
    typed = {"phone": "+447700900123"}

    shown = client.post(url("owner", application, device.pk), typed | {"preview": "1"})

    assert shown.status_code == 200
    assert "Move device to Anna Łukasz" in shown.content.decode()
    device.refresh_from_db()
    assert device.person != anna
    moved = client.post(url("owner", application, device.pk), typed, follow=True)
    device.refresh_from_db()
    assert device.person == anna
    (message,) = moved.context["messages"]
    assert f'action="{message.extra_tags}"' in moved.content.decode()
    client.post(message.extra_tags)
    device.refresh_from_db()
    assert device.person != anna


def test_a_known_attribute_stands_in_its_form_when_somebody_changes_it(
    client: Client, application: Application, anna: Person
) -> None:
    client.post(
        url("person-attribute", application, anna.pk),
        {"name": "member", "type": "boolean", "value": "yes"},
    )

    page = client.get(
        url("person", application, anna.pk), {"open": "attribute", "attribute": "member"}
    )

    form = page.context["attribute_form"]
    assert form.initial == {"name": "member", "type": "boolean", "value": "yes"}
    assert "data-fill" in page.content.decode()


def test_a_list_is_shown_object_by_object_and_only_taken_away_by_hand(
    client: Client, application: Application, anna: Person
) -> None:
    carts = [{"items": 3, "paid": True, "sku": "A-1"}, {"items": 1}]
    described = personalizing.Described(attributes={"carts": carts})
    personalizing.change(anna.pk, described, audit.Author("crm"))

    page = client.get(url("person", application, anna.pk)).content.decode()

    shown = " ".join(strip_tags(page).split())
    assert "2 objects" in shown
    assert "sku A-1 · paid yes · items 3" in shown
    assert "The app and the APIs write lists" in shown
    assert "Change carts" not in page
    action = url("person-attribute", application, anna.pk)
    refused = client.post(action, {"name": "carts", "value": "none"}, follow=True)
    assert said(refused) == [f"Name: {people_forms.ONLY_WRITTEN_BY_SYSTEMS}"]
    client.post(action, {"name": "carts", "remove": "1"})
    anna.refresh_from_db()
    assert "carts" not in anna.attributes


def test_an_erased_person_is_gone(client: Client, application: Application, anna: Person) -> None:
    response = client.post(url("person-erase", application, anna.pk), follow=True)

    assert said(response) == ["The person was erased. Their devices are anonymous now."]
    assert not Person.objects.filter(pk=anna.pk).exists()
    assert Registration.objects.get().person is None


# ------------------------------------------------------------------- whose a device is


def test_a_preview_says_what_will_happen_and_changes_nothing(
    client: Client, application: Application, anna: Person
) -> None:
    boris = Person.objects.get(first_name="Boris")
    device = make_registration(application, person=boris, primary=True)

    response = client.get(
        url("owner-preview", application, device.pk), {"phone": "+44 (7700) 900-123"}
    )

    page = response.content.decode()
    for text in (
        "Belongs to now", "Boris Doe", "Will belong to", "Anna Łukasz", "has none left",
        "not the primary device any more", "Move device to Anna",
    ):  # fmt: skip
        assert text in page
    device.refresh_from_db()
    assert device.person == boris


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ({"phone": "call me"}, "Enter 5 to 15 digits that begin with a country code."),
        ({"email": "anna@"}, "Enter an address such as name@example.com."),
        ({"external_id": "null"}, "Enter a phone number, an e-mail address or an external ID."),
        ({}, "Enter a phone number, an e-mail address or an external ID."),
        ({"external_id": "other", "phone": "447700900123"}, "These belong to different people."),
        (
            {"external_id": "new", "phone": "447700900123"},
            "This person has another external ID already.",
        ),
        ({"external_id": "new"}, "A new person, known by"),
    ],
)
def test_a_preview_says_why_a_device_cannot_be_moved(
    client: Client, application: Application, anna: Person, typed: dict[str, str], text: str
) -> None:
    boris = Person.objects.get(first_name="Boris")
    device = make_registration(application, person=boris)

    page = client.get(url("owner-preview", application, device.pk), typed).content.decode()

    assert text in page
    moved = client.post(url("owner", application, device.pk), typed, follow=True)
    device.refresh_from_db()
    if "new person" not in text:
        assert moved.status_code == 422
        assert "data-open" in moved.content.decode()
        assert text in moved.content.decode()
        assert device.person == boris


def test_a_device_is_moved_and_back_again(
    client: Client, application: Application, anna: Person
) -> None:
    boris = Person.objects.get(first_name="Boris")
    device = make_registration(application, person=boris, primary=True)

    moved = client.post(
        url("owner", application, device.pk), {"phone": "+447700900123"}, follow=True
    )

    device.refresh_from_db()
    assert (device.person, device.primary, device.person_tags) == (anna, False, anna.tags)
    told = "The device belongs to Anna Łukasz now."
    assert said(moved) == [told]
    (move,) = [each for each in timeline(client, device) if each.undo]
    assert move.undo == "move"
    undone = client.post(url("owner-undo", application, device.pk, move.entry.pk), follow=True)

    device.refresh_from_db()
    assert (device.person, device.primary) == (boris, True)
    assert said(undone) == ["The device belongs to Boris Doe again."]


def timeline(client: Client, device: Registration) -> list[Change]:
    part = reverse("campaigns:device-timeline", args=[device.application_id, device.pk])
    lines = client.get(part).context["lines"]
    return [line.change for line in lines if line.change is not None]


def test_what_was_changed_of_a_person_is_undone_until_it_changes_again(
    client: Client, application: Application, anna: Person
) -> None:
    Person.objects.filter(pk=anna.pk).update(tags=["vip"])
    known = personalizing.state_of_person(Person.objects.get(pk=anna.pk))
    typed = {"first_name": "Anne", "tags": "vip, new", "birthday": "1990-01-02"}
    client.post(url("person-edit", application, anna.pk), typed)
    client.post(url("person-attribute", application, anna.pk), {"name": "a", "value": "x"})
    edited, attribute = AuditEntry.objects.filter(action="change person").order_by("pk")

    for entry in (attribute, edited):
        undone = client.post(url("change-undo", application, entry.pk), follow=True)
        assert said(undone)[-1] == "The change was undone."

    anna.refresh_from_db()
    assert personalizing.state_of_person(anna) == known
    again = client.post(url("change-undo", application, edited.pk), follow=True)
    assert said(again) == ["It has been changed since, so this cannot be undone."]


def test_a_device_that_was_switched_is_switched_back(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()
    client.post(url("device-switch", application, device.pk), {"enabled": "0"})
    client.post(url("device-attribute", application, device.pk), {"name": "a", "value": "x"})

    assert [each.lines for each in timeline(client, device)] == [
        ["attributes: nothing → a x"], ["enabled: yes → no"],
    ]  # fmt: skip
    for change in timeline(client, device):
        assert change.undo == "change"
        client.post(url("change-undo", application, change.entry.pk))

    device.refresh_from_db()
    assert (device.enabled, device.attributes) == (True, {})
    assert [each.undo for each in timeline(client, device)] == ["change", "change", "", ""]


def test_a_dead_address_is_not_switched_on_by_undoing(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()
    client.post(url("device-switch", application, device.pk), {"enabled": "0"})
    Address.objects.filter(pk=device.pk).update(closed_at=timezone.now(), closed_reason="gone")
    (change,) = timeline(client, device)

    client.post(url("change-undo", application, change.entry.pk))

    device.refresh_from_db()
    assert not device.enabled


def test_a_change_of_another_application_is_not_undone(
    client: Client, application: Application
) -> None:
    other = make_registration(make_application())
    entry = audit.record(
        None, "switch device off", other, before={"enabled": True}, after={"enabled": False}
    )

    assert client.post(url("change-undo", application, entry.pk)).status_code == 404


def test_an_older_move_cannot_be_undone(
    client: Client, application: Application, anna: Person
) -> None:
    device = make_registration(application)
    for name in ("crm-1", "other"):
        client.post(url("owner", application, device.pk), {"external_id": name})
    first = AuditEntry.objects.filter(action="personalize device").order_by("pk")[0]

    response = client.post(url("owner-undo", application, device.pk, first.pk), follow=True)

    assert said(response)[-1] == "The device has changed hands since, so this cannot be undone."
    device.refresh_from_db()
    assert device.person is not None
    assert device.person.first_name == "Boris"
    other = make_registration(application)
    foreign = client.post(url("owner-undo", application, other.pk, first.pk))
    assert foreign.status_code == 404


def test_a_device_is_made_anonymous_and_back_again(
    client: Client, application: Application, anna: Person
) -> None:
    device = anna.registrations.get()

    parted = client.post(url("part", application, device.pk), follow=True)

    device.refresh_from_db()
    assert device.person is None
    assert said(parted) == ["The device is anonymous now."]
    entry = AuditEntry.objects.get(action="depersonalize device")
    client.post(url("owner-undo", application, device.pk, entry.pk))
    device.refresh_from_db()
    assert device.person == anna


def test_a_device_is_made_primary(client: Client, application: Application, anna: Person) -> None:
    first = anna.registrations.get()
    second = make_registration(application, person=anna, primary=True)

    client.post(url("primary", application, first.pk), {"primary": "1"})

    for device in (first, second):
        device.refresh_from_db()
    assert (first.primary, second.primary) == (True, False)
    entry = AuditEntry.objects.get(action="change device")
    was = {"primary": False, "primary_was": second.pk}
    assert (entry.before, entry.after) == (was, {"primary": True})

    undone = client.post(url("change-undo", application, entry.pk), follow=True)

    assert said(undone)[-1] == "The change was undone."
    for device in (first, second):
        device.refresh_from_db()
    assert (first.primary, second.primary) == (False, True)


def test_both_pages_tell_what_happened(
    client: Client, application: Application, anna: Person
) -> None:
    boris = Person.objects.get(first_name="Boris")
    device = make_registration(application, person=boris)
    client.post(url("owner", application, device.pk), {"external_id": "crm-1"})

    moved = "Boris Doe → Anna Łukasz"
    for person, text in ((anna, moved), (boris, "moved a device away from here: Android")):
        part = reverse("campaigns:person-timeline", args=[application.pk, person.pk])
        assert text in client.get(part).content.decode()
    part = reverse("campaigns:device-timeline", args=[application.pk, device.pk])
    assert moved in client.get(part).content.decode()
    unknown = client.get(url("owner-preview", application, device.pk + 1))
    assert unknown.status_code == 404


# ------------------------------------------------------------------- custom attributes


@pytest.mark.parametrize(
    ("kind", "typed", "kept"),
    [
        ("text", "Gold", "Gold"),
        ("text", "", ""),
        ("number", "9223372036854775807", 9223372036854775807),
        ("number", "-9.5", -9.5),
        ("boolean", "Yes", True),
        ("boolean", "no", False),
        ("date", "2024-02-29", "2024-02-29"),
    ],
)
def test_an_attribute_is_set_in_its_type_and_taken_away(
    client: Client, application: Application, anna: Person, kind: str, typed: str, kept: Any
) -> None:
    device = anna.registrations.get()
    for name, row in (("person-attribute", anna), ("device-attribute", device)):
        address = url(name, application, row.pk)
        client.post(address, {"name": "loyalty", "type": kind, "value": typed})

        row.refresh_from_db()
        assert row.attributes == {"loyalty": kept}
        assert type(row.attributes["loyalty"]) is type(kept)
        assert AuditEntry.objects.latest("pk").after == {"attributes": {"loyalty": kept}}

        client.post(address, {"name": "loyalty", "remove": "1"})

        row.refresh_from_db()
        assert row.attributes == {}


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ({"name": "", "value": "x"}, "Name: This field is required."),
        ({"name": "x" * 257, "value": "x"}, "Name: Ensure this value has at most 256 characters"),
        ({"name": "a", "type": "number", "value": "many"}, "Value: Enter a number such as 7"),
        ({"name": "a", "type": "number", "value": "9" * 20}, "Value: Enter a number such as 7"),
        ({"name": "a", "type": "number", "value": "9" * 19}, "a should be number from"),
        ({"name": "a", "type": "boolean", "value": "maybe"}, "Value: Enter yes or no."),
        ({"name": "a", "type": "date", "value": "2024-02-30"}, "Value: Enter a day such as"),
        ({"name": "a", "type": "list", "value": "x"}, "Type: Select a valid choice"),
        ({"name": "a", "value": "x\0"}, "Value: Null characters are not allowed."),
        ({"name": "a", "value": "x" * 4097}, "Value: Ensure this value has at most 4096"),
    ],
)
def test_an_attribute_that_cannot_be_kept_is_refused(
    client: Client, application: Application, anna: Person, typed: dict[str, str], text: str
) -> None:
    device = anna.registrations.get()
    for name, row in (("person-attribute", anna), ("device-attribute", device)):
        response = client.post(url(name, application, row.pk), typed, follow=True)

        assert text in said(response)[0]
        row.refresh_from_db()
        assert row.attributes == {}


def test_a_known_attribute_keeps_its_type_whatever_is_chosen(
    client: Client, application: Application, anna: Person
) -> None:
    address = url("person-attribute", application, anna.pk)
    client.post(address, {"name": "size", "type": "number", "value": "9"})

    client.post(address, {"name": "size", "type": "text", "value": "10"})
    refused = client.post(address, {"name": "size", "type": "text", "value": "large"}, follow=True)

    anna.refresh_from_db()
    assert anna.attributes == {"size": 10}
    assert "Enter a number" in said(refused)[-1]


def test_attributes_of_a_person_who_is_gone_are_not_set(
    client: Client, application: Application
) -> None:
    address = url("person-attribute", application, 7777777)

    response = client.post(address, {"name": "a", "value": "b"}, follow=True)

    assert said(response) == ["The person is gone, so nothing was changed."]
