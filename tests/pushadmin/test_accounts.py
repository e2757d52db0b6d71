"""Pages and mails of accounts: all in the words of this product."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse

from devices.models import Role
from tests.factories import make_application, make_user

pytestmark = pytest.mark.django_db
OURS = Path(settings.BASE_DIR) / "templates"
OPEN = [
    "account_login", "account_signup", "account_inactive", "account_reset_password",
    "account_reset_password_done", "account_reset_password_from_key_done",
]  # fmt: skip
OF_ONES_OWN = [
    "account_logout", "account_change_password", "account_email", "mfa_index", "mfa_activate_totp",
    "mfa_list_webauthn", "mfa_add_webauthn", "usersessions_list",
]  # fmt: skip


def page(client: Client, address: str) -> str:
    """A page whose own template is one of ours."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    assert Path(answer.templates[0].origin.name).is_relative_to(OURS), answer.templates[0].name
    return answer.content.decode()


@pytest.mark.parametrize("name", OPEN)
def test_whoever_is_signed_out_reads_our_words(client: Client, name: str) -> None:
    assert page(client, reverse(name))


@pytest.mark.parametrize("path", ["/password/reset/key/1-abc/", "/confirm-email/abc/"])
def test_a_link_that_does_not_work_any_more_offers_another(client: Client, path: str) -> None:
    assert "Send another link" in page(client, path)


def test_the_pages_of_ones_own_account_are_in_our_words(client: Client) -> None:
    user = make_user(Role.ANALYST, make_application(), email="ana@example.com")
    client.post(reverse("account_login"), {"login": user.username, "password": "correct horse"})
    client.post(reverse("account_reauthenticate"), {"password": "correct horse"})
    for name in OF_ONES_OWN:
        assert page(client, reverse(name))
    assert "ana@example.com" in page(client, reverse("account_email"))


def test_a_password_is_chosen_anew_by_the_link_in_a_mail(client: Client) -> None:
    user = make_user(Role.ANALYST, make_application(), email="ana@example.com")
    client.post(reverse("account_reset_password"), {"email": "ana@example.com"})
    [sent] = mail.outbox
    [link] = re.findall(r"http://testserver(\S+)", str(sent.body))
    assert user.username in sent.body
    form = client.get(link)
    assert form.status_code == 302
    assert "Choose a new password" in page(client, form.headers["Location"])
    words = {"password1": "staple battery", "password2": "staple battery"}
    assert client.post(form.headers["Location"], words).status_code == 302
    user.refresh_from_db()
    assert user.check_password("staple battery")


def test_a_mail_to_an_address_without_account_invites_to_nothing(client: Client) -> None:
    client.post(reverse("account_reset_password"), {"email": "nobody@example.com"})
    [sent] = mail.outbox
    assert "No account has" in str(sent.body)
    assert "http" not in str(sent.body)


def test_a_wrong_password_and_a_wrong_name_are_told_alike(client: Client) -> None:
    user = make_user(Role.ANALYST, make_application(), email="ana@example.com")
    for login in (user.username, "ana@example.com", "nobody", "nobody@example.com"):
        answer = client.post(reverse("account_login"), {"login": login, "password": "guess"})
        assert "No account has this name and this password" in answer.content.decode(), login
