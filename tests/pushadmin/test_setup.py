"""manage.py setup: tables, and the first administrator."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db


def setup(**options: str) -> str:
    said = StringIO()
    call_command("setup", verbosity=0, stdout=said, **options)
    return said.getvalue()


def test_the_first_administrator_can_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "correct horse battery")

    setup(username="ada", email="ada@example.com")

    ada = User.objects.get(username="ada")
    assert ada.is_superuser
    assert ada.check_password("correct horse battery")


def test_repeating_it_changes_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "correct horse battery")
    setup(username="ada")
    monkeypatch.setenv("ADMIN_PASSWORD", "another long password")

    assert "already" in setup(username="eve")

    assert User.objects.get().check_password("correct horse battery")


@pytest.mark.parametrize(("password", "reason"), [("1234", "too short"), ("password", "common")])
def test_a_weak_password_is_refused(
    monkeypatch: pytest.MonkeyPatch, password: str, reason: str
) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", password)

    with pytest.raises(CommandError, match=reason):
        setup()
    assert not User.objects.exists()


def test_without_a_terminal_it_says_where_the_password_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", StringIO())

    with pytest.raises(CommandError, match="ADMIN_PASSWORD"):
        setup()
