"""How the demo's applications prove to the simulated clouds who they are."""

import secrets
from functools import partial
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.urls import reverse

from devices.models import Application, Provider, ProviderCredential
from simulator import browsers, infobip

SENDER = "Shop"  # of text messages


def connect(applications: list[Application], *, control: str, base_url: str) -> None:
    """Credentials with keys made now; the clouds are told the public halves.

    `control` is the simulated clouds' control API, `base_url` where they report to.
    """
    accounts, keys, texting, huawei, codes = [], [], [], [], {}
    for application in applications:
        name = application.name.lower()
        account = _credential(application, Provider.FCM, partial(_service_account, name))
        apns = _credential(application, Provider.APNS, partial(_apns_key, name))
        service_account = account.data["service_account"]
        accounts.append(
            {
                "project_id": service_account["project_id"],
                "client_email": service_account["client_email"],
                "private_key_id": service_account["private_key_id"],
                "public_key_pem": _public(service_account["private_key"]),
            }
        )
        keys.append(
            {
                "team_id": apns.data["team_id"],
                "key_id": apns.data["key_id"],
                "topics": [apns.data["topic"]],
                "environment": "production",
                "public_key_pem": _public(apns.data["key_pem"]),
            }
        )
        sms = _credential(application, Provider.SMS, partial(_sms_account, application.pk))
        known = ("api_key", "currency")
        texting.append(
            {name: sms.data[name] for name in known}
            | {"senders": [sms.data["sender"]], "price": float(sms.data["price"])}
        )
        hms = _credential(application, Provider.HMS, _huawei_app)
        huawei.append(_known_to_huawei(hms, base_url))
        web = _credential(application, Provider.WEBPUSH, partial(_vapid_key, name))
        codes[web.data["public_key"]] = application.code
        codes[hms.data["client_id"]] = application.code
        codes[service_account["project_id"]] = application.code
        codes[apns.data["topic"]] = application.code
    for path, body in (
        ("/credentials", {"fcm": accounts, "apns": keys, "infobip": texting, "hms": huawei}),
        ("/phones", {"base_url": base_url, "applications": codes}),
    ):
        httpx.post(f"{control}{path}", json=body, timeout=30).raise_for_status()


def _credential(application: Application, provider: Provider, make: Any) -> ProviderCredential:
    found = ProviderCredential.objects.filter(application=application, provider=provider).first()
    if found is not None:
        return found
    data, hint = make()
    return ProviderCredential.objects.create(
        application=application, provider=provider, data=data, hint=hint
    )


def _service_account(name: str) -> tuple[dict[str, Any], str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    project, key_id = f"{name}-demo", secrets.token_hex(20)
    account = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": key_id,
        "private_key": _private(key),
        "client_email": f"push@{project}.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return {"service_account": account}, f"Project {project}, key …{key_id[-4:]}"


def _apns_key(name: str) -> tuple[dict[str, Any], str]:
    key_id, team_id = (secrets.token_hex(5).upper() for _ in range(2))
    topic = f"com.example.{name}"
    data = {
        "key_id": key_id,
        "team_id": team_id,
        "topic": topic,
        "key_pem": _private(ec.generate_private_key(ec.SECP256R1())),
    }
    return data, f"{topic}, key …{key_id[-4:]}"


def _vapid_key(name: str) -> tuple[dict[str, Any], str]:
    key = ec.generate_private_key(ec.SECP256R1())
    public = browsers.packed(browsers.point(key.public_key()))
    subject = f"mailto:push@{name}.example"
    data = {
        "subject": subject,
        "private_key": browsers.packed(key.private_numbers().private_value.to_bytes(32, "big")),
        "public_key": public,
    }
    return data, f"{subject}, key …{public[-4:]}"


def _sms_account(application_id: int) -> tuple[dict[str, Any], str]:
    key = secrets.token_hex(16)
    data = {
        "shape": "infobip",
        "base_url": f"https://{infobip.HOST}",
        "api_key": key,
        "sender": SENDER,
        "price": "0.045",
        "currency": "EUR",
        "callback": f"{application_id}/{secrets.token_urlsafe(24)}",
    }
    return data, f"Infobip, from {SENDER}, key …{key[-4:]}"


def _huawei_app() -> tuple[dict[str, Any], str]:
    """Both logins of an app, and the key its receipts are signed with."""
    app_id, project = (str(10**8 + secrets.randbelow(10**8)) for _ in range(2))
    secret, key_id = secrets.token_hex(32), secrets.token_hex(16)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    data = {
        "client_id": app_id,
        "client_secret": secret,
        "service_account": {
            "project_id": project,
            "key_id": key_id,
            "sub_account": str(10**8 + secrets.randbelow(10**8)),
            "private_key": _private(key),
        },
        "category": "MARKETING",
        "callback_user": "receipts",
        "callback_key": secrets.token_urlsafe(24),
    }
    return data, f"App {app_id}, secret …{secret[-4:]}"


def _known_to_huawei(credential: ProviderCredential, base_url: str) -> dict[str, Any]:
    """What the simulated Push Kit knows of an app, and where it is to send receipts."""
    data, code = credential.data, credential.application.code
    account = data["service_account"]
    return {
        "app_id": data["client_id"],
        "client_secret": data["client_secret"],
        "project_id": account["project_id"],
        "keys": [
            {
                "key_id": account["key_id"],
                "sub_account": account["sub_account"],
                "public_key_pem": _public(account["private_key"]),
            }
        ],
        "receipts": [
            {
                "url": f"{base_url}{reverse('api:huawei-receipts', args=[code])}",
                "user": data["callback_user"],
                "key": data["callback_key"],
            }
        ],
    }


def _private(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _public(private: str) -> str:
    key = serialization.load_pem_private_key(private.encode(), None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
