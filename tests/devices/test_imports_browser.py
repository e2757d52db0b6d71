"""A marketer in a browser: looks at a file, says what its columns become, checks and imports it."""

from collections.abc import Callable
from typing import Literal

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from devices import importing
from devices.models import Application, ImportRun, Registration, Role
from tests.factories import make_application, make_user

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], None]
Ask = Callable[[Page], list[str]]
FILE = f"""os;Push Token;Customer;Comment
iOS;{"ab" * 32};anna;called twice
Palm;{"cd" * 32};boris;
""".encode()


@pytest.fixture
def application(sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> Application:
    """One whose files are imported when the test says so, not by a worker."""
    monkeypatch.setattr("devices.tasks.run_import.delay", lambda pk: None)
    application = make_application(name="Shop")
    sign_in(make_user(Role.MARKETER, application))
    return application


def upload(page: Page, application: Application) -> ImportRun:
    page.goto(reverse("devices:imports", args=[application.pk]))
    file = {"name": "crm.csv", "mimeType": "text/csv", "buffer": FILE}
    page.get_by_label("CSV file").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Check file first").click()
    expect(page.get_by_text("Nothing has been read yet")).to_be_visible()
    return ImportRun.objects.get(application=application)


def test_a_file_is_mapped_checked_and_imported(page: Page, application: Application) -> None:
    run = upload(page, application)
    page.get_by_label("“Customer” becomes").select_option(label="external id")
    page.get_by_label("“Comment” becomes").select_option(label="Leave out")
    page.get_by_role("button", name="Check file").click()
    expect(page.get_by_text("Nothing is changed.")).to_be_visible()
    importing.run_upload(run.pk)

    expect(page.get_by_text("makes 1 new device")).to_be_visible()
    expect(page.get_by_text("The platform is one of")).to_be_visible()
    expect(page.get_by_label("“Customer” becomes")).to_have_value("external_id")
    assert not Registration.objects.exists()

    page.get_by_role("button", name="Import file").click()
    importing.run_upload(run.pk)
    expect(page.get_by_role("link", name="Show devices")).to_be_visible()
    device = Registration.objects.get()
    assert device.person is not None
    assert (str(device.person.identities.get()), device.attributes) == ("anna", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_of_a_checked_file_are_accessible_and_fit_the_screen(
    page: Page, application: Application, accessibility_problems: Ask, scheme: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    colours: Literal["light", "dark"] = "light" if scheme == "light" else "dark"
    page.emulate_media(color_scheme=colours, reduced_motion="reduce")
    run = upload(page, application)
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Check file").click()
    expect(page.get_by_text("Nothing is changed.")).to_be_visible()
    importing.run_upload(run.pk)

    expect(page.get_by_text("Nothing has been changed")).to_be_visible()
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
