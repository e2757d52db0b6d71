"""Pages of credentials: keys that are kept, refused, changed, in doubt, removed."""

import hashlib
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from devices import closing
from devices.closing import DeadAddress
from devices.models import Address, AuditEntry, Breaker, Provider, ProviderCredential
from tests.devices.application_pages import APNS, administrator, apns_url, fcm_url
from tests.devices.keys import apns_pem, other_curve_pem, rsa_pem, service_account_json
from tests.factories import make_application, make_credential, make_registrations

pytestmark = pytest.mark.django_db


def test_a_pasted_service_account_is_kept_encrypted_and_not_shown_again(client: Client) -> None:
    application = make_application()
    administrator(client, application)

    response = client.post(fcm_url(application), {"json_text": service_account_json()})

    assert response.status_code == 302
    credential = application.credentials.get()
    assert credential.data["service_account"]["project_id"] == "shop-test"
    assert credential.hint == "Project shop-test, key …cdef"
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM devices_providercredential")
        assert b"PRIVATE KEY" not in bytes(cursor.fetchone()[0])
    for name, arguments in (
        ("devices:application-detail", [application.pk]),
        ("devices:credential-edit", [application.pk, credential.pk]),
    ):
        assert "PRIVATE KEY" not in client.get(reverse(name, args=arguments)).content.decode()
    entry = AuditEntry.objects.get(action="add credential")
    assert "PRIVATE" not in str(entry.after)


def test_an_uploaded_service_account_counts_like_a_pasted_one(client: Client) -> None:
    application = make_application()
    administrator(client, application)
    file = SimpleUploadedFile("key.json", b"\xef\xbb\xbf" + service_account_json().encode())

    client.post(fcm_url(application), {"file": file})

    assert application.credentials.get().provider == Provider.FCM


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Choose the service account file"),
        ("{", "This is not JSON"),
        ("[" * 10_000, "This is not JSON"),
        ("[]", "not a service account"),
        (service_account_json(type="authorized_user"), "not a service account"),
        (service_account_json(project_id=None), "project_id"),
        (service_account_json(private_key_id=7), "private_key_id"),
        (service_account_json(private_key="secret"), "not an RSA key"),
        (service_account_json(private_key=apns_pem()), "not an RSA key"),
    ],
)
def test_what_is_no_service_account_is_refused_by_the_member_at_fault(
    client: Client, typed: str, said: str
) -> None:
    application = make_application()
    administrator(client, application)

    response = client.post(fcm_url(application), {"json_text": typed})

    assert response.status_code == 422
    assert said in str(response.context["form"].errors)
    assert not application.credentials.exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"{" * 30_000], ids=["binary", "too large"])
def test_a_file_that_cannot_be_a_key_is_refused(client: Client, content: bytes) -> None:
    application = make_application()
    administrator(client, application)

    response = client.post(fcm_url(application), {"file": SimpleUploadedFile("x.json", content)})

    assert "as the provider gave it" in str(response.context["form"].errors["file"])


def test_an_apns_key_is_kept_with_its_ids(client: Client) -> None:
    application = make_application()
    administrator(client, application)

    client.post(apns_url(application), {**APNS, "environment": "sandbox", "key_text": apns_pem()})

    credential = application.credentials.get()
    assert (credential.provider, credential.environment) == ("apns", "sandbox")
    assert credential.data == {**APNS, "key_pem": apns_pem().strip()}
    assert credential.hint == "com.example.shop, key …DEFG"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"key_id": "short"}, "key_id"),
        ({"team_id": "DEF-23GHIJ"}, "team_id"),
        ({"topic": "com example"}, "topic"),
        ({"key_text": ""}, "file"),
        ({"key_text": rsa_pem()}, "key_text"),
        ({"key_text": other_curve_pem()}, "key_text"),
        ({"environment": "moon"}, "environment"),
    ],
)
def test_an_apns_field_that_cannot_be_right_is_named(
    client: Client, changed: dict[str, Any], field: str
) -> None:
    application = make_application()
    administrator(client, application)
    typed = {**APNS, "environment": "production", "key_text": apns_pem(), **changed}

    response = client.post(apns_url(application), typed)

    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]


def test_one_environment_has_one_apns_key(client: Client) -> None:
    application = make_application()
    administrator(client, application)
    make_credential(application, Provider.APNS)

    response = client.post(
        apns_url(application), {**APNS, "environment": "production", "key_text": apns_pem()}
    )

    assert "already has a key" in str(response.context["form"].errors["environment"])
    assert application.credentials.count() == 1


def test_a_changed_credential_is_new_to_the_cloud_and_sending_goes_on(client: Client) -> None:
    application = make_application()
    administrator(client, application)
    client.post(
        apns_url(application), {**APNS, "environment": "production", "key_text": apns_pem()}
    )
    credential = application.credentials.get()
    application.credentials.update(
        test_ok=False, test_answer="no", paused_at=credential.created_at, pause_reason="no"
    )

    client.post(
        reverse("devices:credential-edit", args=[application.pk, credential.pk]),
        {**APNS, "team_id": "ZZZZ23GHIJ"},
    )

    credential.refresh_from_db()
    assert credential.data["team_id"] == "ZZZZ23GHIJ"
    assert credential.data["key_pem"] == apns_pem().strip()
    assert credential.version == 2
    assert (credential.test_ok, credential.test_answer) == (None, "")
    assert credential.paused_at is None


@pytest.mark.parametrize(("decision", "closed"), [("close", 400), ("keep", 0)])
def test_a_person_decides_about_too_many_dead_addresses(
    client: Client, decision: str, closed: int
) -> None:
    application = make_application()
    administrator(client, application)
    credential = make_credential(application)
    dead = [
        DeadAddress(
            device.pk,
            hashlib.sha256(device.address.token.encode()).digest(),
            Address.Closed.UNINSTALLED,
            "404 UNREGISTERED",
        )
        for device in make_registrations(application, 400)
    ]
    closing.suspect(credential, dead, answers=500)
    page = client.get(reverse("devices:application-detail", args=[application.pk]))
    assert "The cloud called 400 of 500 addresses dead." in page.content.decode()
    assert "Keep all 400 devices and go on" in page.content.decode()

    address = reverse(f"devices:credential-{decision}-dead", args=[application.pk, credential.pk])
    client.post(address)
    client.post(address)  # a second click changes nothing

    credential.refresh_from_db()
    assert credential.paused_at is None
    assert Address.objects.exclude(closed_at=None).count() == closed
    assert AuditEntry.objects.filter(action=f"{decision} dead addresses").count() == 1


def test_a_corrected_credential_still_waits_for_the_decision(client: Client) -> None:
    application = make_application()
    administrator(client, application)
    credential = make_credential(application, paused_at=timezone.now(), pause_reason="so many")
    Breaker.objects.create(credential=credential, tripped_at=timezone.now())

    client.post(
        reverse("devices:credential-edit", args=[application.pk, credential.pk]),
        {"json_text": service_account_json(), "rate": "500"},
    )

    credential = ProviderCredential.objects.get()
    assert (credential.version, credential.rate) == (2, 500)
    assert credential.paused_at is not None


def test_a_removed_credential_leaves_a_trace_without_its_secret(client: Client) -> None:
    application = make_application()
    administrator(client, application)
    credential = make_credential(application, data={"service_account": {"private_key": "hush"}})

    client.post(reverse("devices:credential-remove", args=[application.pk, credential.pk]))

    assert not application.credentials.exists()
    assert "hush" not in str(AuditEntry.objects.get(action="remove credential").before)


def test_a_credential_of_another_application_is_not_found(client: Client) -> None:
    application = make_application()
    administrator(client, application)
    foreign = make_credential(make_application())

    for name in ("devices:credential-edit", "devices:credential-remove"):
        url = reverse(name, args=[application.pk, foreign.pk])
        assert client.post(url).status_code == 404


def test_a_refused_credential_is_announced_on_every_page(client: Client) -> None:
    application = make_application()
    administrator(client, application)
    make_credential(application, paused_at=application.created_at, pause_reason="refused")

    page = client.get(reverse("devices:list", args=[application.pk])).content.decode()

    assert "refuses our credential" in page
