"""A push certificate as the credential of an application."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from devices.models import Application, Role
from providers.apns import ApnsProvider
from providers.base import Network
from tests.devices.keys import apns_pem
from tests.factories import make_application, make_user
from tests.providers.keys import make_apple_certificate

pytestmark = pytest.mark.django_db
TOPIC = "com.example.shop"
PASSWORD = "Ein gutes Paßwort"


# What the Keychain encrypts exports with, and what newer tools do.
OLD = (
    serialization.PrivateFormat.PKCS12.encryption_builder()
    .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    .hmac_hash(hashes.SHA1())  # noqa: S303
    .build(PASSWORD.encode())
)
NEW = BestAvailableEncryption(PASSWORD.encode())


def make_p12(
    certificate: str,
    key: str,
    encryption: serialization.KeySerializationEncryption = NEW,
) -> bytes:
    loaded = serialization.load_pem_private_key(key.encode(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return pkcs12.serialize_key_and_certificates(
        b"push",
        loaded,
        x509.load_pem_x509_certificate(certificate.encode()),
        None,
        encryption,
    )


def post(
    client: Client, data: bytes, *, application: Application | None = None, **typed: Any
) -> Any:
    application = application or make_application()
    client.force_login(make_user(Role.ADMINISTRATOR, application))
    credential = application.credentials.first()
    url = (
        reverse("devices:credential-edit", args=[application.pk, credential.pk])
        if credential
        else reverse("devices:credential-new", args=[application.pk, "apns"])
    )
    said = {"login": "certificate", "environment": "production", "topic": "", **typed}
    if data:
        said["certificate_file"] = SimpleUploadedFile("push.p12", data)
    return client.post(url, said)


@pytest.mark.parametrize("encryption", [OLD, NEW], ids=["old", "new"])
def test_a_p12_file_is_kept_without_its_password(
    client: Client, encryption: serialization.KeySerializationEncryption
) -> None:
    application = make_application()
    certificate, key = make_apple_certificate()
    file = make_p12(certificate, key, encryption)

    response = post(client, file, application=application, password=PASSWORD)

    assert response.status_code == 302
    credential = application.credentials.get()
    ends = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
    assert credential.hint == f"{TOPIC}, certificate until {ends:%-d %B %Y}"
    assert credential.ends_at == ends
    assert credential.days_left is None  # it is far away
    assert credential.data["topic"] == TOPIC  # as the certificate names it
    assert set(credential.data) == {"topic", "certificate_pem"}
    assert ApnsProvider(**credential.data, network=Network())
    page = client.get(reverse("devices:application-detail", args=[application.pk]))
    assert credential.hint in page.content.decode()


def test_pem_is_taken_too_and_a_topic_with_a_suffix(client: Client) -> None:
    application = make_application()
    data = "".join(make_apple_certificate()).encode()

    post(client, data, application=application, topic=f"{TOPIC}.voip")

    assert application.credentials.get().data["topic"] == f"{TOPIC}.voip"


def test_a_changed_rate_leaves_the_kept_certificate_as_it_is(client: Client) -> None:
    application = make_application()
    post(client, "".join(make_apple_certificate()).encode(), application=application)
    kept = application.credentials.get()

    response = post(client, b"", application=application, topic=TOPIC, rate="7")

    assert response.status_code == 302
    changed = application.credentials.get()
    assert (changed.rate, changed.hint) == (7, kept.hint)
    assert changed.data == kept.data


@pytest.mark.parametrize(("days", "said"), [(9, "ends in 8 days"), (1, "ends today"), (60, "")])
def test_a_certificate_s_end_is_announced(client: Client, days: int, said: str) -> None:
    application = make_application()
    data = "".join(make_apple_certificate(days=days)).encode()
    post(client, data, application=application, topic=TOPIC)

    overview = client.get(reverse("campaigns:overview", args=[application.pk])).content.decode()
    settings = client.get(reverse("devices:application-detail", args=[application.pk]))

    assert ("The certificate for" in overview) is bool(said)
    assert said in overview
    assert ("Ends soon" in settings.content.decode()) is bool(said)


def test_a_certificate_may_take_the_place_of_a_key(client: Client) -> None:
    application = make_application()
    ids = {"key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "topic": TOPIC}
    post(client, b"", application=application, login="key", key_text=apns_pem(), **ids)
    assert "key_pem" in application.credentials.get().data

    post(client, "".join(make_apple_certificate()).encode(), application=application, topic=TOPIC)

    credential = application.credentials.get()
    assert set(credential.data) == {"topic", "certificate_pem"}
    assert credential.ends_at is not None

    post(client, b"", application=application, login="key", key_text=apns_pem(), **ids)
    assert application.credentials.get().ends_at is None


def der(certificate: str) -> bytes:
    """As Apple's page gives it to download."""
    loaded = x509.load_pem_x509_certificate(certificate.encode())
    return loaded.public_bytes(serialization.Encoding.DER)


def locked(key: str) -> str:
    """The key, encrypted."""
    loaded = serialization.load_pem_private_key(key.encode(), None)
    return loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        BestAvailableEncryption(PASSWORD.encode()),
    ).decode()


CERTIFICATE, KEY = make_apple_certificate()
_, OTHER_KEY = make_apple_certificate()


@pytest.mark.parametrize(
    ("data", "typed", "field", "problem"),
    [
        (b"", {}, "certificate_file", "exported as a .p12 file"),
        (b"nothing", {}, "certificate_file", "no .p12 file"),
        (der(CERTIFICATE), {}, "certificate_file", "the certificate alone"),
        (make_p12(CERTIFICATE, KEY), {"password": "wrong"}, "password", "does not open the file"),
        (make_p12(CERTIFICATE, KEY), {}, "password", "does not open the file"),
        (make_p12(CERTIFICATE, KEY)[:-200], {"password": PASSWORD}, "password", "does not open"),
        ((CERTIFICATE + locked(KEY)).encode(), {"password": "wrong"}, "password",
         "does not open the private key"),
        (CERTIFICATE.encode(), {}, "certificate_file", "without its private key"),
        (KEY.encode(), {}, "certificate_file", "no certificate"),
        ((CERTIFICATE + OTHER_KEY).encode(), {}, "certificate_file", "another certificate"),
        ((CERTIFICATE + KEY).encode(), {"topic": "com.other"}, "topic", f"is for {TOPIC}"),
        ((CERTIFICATE + KEY).encode(), {"topic": f"{TOPIC}per"}, "topic", f"is for {TOPIC}"),
        (b"x" * 30_000, {}, "certificate_file", "larger than"),
        ("".join(make_apple_certificate(days=-1)).encode(), {}, "certificate_file", "ended on"),
        ("".join(make_apple_certificate(environments=["sandbox"])).encode(), {},
         "certificate_file", "for Sandbox alone"),
        ("".join(make_apple_certificate(environments=["signs apps"])).encode(), {},
         "certificate_file", "signs apps"),
    ],
    ids=["none", "noise", "bare", "password", "no password", "cut", "password of PEM",
         "no key", "no certificate", "other key", "topic", "longer",
         "large", "ended", "sandbox", "signs apps"],
)  # fmt: skip
def test_what_is_no_certificate_for_this_app_is_refused(
    client: Client, data: bytes, typed: dict[str, Any], field: str, problem: str
) -> None:
    response = post(client, data, **typed)

    assert response.status_code == 422
    assert problem in str(response.context["form"].errors[field])
    assert PASSWORD not in response.content.decode()
