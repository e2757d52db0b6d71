"""A shop with people and devices, its team, and a campaign that runs: the demo's content.

Everything can be written twice: what exists is kept, what is missing is made.
"""

import hashlib
import json
import os
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from campaigns import audience, composing, drafting, partitions, tasks, templating, trends
from campaigns.models import Bulk, Campaign, InboxTopic, Scenario, Segment, SegmentDay, SmsSender
from devices import device_base, importing
from devices.models import (
    Address,
    ApiKey,
    ApiUser,
    Application,
    ImportRun,
    Membership,
    Provider,
    Role,
)
from simulator.certificates import write_private
from simulator.demo_clouds import SENDER, connect
from simulator.demo_csv import HUAWEI, write_csv

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
TOPIC = "offers"
COURIER_DEVICES = 300


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
    connect([shop, courier], control=_clouds(places)["control"], base_url=places.base_url)
    _import(places, shop, devices, seed=7)
    _import(places, courier, min(devices, COURIER_DEVICES), seed=11)
    device_base.roll_up()
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


# ------------------------------------------------------------------- devices


def _import(places: Places, application: Application, count: int, *, seed: int) -> None:
    """Write a CSV of believable devices, and import it as anybody would; once to its end."""
    file = places.home / f"{application.name.lower()}-devices.csv"
    runs = ImportRun.objects.filter(application=application, filename=file.name)
    if runs.filter(status=ImportRun.Status.DONE).exists():
        return
    web = application.credentials.get(provider=Provider.WEBPUSH)
    write_csv(file, count, seed=seed, huawei=HUAWEI, server_key=web.data["public_key"])
    run = ImportRun(application=application, filename=file.name, size=file.stat().st_size)
    with file.open("rb") as source:
        importing.run_file(run, source)
    if run.status != ImportRun.Status.DONE or run.refused:
        raise RuntimeError(f"the demo's own file was refused: {run.error or run.refused}")
    _grow(application)


def _grow(application: Application) -> None:
    """Let the devices have come over half a year, more and more of them, and not all today."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE devices_registration r
            SET created_at = now() - interval '180 days' * (1 - sqrt(o.number::float / o.count))
            FROM (SELECT id, row_number() OVER (ORDER BY id) AS number, count(*) OVER () AS count
                  FROM devices_registration WHERE application_id = %s) o
            WHERE r.id = o.id
            """,
            [application.pk],
        )


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


def _days_before(application: Application) -> None:
    """The month before today of each segment: those of its devices that were here by then."""
    today = timezone.now().date()
    trends.count_today(seconds=60)
    for segment in Segment.objects.filter(application=application):
        devices = audience.of(application, segment.rule)
        for ago in range(1, 31):
            day = today - timedelta(days=ago)
            SegmentDay.objects.get_or_create(
                segment=segment,
                day=day,
                defaults={
                    "version": segment.version,
                    "devices": devices.filter(created_at__date__lte=day).count(),
                },
            )


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
    _days_before(application)
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
        campaign = drafting.create(application, user, name="Friday sale")
        drafting.save_draft(
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
        templating.keep(campaign, user, name="Sale of the day", replace=True)
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
