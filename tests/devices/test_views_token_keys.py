"""devices.views.token_keys: keys that a customer's server signs user tokens with."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from devices.models import Application, AuditEntry, Role, UserTokenKey
from tests.factories import make_application, make_user

pytestmark = pytest.mark.django_db
SECRET = "a secret of thirty-two characters"


@pytest.fixture
def application() -> Application:
    return make_application()


@pytest.fixture
def admin(client: Client, application: Application) -> Client:
    client.force_login(make_user(Role.ADMINISTRATOR, application))
    return client


def add(client: Client, application: Application, **typed: str) -> Any:
    return client.post(reverse("devices:token-key-new", args=[application.pk]), typed)


def test_a_key_that_is_made_here_is_shown_once(admin: Client, application: Application) -> None:
    answer = add(admin, application)

    key = UserTokenKey.objects.get()
    secret = key.data["secret"]
    assert len(secret) >= 43
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    detail = admin.get(reverse("devices:application-detail", args=[application.pk]))
    assert key.kid in detail.content.decode()
    assert secret not in detail.content.decode()


def test_a_key_that_a_server_has_already_is_taken_as_it_is(
    admin: Client, application: Application
) -> None:
    answer = add(admin, application, kid="k-1", secret=SECRET)

    assert answer.status_code == 302
    key = UserTokenKey.objects.get()
    assert (key.kid, key.data) == ("k-1", {"secret": SECRET})


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"secret": "short"}, "at least 32 characters"),
        ({"kid": "taken"}, "has a key of this ID already"),
        ({"kid": "x" * 101}, "at most 100 characters"),
        ({"kid": "a\u200bb"}, "printable characters"),
    ],
)
def test_what_cannot_be_a_key_is_said_beside_the_field(
    admin: Client, application: Application, typed: dict[str, str], said: str
) -> None:
    add(admin, application, kid="taken", secret=SECRET)

    answer = add(admin, application, **typed)

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert UserTokenKey.objects.count() == 1


def test_the_same_id_may_stand_in_two_applications(admin: Client, application: Application) -> None:
    UserTokenKey.objects.create(application=make_application(), kid="k-1", data={"secret": SECRET})

    assert add(admin, application, kid="k-1", secret=SECRET).status_code == 302


def test_a_key_is_removed_and_the_trail_never_knows_the_secret(
    admin: Client, application: Application
) -> None:
    add(admin, application, kid="k-1", secret=SECRET)
    key = UserTokenKey.objects.get()

    admin.post(reverse("devices:token-key-remove", args=[application.pk, key.pk]))

    assert not UserTokenKey.objects.exists()
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", "before", "after"))
    assert actions == [
        ("add user token key", None, {"kid": "k-1"}),
        ("remove user token key", {"kid": "k-1"}, None),
    ]


@pytest.mark.parametrize("role", [each for each in Role if each != Role.ADMINISTRATOR])
def test_only_administrators_deal_with_keys(
    client: Client, application: Application, role: Role
) -> None:
    key = UserTokenKey.objects.create(application=application, kid="k", data={"secret": SECRET})
    client.force_login(make_user(role, application))

    assert add(client, application).status_code == 403
    remove = reverse("devices:token-key-remove", args=[application.pk, key.pk])
    assert client.post(remove).status_code == 403
    assert UserTokenKey.objects.count() == 1


def test_a_key_of_another_application_is_not_found(admin: Client, application: Application) -> None:
    other = make_application()
    key = UserTokenKey.objects.create(application=other, kid="k", data={"secret": SECRET})

    for owner in (application, other):
        remove = reverse("devices:token-key-remove", args=[owner.pk, key.pk])
        assert admin.post(remove).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_an_administrator_makes_a_key_and_copies_its_secret(
    page: Page,
    sign_in: Any,
    application: Application,
    screenshots: Path,
    accessibility_problems: Any,
) -> None:
    sign_in(make_user(Role.ADMINISTRATOR, application))
    page.goto(reverse("devices:application-detail", args=[application.pk]))
    page.get_by_role("link", name="Add key").click()
    assert accessibility_problems(page) == []
    page.screenshot(path=screenshots / "token-key-form.png")

    page.get_by_role("button", name="Add key").click()
    page.get_by_role("heading", name="Copy the secret now").wait_for()
    page.screenshot(path=screenshots / "token-key.png")
    page.get_by_role("link", name="I have copied it").click()

    page.locator("#user-tokens code").wait_for()
    assert accessibility_problems(page) == []
    page.screenshot(path=screenshots / "token-keys.png", full_page=True)
    assert UserTokenKey.objects.get().kid == page.locator("#user-tokens code").inner_text()
