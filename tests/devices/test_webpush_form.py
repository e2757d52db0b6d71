"""The key pair of Web Push, as an administrator makes or brings it."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.staticfiles.finders import find
from django.test import Client
from django.urls import reverse

from campaigns import channels
from devices.models import Application, Platform, Provider, ProviderCredential, Role
from providers.webpush import WebPushProvider
from tests.factories import make_application, make_registrations, make_user
from tests.providers.browsers import make_vapid

pytestmark = pytest.mark.django_db

CONTACT = "mailto:push@shop.example"


@pytest.fixture
def application(client: Client) -> Application:
    application = make_application()
    client.force_login(make_user(Role.ADMINISTRATOR, application))
    return application


def url_of(application: Application) -> str:
    known = application.credentials.filter(provider=Provider.WEBPUSH).first()
    if known is None:
        return reverse("devices:credential-new", args=[application.pk, "webpush"])
    return reverse("devices:credential-edit", args=[application.pk, known.pk])


def enter(client: Client, application: Application, **form: str) -> Any:
    return client.post(url_of(application), {"subject": CONTACT, **form})


def kept(application: Application) -> ProviderCredential:
    return application.credentials.get(provider=Provider.WEBPUSH)


def own_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_a_key_pair_is_made(client: Client, application: Application) -> None:
    assert enter(client, application).status_code == 302

    credential = kept(application)
    assert isinstance(channels.build(credential), WebPushProvider)
    assert set(credential.data) == {"subject", "private_key", "public_key"}
    assert credential.hint == f"{CONTACT}, key …{credential.data['public_key'][-4:]}"


def test_the_page_hands_out_what_a_site_needs(
    client: Client, application: Application, settings: Any
) -> None:
    settings.PUBLIC_BASE_URL = "https://push.example"
    enter(client, application)

    form = client.get(url_of(application)).context["form"]

    code = application.code
    assert form.page_tag == (
        f'<script src="https://push.example/static/sdk/pushadmin.js" data-application="{code}" '
        'data-worker="/pushadmin-worker.js"></script>'
    )
    assert form.worker_file == (
        f'self.pushadmin = {{"url": "https://push.example", "application": "{code}"}}; '
        'importScripts("https://push.example/static/sdk/pushadmin-worker.js");'
    )
    for script in ("pushadmin.js", "pushadmin-worker.js"):
        assert find(f"sdk/{script}")


def test_no_two_applications_get_the_same_pair(client: Client, application: Application) -> None:
    other = make_application()
    make_user(Role.ADMINISTRATOR, other)
    client.force_login(make_user(is_superuser=True))
    enter(client, application)
    enter(client, other)

    assert kept(application).data["private_key"] != kept(other).data["private_key"]


def test_the_public_key_is_shown_and_the_private_one_never(
    client: Client, application: Application
) -> None:
    enter(client, application)
    data = kept(application).data

    for url in (url_of(application), reverse("devices:application-detail", args=[application.pk])):
        page = client.get(url).content.decode()
        assert data["private_key"] not in page
    assert data["public_key"] in client.get(url_of(application)).content.decode()


@pytest.mark.parametrize("form", ["base64url", "padded", "pem"])
def test_a_pair_can_be_brought_along(client: Client, application: Application, form: str) -> None:
    key = own_key()
    vapid = make_vapid(key)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    text = {"base64url": vapid["private_key"], "padded": f" {vapid['private_key']}= ", "pem": pem}

    assert enter(client, application, private_key=text[form]).status_code == 302

    assert kept(application).data == {**vapid, "subject": CONTACT}


@pytest.mark.parametrize(
    "text", ["x", "A" * 43, "_" * 43, "-----BEGIN PRIVATE KEY-----\nx", "B" * 87]
)
def test_a_key_that_is_none_is_refused(client: Client, application: Application, text: str) -> None:
    answer = enter(client, application, private_key=text)

    assert answer.status_code == 422
    assert "private_key" in answer.context["form"].errors
    assert not application.credentials.exists()


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "push@shop.example",
        "mailto: push@shop.example",
        "mailto:<push@shop.example>",
        "mailto:push@localhost",
        "mailto:push@shop.local",
        "https://localhost/",
        "http://shop.example",
    ],
)
def test_a_contact_that_apple_refuses_is_refused(
    client: Client, application: Application, subject: str
) -> None:
    answer = enter(client, application, subject=subject)

    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"subject"}


def test_saving_again_keeps_the_pair(client: Client, application: Application) -> None:
    enter(client, application)
    before = kept(application).data

    enter(client, application, subject="https://shop.example/contact")

    assert kept(application).data == {**before, "subject": "https://shop.example/contact"}


def test_a_pair_changes_only_when_the_loss_is_meant(
    client: Client, application: Application
) -> None:
    enter(client, application)
    before = kept(application).data
    make_registrations(application, 3, platform=Platform.WEB)

    for change in ({"renew": "on"}, {"private_key": make_vapid(own_key())["private_key"]}):
        answer = enter(client, application, **change)
        assert answer.status_code == 422
        assert "3 browsers are subscribed" in str(answer.context["form"].errors["lose"])
    assert kept(application).data == before

    assert enter(client, application, renew="on", lose="on").status_code == 302
    assert kept(application).data["public_key"] != before["public_key"]


def test_a_pair_that_nobody_subscribed_with_changes_at_once(
    client: Client, application: Application
) -> None:
    enter(client, application)
    before = kept(application).data

    assert enter(client, application, renew="on").status_code == 302

    assert kept(application).data["public_key"] != before["public_key"]


def test_a_key_is_either_pasted_or_made(client: Client, application: Application) -> None:
    enter(client, application)
    pasted = make_vapid(own_key())["private_key"]

    answer = enter(client, application, renew="on", private_key=pasted)

    assert "renew" in answer.context["form"].errors
