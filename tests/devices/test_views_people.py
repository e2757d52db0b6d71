"""Pages of people: who may look, who is found, and what is put right of a person."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from devices import finding, personalizing
from devices.models import Application, AuditEntry, Person, Role
from tests.devices.people_pages import said, url
from tests.factories import make_application, make_person, make_registration, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

QueryCount = Callable[[int], AbstractContextManager[Any]]


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


@pytest.mark.parametrize(
    "typed",
    [
        "crm-1", "crm", "+44 7700 900-123", "4477", "0044 7700", "anna@example.com", "ANNA@",
        "anna", "ANN", "łuk", "anna ł", "Łukasz an", "vip", "VI", "Gold C", "gold card", "it's",
        "…TAILTAIL", "TAILTAIL", "…TAIL", "TAILTA",
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
