"""A shop with people and devices, its team, and a campaign that runs: the demo's content.

Everything can be written twice: what exists is kept, what is missing is made.
"""

import csv
import hashlib
import json
import os
import random
import secrets
import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse

from campaigns import composing, partitions, tasks
from campaigns.models import Bulk, Campaign, InboxTopic, Scenario, Segment, SmsSender
from devices import importing
from devices.models import (
    Address,
    ApiKey,
    ApiUser,
    Application,
    ImportRun,
    Membership,
    Provider,
    ProviderCredential,
    Role,
)
from simulator import infobip
from simulator.certificates import write_private

SHOP, COURIER = "Shop", "Courier"
TEAM = {
    "admin": Role.ADMINISTRATOR,
    "marketer": Role.MARKETER,
    "support": Role.SUPPORT,
    "analyst": Role.ANALYST,
}
SCOPES = [
    "message:send",
    "mobile-app-messaging:manage",
    "people:manage",
    "people:read",
    "inbound-message:read",
]
SENDER, TOPIC = "Shop", "offers"
COURIER_DEVICES = 300
FIRST = [
    "Ana",
    "Ben",
    "Chloé",
    "Dario",
    "Elif",
    "Finn",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Klara",
    "Luca",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
]
LAST = [
    "Meier",
    "Rossi",
    "Dubois",
    "Schmidt",
    "Novak",
    "Silva",
    "Jensen",
    "Kowalski",
    "Weber",
    "Costa",
    "Berg",
    "Moreau",
]
LANGUAGES = ["en-GB", "de", "fr", "es", "it", "de-AT", "pt-BR", "pl"]
ANDROIDS = [("Samsung", "Galaxy S24"), ("Google", "Pixel 9"), ("Xiaomi", "14T"), ("OnePlus", "12")]
HUAWEI = 0.1  # share of what is not iOS
HUAWEIS = [  # maker, model, platform, and how its tokens begin
    ("Huawei", "P60 Pro", "Huawei", "IQAAAACy0"),
    ("Huawei", "nova 11", "Huawei", "IQAAAACy0"),
    ("Huawei", "Mate X5", "Huawei", "IQAAAACy0"),
    ("Huawei", "Mate 70", "HarmonyOS", "MAMzLgIk"),
]
IPHONES = ["iPhone 13", "iPhone 14", "iPhone 15", "iPhone 16", "iPhone SE"]
VERSIONS = ["4.8.2", "4.9.0", "4.9.3", "4.10.0", "4.10.1", "4.11.0-beta"]
ZONES = ["GMT+00:00", "GMT+01:00", "GMT+02:00", "GMT-05:00", "GMT+05:30"]
HEADER = [
    "registration id", "platform", "token", "external id", "phone", "e-mail", "first name",
    "last name", "app version", "os version", "sdk version", "language", "manufacturer", "model",
    "timezone", "notifications enabled", "tags", "plan", "orders", "last_order", "newsletter",
]  # fmt: skip


@dataclass(frozen=True)
class Places:
    """Where the demo lives."""

    home: Path
    base_url: str
    gateways: Path  # gateways.json of the simulated clouds

    @property
    def facts(self) -> Path:
        return self.home / "demo.json"


def load(places: Places, *, devices: int) -> dict[str, Any]:
    """Make what is missing of the demo, and write demo.json; returns its content."""
    known = json.loads(places.facts.read_text()) if places.facts.exists() else {}
    partitions.make_ahead()
    shop, courier = (Application.objects.get_or_create(name=name)[0] for name in (SHOP, COURIER))
    staff = _team([shop, courier], known.get("staff", {}))
    _connect(places, [shop, courier])
    _import(places, shop, devices, seed=7)
    _import(places, courier, min(devices, COURIER_DEVICES), seed=11)
    _segments(shop)
    access = _access(shop, known)
    campaign, bulk = _campaign(shop, User.objects.get(username=staff["marketer"]["username"]))
    facts = {
        "base_url": places.base_url,
        "staff": staff,
        **access,
        "applications": [
            {
                "name": each.name,
                "application_code": each.code,
                "application_id": each.application_id,
            }
            for each in (shop, courier)
        ],
        "sms_sender": SENDER,
        "inbox_topic": TOPIC,
        "sample": _sample(shop),
        "campaign": {
            "bulk_id": bulk.bulk_id,
            "url": places.base_url + campaign.get_absolute_url(),
        },
        "gateways": {"control": _clouds(places)["control"]},
    }
    write_private(places.facts, json.dumps(facts, indent=2).encode() + b"\n")
    return facts


def _clouds(places: Places) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(places.gateways.read_text())
    return found


# ------------------------------------------------------------------- people who sign in


def _team(applications: list[Application], known: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The demo's logins; passwords of an earlier run are kept."""
    staff = {}
    for name, role in TEAM.items():
        password = known.get(name, {}).get("password") or secrets.token_urlsafe(9)
        user, _ = User.objects.get_or_create(
            username=name,
            defaults={"email": f"{name}@example.com", "is_superuser": name == "admin"},
        )
        if not user.check_password(password):
            user.set_password(password)
            user.save()
        for application in applications:
            Membership.objects.get_or_create(
                user=user, application=application, defaults={"role": role}
            )
        staff[name] = {"username": name, "password": password}
    return staff


def _access(application: Application, known: dict[str, Any]) -> dict[str, Any]:
    """Keys of other systems; those of an earlier run are kept."""
    api = known.get("api", {})
    key = api.get("key") or secrets.token_hex(16) + "-" + str(uuid.uuid4())
    password = api.get("password") or secrets.token_urlsafe(12)
    insider = known.get("insider_api_key") or secrets.token_hex(24)
    for name, value, family, owner in (
        ("Demo", key, ApiKey.Family.INFOBIP, None),
        ("Demo of Insider's API", insider, ApiKey.Family.INSIDER, application),
    ):
        ApiKey.objects.get_or_create(
            digest=hashlib.sha256(value.encode()).digest(),
            defaults={
                "name": name,
                "prefix": value[:8],
                "family": family,
                "scopes": SCOPES,
                "application": owner,
                "addresses": ["127.0.0.1"] if owner else [],
            },
        )
    ApiUser.objects.update_or_create(
        username="demo", defaults={"password": make_password(password), "scopes": SCOPES}
    )
    SmsSender.objects.get_or_create(name=SENDER)
    InboxTopic.objects.get_or_create(name=TOPIC)
    return {
        "api": {"key": key, "username": "demo", "password": password},
        "insider_api_key": insider,
    }


# ------------------------------------------------------------------- clouds


def _connect(places: Places, applications: list[Application]) -> None:
    """Credentials with keys made now; the clouds are told the public halves."""
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
        huawei.append(_known_to_huawei(places, hms))
        codes[hms.data["client_id"]] = application.code
        codes[service_account["project_id"]] = application.code
        codes[apns.data["topic"]] = application.code
    control = _clouds(places)["control"]
    for path, body in (
        ("/credentials", {"fcm": accounts, "apns": keys, "infobip": texting, "hms": huawei}),
        ("/phones", {"base_url": places.base_url, "applications": codes}),
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


def _known_to_huawei(places: Places, credential: ProviderCredential) -> dict[str, Any]:
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
                "url": f"{places.base_url}{reverse('api:huawei-receipts', args=[code])}",
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


# ------------------------------------------------------------------- devices


def _import(places: Places, application: Application, count: int, *, seed: int) -> None:
    """Write a CSV of believable devices, and import it as anybody would; once to its end."""
    file = places.home / f"{application.name.lower()}-devices.csv"
    runs = ImportRun.objects.filter(application=application, filename=file.name)
    if runs.filter(status=ImportRun.Status.DONE).exists():
        return
    write_csv(file, count, seed=seed, huawei=HUAWEI)
    run = ImportRun(application=application, filename=file.name, size=file.stat().st_size)
    with file.open("rb") as source:
        importing.run_file(run, source)
    if run.status != ImportRun.Status.DONE or run.refused:
        raise RuntimeError(f"the demo's own file was refused: {run.error or run.refused}")


def write_csv(file: Path, count: int, *, seed: int, huawei: float = 0.0) -> None:
    """A CSV of devices that is the same for the same seed; two in five have an owner.

    `huawei` is the share of what is not iOS that has Huawei's services.
    """
    chance = random.Random(seed)  # believable, not secret
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        for number in range(count):
            writer.writerow(_row(chance, number, huawei))


def _row(chance: random.Random, number: int, huawei: float) -> list[str]:
    ios = chance.random() < 0.38
    token = f"{chance.getrandbits(256):064x}"
    if not ios:
        token = f"{token[:22]}:APA91b{token}{chance.getrandbits(256):064x}"
    platform = "iOS" if ios else "Android"
    owned = number == 0 or chance.random() < 0.4
    # The second of some people's devices: the same identities once more.
    owner = number if number < 10 or chance.random() < 0.8 else chance.randrange(10, number + 1)
    named = random.Random(f"person {owner}")
    first, last = named.choice(FIRST), named.choice(LAST)
    make, model = ("Apple", chance.choice(IPHONES)) if ios else chance.choice(ANDROIDS)
    maker = random.Random(f"maker {number}")
    if not ios and maker.random() < huawei:
        make, model, platform, begin = maker.choice(HUAWEIS)
        token = begin + token.replace(":", "")
    tags = [tag for tag, share in (("vip", 0.06), ("newsletter", 0.45), ("new", 0.15))
            if named.random() < share]  # fmt: skip
    ordered = date(2026, 1, 1) + timedelta(days=named.randrange(300))
    return [
        str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        platform,
        token,
        f"customer-{owner}" if owned else "",
        f"4179{owner:07d}" if owned and owner % 3 == 0 else "",
        f"customer-{owner}@example.com" if owned and owner % 2 == 0 else "",
        first if owned else "",
        last if owned else "",
        chance.choice(VERSIONS),
        chance.choice(["17.6", "18.1", "18.2"] if ios else ["13", "14", "15"]),
        chance.choice(["15.0.0", "15.1.0", "14.2.1"]),
        chance.choices(LANGUAGES, weights=[40, 22, 12, 9, 6, 5, 4, 2])[0],
        make,
        model,
        chance.choice(ZONES),
        "false" if chance.random() < 0.08 else "true",
        "|".join(tags) if owned else "",
        chance.choices(["free", "silver", "gold"], weights=[75, 18, 7])[0],
        str(chance.randrange(0, 30)),
        ordered.isoformat(),
        "true" if chance.random() < 0.5 else "false",
    ]


def _sample(application: Application) -> dict[str, str]:
    """A device with a well-known owner, and one nobody owns."""
    addresses = Address.objects.filter(application=application).order_by("registration_id")
    owned = addresses.filter(
        registration__person__identities__value="customer-0", registration__enabled=True
    ).first()
    anonymous = addresses.filter(registration__person=None).first()
    if owned is None or anonymous is None:
        raise RuntimeError("the demo needs at least 20 devices: set DEMO_DEVICES higher")
    person = owned.registration.person
    values = dict(person.identities.values_list("kind", "value")) if person else {}
    return {
        "registration_id": str(owned.public_id),
        "external_id": values.get(1, ""),
        "phone": values.get(2, ""),
        "email": values.get(3, ""),
        "anonymous_registration_id": str(anonymous.public_id),
    }


# ------------------------------------------------------------------- what is sent


def _segments(application: Application) -> None:
    Segment.objects.get_or_create(
        application=application,
        name="VIP",
        defaults={"rule": {"field": "tag", "op": "has", "value": "vip"}},
    )
    Segment.objects.get_or_create(
        application=application,
        name="German-speaking on an old version",
        defaults={
            "rule": {
                "all": [
                    {"field": "language", "op": "starts_with", "value": "de"},
                    {"field": "app_version", "op": "lt", "value": "4.10"},
                ]
            }
        },
    )
    Scenario.objects.get_or_create(
        key="push-then-sms",
        defaults={
            "name": "Push, then SMS",
            "default": True,
            "steps": [
                {"channel": "PUSH", "sender": application.code, "validity": 3600},
                {"channel": "SMS", "sender": SENDER, "validity": 86_400},
            ],
        },
    )


def _campaign(application: Application, user: User) -> tuple[Campaign, Bulk]:
    """The campaign the demo launches, once."""
    found = Bulk.objects.filter(application=application, campaign__name="Friday sale").first()
    if found is not None and found.campaign is not None:
        return found.campaign, found
    with transaction.atomic():
        campaign = composing.create(application, user, name="Friday sale")
        composing.save_draft(
            campaign,
            version=campaign.version,
            draft={"rule": {"all": []}},
            content={
                "title": "Friday sale",
                "text": "30 % off everything, today only. Your basket is still here.",
                "on_tap": "deep_link",
                "target": "shop://sale",
            },
        )
        bulk = composing.launch(campaign, user)
    tasks.freeze_audience.apply_async(args=(bulk.pk,), countdown=10)
    campaign.refresh_from_db()
    return campaign, bulk


def devices_wanted() -> int:
    """DEMO_DEVICES, 20,000 unless it says otherwise; raises ValueError."""
    text = os.environ.get("DEMO_DEVICES") or "20000"
    if not text.isdecimal() or not 20 <= int(text) <= 5_000_000:
        raise ValueError("DEMO_DEVICES must be a number from 20 to 5,000,000")
    return int(text)
