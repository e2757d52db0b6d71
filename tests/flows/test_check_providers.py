"""manage.py check_providers: every credential is tried against its cloud."""

import socket
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone

from campaigns import channels
from devices.models import Application, Environment, Provider
from tests.factories import apns_key, make_application, make_credential
from tests.flows.conftest import make_shop
from tests.flows.processes import Gateways

pytestmark = pytest.mark.django_db


def check() -> tuple[list[str], str]:
    """What it printed, and why it failed."""
    said, exit_code, why = StringIO(), 0, ""
    try:
        call_command("check_providers", stdout=said)
    except CommandError as failure:
        exit_code, why = failure.returncode, str(failure)
    assert exit_code == bool(why)
    return said.getvalue().splitlines(), why


def named(application: Application, name: str) -> None:
    application.name = name
    application.save()


def test_each_credential_gets_a_sentence(gateways: Gateways) -> None:
    named(make_shop(), "Shop")

    lines, failure = check()

    assert failure == ""
    assert lines == [
        "Shop, Apple Push Notification service (production) works (answer: BadDeviceToken).",
        "Shop, Firebase Cloud Messaging works (answer: INVALID_ARGUMENT).",
    ]


def test_one_that_is_refused_fails_the_command_and_is_written_down(gateways: Gateways) -> None:
    named(make_shop(), "Shop")
    refused = make_credential(
        make_application(name="Other"), Provider.APNS, data={**apns_key(), "key_id": "ZZZZZ99999"}
    )

    lines, failure = check()

    assert failure == "1 of 3 do not work."
    assert lines[0].startswith(
        "Other, Apple Push Notification service (production) does not work: "
    )
    assert "InvalidProviderToken" in lines[0]
    refused.refresh_from_db()
    assert refused.test_ok is False
    assert refused.tested_at is not None
    assert refused.test_answer.rstrip(".") in lines[0]


def test_a_credential_that_works_again_lets_its_application_send_on(gateways: Gateways) -> None:
    shop = make_shop()
    shop.credentials.update(paused_at=timezone.now(), pause_reason="403")

    check()

    assert not shop.credentials.exclude(paused_at=None).exists()


def test_one_that_is_switched_off_is_named_and_not_tested() -> None:
    credential = make_credential(make_application(name="Shop"), enabled=False)

    lines, failure = check()

    assert (lines, failure) == (
        ["Shop, Firebase Cloud Messaging is switched off and was not tested."],
        "",
    )
    credential.refresh_from_db()
    assert credential.tested_at is None


def test_one_that_no_key_opens_is_told_beside_the_others(gateways: Gateways, settings: Any) -> None:
    application = make_application(name="Shop")
    make_credential(application, Provider.APNS, environment=Environment.SANDBOX)
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    make_credential(application, Provider.APNS)

    lines, failure = check()

    assert failure == "1 of 2 do not work."
    assert "(production) works" in lines[0]
    assert "(sandbox) does not work: FIELD_KEYS: none of its keys opens" in lines[1]


@pytest.fixture
def silent_cloud(settings: Any) -> Iterator[None]:
    """Something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.GATEWAYS = server.getsockname()
        yield


def test_a_cloud_that_says_nothing_is_not_waited_for_without_end(
    silent_cloud: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_credential(make_application(name="Shop"), Provider.APNS)
    monkeypatch.setattr(channels, "TEST_SECONDS", 1.0)

    lines, failure = check()

    assert failure == "1 of 1 do not work."
    assert lines[0].endswith("does not work: it did not answer within 1 seconds.")


def test_without_credentials_it_says_where_they_go() -> None:
    assert check() == (
        ["There are no credentials yet: add them under Settings, Applications."],
        "",
    )
