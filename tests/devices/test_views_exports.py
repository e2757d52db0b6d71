"""Exports from the pages: who may, what is exported, and that it leaves a trace."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from devices import exporting
from devices.models import Application, AuditEntry, Person, Platform, Registration, Role
from tests.factories import make_application, make_person, make_registration, make_user

pytestmark = pytest.mark.django_db


def post(client: Client, application: Application, name: str = "devices") -> Any:
    return client.post(reverse("devices:export", args=[application.pk, name]))


def downloaded(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", exporting.EXPORTS)
def test_only_who_may_export_gets_the_file(client: Client, role: Role, name: str) -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="jdoe"))
    client.force_login(make_user(role, application))

    answer = post(client, application, name)

    if role in {Role.ADMINISTRATOR, Role.MARKETER}:
        assert answer.status_code == 200
        assert "jdoe" in downloaded(answer)
    else:
        assert answer.status_code == 403
        assert not AuditEntry.objects.filter(action=f"export {name}").exists()


def test_strangers_learn_nothing_and_who_is_signed_out_signs_in(client: Client) -> None:
    application = make_application()
    assert post(client, application).status_code == 302

    client.force_login(make_user(Role.ADMINISTRATOR, make_application()))

    assert post(client, application).status_code == 404


def test_an_export_is_a_file_and_stands_in_the_audit_trail(client: Client) -> None:
    application = make_application()
    user = make_user(Role.MARKETER, application)
    client.force_login(user)

    answer = post(client, application, "people")

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    pattern = rf'attachment; filename="people-{application.pk}-\d{{8}}\.csv"'
    assert re.fullmatch(pattern, answer["Content-Disposition"])
    assert answer["Cache-Control"] == "no-store"
    entry = AuditEntry.objects.get(action="export people")
    assert (entry.actor_id, entry.application) == (user.pk, application)


@pytest.mark.parametrize(
    ("asked", "models"),
    [
        ({"q": "anna"}, ["A1", "A2"]), ({"platform": "2"}, ["A2", "B2"]),
        ({"state": "muted"}, ["B1"]), ({"state": "disabled", "q": "bo"}, ["B2"]),
        ({"state": "reachable", "platform": "1"}, ["A1"]), ({"q": "nobody"}, []),
        ({"platform": "x", "state": "y"}, ["A1", "A2", "B1", "B2"]),
        ({"q": "x" * 5000}, ["A1", "A2", "B1", "B2"]),
    ],
)  # fmt: skip
def test_devices_are_exported_as_the_page_is_filtered(
    client: Client, asked: dict[str, str], models: list[str]
) -> None:
    application = make_application()
    anna, boris = make_person(external_id="anna"), make_person(first_name="Boris")
    ios = Platform.IOS
    make_registration(application, person=anna, model="A1")
    make_registration(application, person=anna, model="A2", platform=ios)
    make_registration(application, person=boris, model="B1", notifications_enabled=False)
    make_registration(application, person=boris, model="B2", platform=ios, enabled=False)
    client.force_login(make_user(Role.ADMINISTRATOR, application))
    page = client.get(reverse("devices:list", args=[application.pk]), asked)
    assert sorted(each.model for each, _ in page.context["rows"]) == models

    answer = client.post(reverse("devices:export", args=[application.pk, "devices"]), asked)

    rows = csv.DictReader(io.StringIO(downloaded(answer)[1:]))
    assert [row["model"] for row in rows] == models


def test_people_are_exported_as_the_page_is_searched(client: Client) -> None:
    application = make_application()
    for name in ("Anna", "Annabel", "Boris"):
        make_person(first_name=name, phone=f"4179{len(name)}00")
    client.force_login(make_user(Role.ADMINISTRATOR, application))

    answer = client.post(reverse("devices:export", args=[application.pk, "people"]), {"q": "ann"})

    rows = csv.DictReader(io.StringIO(downloaded(answer)[1:]))
    assert [row["first_name"] for row in rows] == ["Anna", "Annabel"]
    entry = AuditEntry.objects.get(action="export people")
    assert entry.after == {"found": "2"}, "what was typed may be a phone number"


@pytest.mark.parametrize(("page", "name"), [("list", "device"), ("people", "person")])
def test_the_button_exports_what_typing_found(client: Client, page: str, name: str) -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="anna"))
    client.force_login(make_user(Role.ADMINISTRATOR, application))

    part = client.get(
        reverse(f"devices:{page}", args=[application.pk]),
        {"q": "anna"},
        headers={"HX-Request": "true"},
    ).content.decode()

    form = part.split(f'<form id="{name}-export"')[1].split("</form>")[0]
    assert 'hx-swap-oob="true"' in form
    assert '<input type="hidden" name="q" value="anna">' in form
    assert "Export these as CSV" in form


def test_it_is_asked_for_by_a_button_and_by_nothing_else(client: Client) -> None:
    application = make_application()
    client.force_login(make_user(Role.ADMINISTRATOR, application))
    address = reverse("devices:export", args=[application.pk, "devices"])

    assert client.get(address).status_code == 405
    assert post(client, application, "tokens").status_code == 404
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(("page", "name"), [("list", "devices"), ("people", "people")])
def test_the_pages_offer_it_to_who_may(client: Client, page: str, name: str) -> None:
    application = make_application()
    export = reverse("devices:export", args=[application.pk, name]).encode()
    address = reverse(f"devices:{page}", args=[application.pk])

    client.force_login(make_user(Role.SUPPORT, application))
    assert export not in client.get(address).content
    client.force_login(make_user(Role.MARKETER, application))
    assert export in client.get(address).content


def test_an_export_changes_nothing(client: Client) -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="jdoe"))
    client.force_login(make_user(Role.ADMINISTRATOR, application))
    before = Registration.objects.values().get(), Person.objects.values().get()

    downloaded(post(client, application))

    assert (Registration.objects.values().get(), Person.objects.values().get()) == before


@pytest.mark.django_db(transaction=True)
def test_a_marketer_downloads_the_devices(page: Page, sign_in: Any, screenshots: Path) -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="jdoe"))
    sign_in(make_user(Role.MARKETER, application))
    page.goto(reverse("devices:list", args=[application.pk]))

    with page.expect_download() as download:
        page.get_by_role("button", name="Export all as CSV").click()

    rows = csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig")))
    assert [row["external_id"] for row in rows] == ["jdoe"]
    for name, width in (("wide", 1440), ("phone", 390)):
        page.set_viewport_size({"width": width, "height": 800})
        page.screenshot(path=screenshots / f"export-{name}.png")
    page.goto(reverse("devices:people", args=[application.pk]))
    page.screenshot(path=screenshots / "export-people.png")
