"""The account of an SMS gateway, as an administrator enters it."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from campaigns import channels
from devices.models import Application, AuditEntry, Provider, ProviderCredential, Role
from providers.base import PushNotification
from providers.sms import SmsProvider
from tests.factories import make_application, make_user

pytestmark = pytest.mark.django_db

INFOBIP = {
    "shape": "infobip",
    "base_url": "https://xyz.api.infobip.com/",
    "api_key": "key-12345678",
    "sender": "Shop",
    "price": "0.045",
    "currency": "eur",
}
TWILIO = {
    "shape": "twilio",
    "account_sid": "AC" + "0" * 32,
    "auth_token": "token-87654321",
    "sender": "+15005550006",
    "currency": "EUR",
}


@pytest.fixture
def application(client: Client) -> Application:
    application = make_application()
    client.force_login(make_user(Role.ADMINISTRATOR, application))
    return application


def enter(client: Client, application: Application, form: dict[str, str]) -> Any:
    known = application.credentials.filter(provider=Provider.SMS).first()
    url = (
        reverse("devices:credential-edit", args=[application.pk, known.pk])
        if known
        else reverse("devices:credential-new", args=[application.pk, "sms"])
    )
    return client.post(url, form)


def kept(application: Application) -> ProviderCredential:
    return application.credentials.get(provider=Provider.SMS)


def test_an_account_with_infobip_is_kept(client: Client, application: Application) -> None:
    assert enter(client, application, INFOBIP).status_code == 302

    credential = kept(application)
    callback = credential.data.pop("callback")
    assert credential.data == {
        "shape": "infobip",
        "base_url": "https://xyz.api.infobip.com",
        "api_key": "key-12345678",
        "sender": "Shop",
        "price": "0.045",
        "currency": "EUR",
    }
    assert re.fullmatch(rf"{application.pk}/[\w-]{{32}}", callback)
    assert credential.hint == "Infobip, from Shop, key …5678"


def test_an_account_with_twilio_is_kept_without_fields_of_others(
    client: Client, application: Application
) -> None:
    enter(client, application, {**TWILIO, "api_key": "forgotten", "base_url": ""})

    credential = kept(application)
    assert set(credential.data) == {"shape", "account_sid", "auth_token", "sender", "callback"}
    assert credential.hint == "Twilio, from +15005550006, key …4321"


@pytest.mark.parametrize("form", [INFOBIP, {**INFOBIP, "shape": "infobip_v2"}, TWILIO])
def test_a_kept_account_is_what_the_provider_takes(
    client: Client, application: Application, form: dict[str, str], settings: Any
) -> None:
    settings.PUBLIC_BASE_URL = "https://push.example"
    enter(client, application, form)

    provider = channels.build(kept(application))

    assert isinstance(provider, SmsProvider)
    assert provider.compile(PushNotification(text="Hi")).sender == form["sender"]


def test_secrets_are_not_shown_again_and_stay_when_left_empty(
    client: Client, application: Application
) -> None:
    enter(client, application, INFOBIP)
    before = kept(application)
    page = client.get(reverse("devices:credential-edit", args=[application.pk, before.pk]))
    assert b"key-12345678" not in page.content
    assert before.data["callback"].encode() not in page.content
    assert b"https://xyz.api.infobip.com" in page.content

    enter(client, application, {**INFOBIP, "api_key": "", "sender": "News"})

    after = kept(application)
    assert (after.data["api_key"], after.data["sender"]) == ("key-12345678", "News")
    assert after.data["callback"] == before.data["callback"]
    assert after.version == before.version + 1
    trail = str(list(AuditEntry.objects.values_list("before", "after")))
    assert "12345678" not in trail
    assert before.data["callback"] not in trail


def test_the_address_of_reports_can_be_revoked(client: Client, application: Application) -> None:
    enter(client, application, INFOBIP)
    before = kept(application).data["callback"]

    enter(client, application, {**INFOBIP, "renew_callback": "on"})

    assert kept(application).data["callback"] != before


def test_a_secret_of_one_gateway_does_not_serve_another(
    client: Client, application: Application
) -> None:
    enter(client, application, INFOBIP)

    response = enter(client, application, {**TWILIO, "auth_token": ""})

    assert response.status_code == 422
    assert "auth_token" in response.context["form"].errors


@pytest.mark.parametrize(
    ("form", "field", "said"),
    [
        ({**INFOBIP, "shape": ""}, "shape", "Fill in"),
        ({**INFOBIP, "shape": "pigeon"}, "shape", "valid choice"),
        ({**INFOBIP, "base_url": ""}, "base_url", "Enter the Base URL"),
        ({**INFOBIP, "base_url": "http://xyz.api.infobip.com"}, "base_url", "https://"),
        ({**INFOBIP, "base_url": "xyz.api.infobip.com"}, "base_url", "https://"),
        ({**INFOBIP, "base_url": "https://u:p@xyz.example"}, "base_url", "only https://"),
        ({**INFOBIP, "base_url": "https://xyz.example/sms"}, "base_url", "without a path"),
        ({**INFOBIP, "base_url": "https://localhost"}, "base_url", "private network"),
        ({**INFOBIP, "base_url": "https://intranet"}, "base_url", "private network"),
        ({**INFOBIP, "base_url": "https://db.internal"}, "base_url", "private network"),
        ({**INFOBIP, "base_url": "https://127.0.0.1"}, "base_url", "private network"),
        ({**INFOBIP, "base_url": "https://[::1]"}, "base_url", "private network"),
        ({**INFOBIP, "base_url": "https://0x7f.1"}, "base_url", "Enter the host"),
        ({**INFOBIP, "base_url": "https://a_b.example"}, "base_url", "Enter the host"),
        ({**INFOBIP, "base_url": "https://["}, "base_url", "not an address"),
        ({**INFOBIP, "base_url": "https://x.example:99999"}, "base_url", "not an address"),
        ({**INFOBIP, "api_key": ""}, "api_key", "Enter the API key"),
        ({**INFOBIP, "api_key": "ключ"}, "api_key", "copy it anew"),
        ({**INFOBIP, "sender": ""}, "sender", "Fill in"),
        ({**INFOBIP, "sender": "Twelve chars"}, "sender", "1 to 11"),
        ({**INFOBIP, "sender": "Магазин"}, "sender", "1 to 11"),
        ({**INFOBIP, "sender": "MG" + "0" * 32}, "sender", "Twilio"),
        ({**INFOBIP, "price": "-1"}, "price", "Type 0 or more."),
        ({**INFOBIP, "price": "NaN"}, "price", "number"),
        ({**INFOBIP, "currency": ""}, "currency", "currency of the price"),
        ({**INFOBIP, "currency": "€"}, "currency", "three letters"),
        ({**TWILIO, "account_sid": "AC1"}, "account_sid", "32 letters"),
        ({**TWILIO, "account_sid": ""}, "account_sid", "Enter the Account SID"),
        ({**TWILIO, "auth_token": ""}, "auth_token", "Enter the Auth token"),
    ],
)
def test_what_cannot_be_an_account_is_refused_by_its_field(
    client: Client, application: Application, form: dict[str, str], field: str, said: str
) -> None:
    response = enter(client, application, form)

    assert response.status_code == 422
    assert said in " ".join(response.context["form"].errors[field])
    assert not application.credentials.exists()


def test_an_application_has_one_gateway(client: Client, application: Application) -> None:
    enter(client, application, INFOBIP)

    detail = client.get(reverse("devices:application-detail", args=[application.pk]))
    new = client.get(reverse("devices:credential-new", args=[application.pk, "sms"]))

    assert Provider.SMS not in detail.context["offers"]
    assert "SMS gateway" in detail.content.decode()
    assert new.status_code == 302
