"""manage.py rotate_keys: everything encrypted ends under the first key."""

import threading
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.db.models.functions import Cast

from devices import fields, rotating
from devices.models import Provider, ProviderCredential, UserTokenKey
from tests.factories import make_application, make_credential
from tests.waiting import eventually

pytestmark = pytest.mark.django_db
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture(autouse=True)
def _old_key(settings: Any) -> None:
    settings.FIELD_KEYS = [OLD]


def command() -> tuple[str, str]:
    said, complained = StringIO(), StringIO()
    call_command("rotate_keys", stdout=said, stderr=complained)
    return said.getvalue(), complained.getvalue()


def stored(credential: ProviderCredential) -> bytes:
    [value] = ProviderCredential.objects.filter(pk=credential.pk).values_list(
        Cast("data", models.BinaryField()), flat=True
    )
    return bytes(value)


def data_of(credential: ProviderCredential) -> dict[str, Any]:
    data: dict[str, Any] = ProviderCredential.objects.get(pk=credential.pk).data
    return data


def test_the_old_key_can_be_dropped_afterwards(settings: Any) -> None:
    credentials = [make_credential(make_application(), Provider.APNS) for _ in range(3)]
    before = [data_of(each) for each in credentials]
    UserTokenKey.objects.create(
        application=credentials[0].application, kid="k-1", data={"secret": "s3cret"}
    )
    settings.FIELD_KEYS = [NEW, OLD]

    said, _ = command()

    assert said == (
        "ProviderCredential.data: 3 values, 3 re-encrypted, 0 were under the first key already.\n"
        "UserTokenKey.data: 1 values, 1 re-encrypted, 0 were under the first key already.\n"
        "WebhookSecret.data: 0 values, 0 re-encrypted, 0 were under the first key already.\n"
    )
    settings.FIELD_KEYS = [NEW]
    assert [data_of(each) for each in credentials] == before
    assert UserTokenKey.objects.get().data == {"secret": "s3cret"}
    with pytest.raises(InvalidToken):
        Fernet(OLD).decrypt(stored(credentials[0]))


def test_repeating_it_changes_nothing(settings: Any) -> None:
    credential = make_credential(make_application())
    settings.FIELD_KEYS = [NEW, OLD]
    command()
    before = stored(credential)

    said, _ = command()

    assert "0 re-encrypted, 1 were under the first key" in said
    assert stored(credential) == before


def test_it_goes_through_all_rows_in_batches(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating, "BATCH", 2)
    for _ in range(5):
        make_credential(make_application())
    settings.FIELD_KEYS = [NEW, OLD]
    make_credential(make_application())

    said, _ = command()

    assert "6 values, 5 re-encrypted, 1 were under the first key already" in said


def test_connections_do_not_notice(settings: Any) -> None:
    credential = make_credential(make_application())
    settings.FIELD_KEYS = [NEW, OLD]

    command()

    after = ProviderCredential.objects.get(pk=credential.pk)
    assert (after.version, after.changed_at) == (credential.version, credential.changed_at)


def test_what_no_key_opens_is_named_and_stays(settings: Any) -> None:
    lost = make_credential(make_application())
    before = stored(lost)
    settings.FIELD_KEYS = [NEW]
    make_credential(make_application())

    said, complained = StringIO(), StringIO()
    with pytest.raises(CommandError, match="1 values stay as they are") as failure:
        call_command("rotate_keys", stdout=said, stderr=complained)

    assert failure.value.returncode == 1
    assert complained.getvalue() == f"ProviderCredential.data: no key opens the rows {lost.pk}.\n"
    assert "0 re-encrypted, 1 were under the first key" in said.getvalue()
    assert stored(lost) == before


def test_without_keys_it_says_what_is_missing(settings: Any) -> None:
    settings.FIELD_KEYS = []

    with pytest.raises(CommandError, match="FIELD_KEYS must hold at least one"):
        command()


@pytest.mark.django_db(transaction=True)
def test_what_somebody_saves_meanwhile_is_not_lost(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody enters a new secret while the row is being rotated: the new one stays."""
    credential = make_credential(make_application(), Provider.APNS)
    settings.FIELD_KEYS = [NEW, OLD]
    rotate = fields.rotate

    def save() -> None:
        ProviderCredential.objects.filter(pk=credential.pk).update(data={"key_pem": "new"})
        connection.close()

    saving = threading.Thread(target=save)

    def rotate_while_somebody_saves(value: bytes) -> bytes:
        saving.start()
        eventually(somebody_waits_for_a_lock)
        return rotate(value)

    monkeypatch.setattr(fields, "rotate", rotate_while_somebody_saves)
    command()
    saving.join(30)

    assert data_of(credential) == {"key_pem": "new"}
    assert Fernet(NEW).decrypt(stored(credential))


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else kept until the transaction ends
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        [waiting] = cursor.fetchone() or [0]
    return bool(waiting)
