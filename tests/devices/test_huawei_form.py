"""The page of a Huawei credential: what is kept, and what is said about what cannot be."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from campaigns import channels
from devices.models import Application, AuditEntry, Provider, ProviderCredential, Role
from providers.huawei import HuaweiProvider
from tests.factories import huawei_client, make_application, make_credential, make_user
from tests.providers.keys import make_huawei_account, make_service_account

pytestmark = pytest.mark.django_db
TYPED = {"client_id": "101234567", "client_secret": "s3cret", "category": "MARKETING"}
ACCOUNT = make_huawei_account()


@pytest.fixture
def application() -> Application:
    return make_application()


@pytest.fixture
def admin(application: Application, client: Client) -> User:
    user = make_user(Role.ADMINISTRATOR, application)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return user


def enter(client: Client, application: Application, **typed: Any) -> dict[str, list[str]]:
    """Type it in; the errors by field."""
    known = application.credentials.first()
    url = (
        reverse("devices:credential-edit", args=[application.pk, known.pk])
        if known
        else reverse("devices:credential-new", args=[application.pk, "hms"])
    )
    answer = client.post(url, typed)
    if answer.status_code == 302:
        return {}
    assert answer.status_code == 422
    return dict(answer.context["form"].errors)


@pytest.mark.usefixtures("admin")
def test_an_oauth_client_is_kept_and_can_be_used(client: Client, application: Application) -> None:
    assert enter(client, application, **TYPED) == {}

    credential = ProviderCredential.objects.get()
    assert credential.provider == Provider.HMS
    assert credential.data == TYPED
    assert credential.hint == "App 101234567, secret …cret"
    assert isinstance(channels.build(credential), HuaweiProvider)
    assert "s3cret" not in str(AuditEntry.objects.values_list("before", "after"))


@pytest.mark.usefixtures("admin")
def test_a_service_account_alone_is_enough(client: Client, application: Application) -> None:
    file = SimpleUploadedFile("account.json", json.dumps({**ACCOUNT, "auth_uri": "x"}).encode())

    assert enter(client, application, category="WORK", file=file) == {}

    credential = ProviderCredential.objects.get()
    assert credential.data == {"category": "WORK", "service_account": ACCOUNT}
    assert credential.hint == "Project 388421841222199, key …ey-1"
    assert isinstance(channels.build(credential), HuaweiProvider)


@pytest.mark.usefixtures("admin")
def test_kept_secrets_stay_while_their_fields_are_empty(
    client: Client, application: Application
) -> None:
    data = {**huawei_client(), "service_account": ACCOUNT}
    credential = make_credential(application, Provider.HMS, data=data)
    typed = {
        "client_id": "101234568",
        "category": "IM",
        "badge_class": "com.example.shop.Main",
        "receipt_id": "RCP1",
        "callback_user": "receipts",
    }

    assert enter(client, application, **typed) == {}

    credential.refresh_from_db()
    assert credential.data == {**data, **typed}
    assert credential.version == 2


@pytest.mark.usefixtures("admin")
def test_no_secret_is_shown_and_the_address_for_receipts_is(
    client: Client, application: Application
) -> None:
    data = {**huawei_client(), "service_account": ACCOUNT}
    credential = make_credential(application, Provider.HMS, data=data)

    page = client.get(
        reverse("devices:credential-edit", args=[application.pk, credential.pk])
    ).content.decode()

    assert f"/callbacks/huawei/{application.code}" in page
    for secret in ("s3cret", "receipt-key", "PRIVATE KEY-----\n"):
        assert secret not in page


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"client_id": "", "client_secret": ""}, "client_id", "Enter the app ID"),
        ({"client_id": "com.example"}, "client_id", "digits only"),
        ({"client_secret": ""}, "client_secret", "Enter the client secret"),
        ({"client_secret": "schlüssel"}, "client_secret", "characters"),
        ({"category": "NEWS"}, "category", "valid choice"),
        ({"badge_class": "Main"}, "badge_class", "its package"),
        ({"receipt_id": "a b"}, "receipt_id", "letters and digits"),
        ({"callback_user": "u"}, "callback_key", "Enter the key"),
        ({"callback_key": "k"}, "callback_user", "Enter the user name"),
        ({"json_text": "{"}, "json_text", "not JSON"),
        ({"json_text": "[]"}, "json_text", '"project_id" is missing'),
        ({"json_text": json.dumps(make_service_account())}, "json_text", '"key_id" is missing'),
        (
            {"json_text": json.dumps(make_huawei_account(project_id="../v1"))},
            "json_text",
            "digits only",
        ),
        (
            {"json_text": json.dumps(make_huawei_account(private_key="x"))},
            "json_text",
            "not an RSA key",
        ),
        ({"rate": "0"}, "rate", "or more"),
    ],
)
def test_what_cannot_be_kept_names_field_and_fix(
    client: Client, application: Application, changes: dict[str, str], field: str, words: str
) -> None:
    errors = enter(client, application, **{**TYPED, **changes})

    assert list(errors) == [field]
    assert words in errors[field][0]
    assert not ProviderCredential.objects.exists()
