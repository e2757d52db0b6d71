"""Builders of valid rows: each names only what the caller does not care about."""

import base64
import itertools
import json
import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from campaigns import flows, outbox
from campaigns.flows import Step
from campaigns.models import Bulk, Campaign, CampaignContent, StaticList, Webhook
from devices import normalizing, subscriptions
from devices.models import (
    Address,
    Application,
    Event,
    Identity,
    Membership,
    Person,
    Platform,
    Provider,
    ProviderCredential,
    Registration,
    Role,
)

_numbers = itertools.count(1)

PROVIDERS = {
    Platform.ANDROID: Provider.FCM,
    Platform.IOS: Provider.APNS,
    Platform.HUAWEI: Provider.HMS,
    Platform.WEB: Provider.WEBPUSH,
}


def make_application(**given: Any) -> Application:
    return Application.objects.create(**{"name": f"Shop {next(_numbers)}", **given})


def make_user(
    role: Role | None = None, application: Application | None = None, **given: Any
) -> User:
    """Somebody with a role in an application; without one, a stranger."""
    name = f"{role or 'stranger'}-{next(_numbers)}"
    user = User.objects.create_user(username=name, password="correct horse", **given)
    if role is not None:
        Membership.objects.create(
            user=user, application=application or make_application(), role=role
        )
    return user


def client_of(user: User) -> Client:
    """Somebody's browser, past the login page."""
    client = Client()
    client.force_login(user)
    return client


def signed_in(application: Application, role: Role | None = Role.MARKETER) -> Client:
    """The browser of somebody new who has a role in an application."""
    return client_of(make_user(role, application))


def make_person(*, external_id: str = "", phone: str = "", email: str = "", **given: Any) -> Person:
    person = Person.objects.create(**given)
    for kind, value in (
        (Identity.Kind.EXTERNAL_ID, external_id),
        (Identity.Kind.PHONE, phone),
        (Identity.Kind.EMAIL, email),
    ):
        if value:
            Identity.objects.create(person=person, kind=kind, value=value)
    return person


def make_subscription(endpoint: str = "") -> str:
    """A browser's subscription as it is kept; nobody has its private half."""
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    p256dh = point.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    told = {
        "endpoint": endpoint
        or f"https://updates.push.services.mozilla.com/wpush/v2/{uuid.uuid4()}",
        "keys": {"auth": _web(uuid.uuid4().bytes), "p256dh": _web(p256dh)},
    }
    return subscriptions.canonical(json.dumps(told))


def _web(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_token(platform: Platform) -> str:
    """A token of the form its cloud gives out."""
    if platform == Platform.WEB:
        return make_subscription()
    unique = uuid.uuid4().hex
    return unique + unique if platform == Platform.IOS else f"{unique[:22]}:APA91b{unique * 4}"


def make_registration(
    application: Application, *, platform: Platform = Platform.ANDROID, token: str | None = None,
    **given: Any,
) -> Registration:  # fmt: skip
    """A device with its address."""
    registration = Registration.objects.create(application=application, platform=platform, **given)
    token = make_token(platform) if token is None else token
    Address.objects.create(
        registration=registration,
        application=application,
        public_id=uuid.uuid4(),
        provider=PROVIDERS[platform],
        token=token,
        token_digest=normalizing.digest(token) if token else None,
        token_changed_at=timezone.now(),
    )
    return registration


def make_registrations(
    application: Application,
    count: int,
    *,
    platform: Platform = Platform.ANDROID,
    tokens: Sequence[str] = (),
    people: Sequence[Person | None] = (),
    **given: Any,
) -> list[Registration]:
    """Many devices in two statements; `tokens` and `people` are theirs, if any are given."""
    made = [Registration(application=application, platform=platform, **given) for _ in range(count)]
    for registration, person in zip(made, people, strict=False):
        registration.person = person
    registrations = Registration.objects.bulk_create(made)
    addresses = []
    for place, registration in enumerate(registrations):
        token = tokens[place] if tokens else make_token(platform)
        addresses.append(
            Address(
                registration=registration,
                application=application,
                public_id=uuid.uuid4(),
                provider=PROVIDERS[platform],
                token=token,
                token_digest=normalizing.digest(token),
                token_changed_at=timezone.now(),
            )
        )
    Address.objects.bulk_create(addresses)
    return registrations


def make_event(device: Registration, **given: Any) -> Event:
    """Something that its person did there just now."""
    given = {"id": uuid.uuid4(), "at": timezone.now(), "kind": Event.Kind.CUSTOM, **given}
    return Event.objects.create(
        application_id=device.application_id, registration=device, person_id=device.person_id,
        **given,
    )  # fmt: skip


@lru_cache(maxsize=1)
def service_account() -> dict[str, str]:
    """A service account as Google hands it out, with a key made now."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "type": "service_account",
        "project_id": "shop-test",
        "private_key_id": "0123456789abcdef",
        "private_key": _pem(key),
        "client_email": "push@shop-test.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


@lru_cache(maxsize=1)
def apns_key() -> dict[str, str]:
    """What an APNs credential holds, with a key made now."""
    key = ec.generate_private_key(ec.SECP256R1())
    return {
        "key_id": "ABCDE12345",
        "team_id": "TEAM123456",
        "topic": "com.example.shop",
        "key_pem": _pem(key),
    }


@lru_cache(maxsize=1)
def vapid_key() -> dict[str, str]:
    """What a Web Push credential holds, with a key pair made now."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return {
        "subject": "mailto:push@shop.example",
        "private_key": _web(key.private_numbers().private_value.to_bytes(32, "big")),
        "public_key": _web(public),
    }


def huawei_client() -> dict[str, str]:
    """What a Huawei credential holds, with the key that receipts are signed with."""
    return {
        "client_id": "101234567",
        "client_secret": "s3cret",
        "callback_user": "receipts",
        "callback_key": "receipt-key",
    }


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def make_credential(
    application: Application, provider: Provider = Provider.FCM, **given: Any
) -> ProviderCredential:
    """A credential of the right form; no cloud has heard of it."""
    data: dict[str, Any] = {"service_account": service_account()}
    if provider == Provider.APNS:
        data = dict(apns_key())
    elif provider == Provider.WEBPUSH:
        data = dict(vapid_key())
    elif provider == Provider.HMS:
        data = dict(huawei_client())
    return ProviderCredential.objects.create(
        application=application, provider=provider, **{"data": data, "hint": "…test", **given}
    )


def make_campaign(application: Application, *, text: str = "Today only", **given: Any) -> Campaign:
    """A draft that says something to everybody."""
    columns = ("title", "on_tap", "target", "image_url", "options")
    content = {key: given.pop(key) for key in columns if key in given}
    campaign = Campaign.objects.create(
        application=application, **{"name": f"Sale {next(_numbers)}", **given}
    )
    CampaignContent.objects.create(campaign=campaign, text=text, **content)
    return campaign


def do_not_contact(application: Application, *members: Person | Registration) -> StaticList:
    """Put people and devices on the application's do-not-contact list."""
    made, _ = StaticList.objects.get_or_create(
        application=application, do_not_contact=True, defaults={"name": "Do not contact"}
    )
    for member in members:
        kind = "person" if isinstance(member, Person) else "registration"
        made.members.create(**{kind: member})
    return made


def make_bulk(application: Application | None = None, **given: Any) -> Bulk:
    """A bulk that may be frozen at once."""
    return Bulk.objects.create(
        application=application or make_application(),
        **{
            "starts_at": timezone.now() - timedelta(seconds=30),  # before the test's transaction
            "content": [{"language": "", "variant": 0, "title": "Sale", "text": "Today only"}],
            "rule": {"all": []},
            **given,
        },
    )


def make_gateway(application: Application, **given: Any) -> ProviderCredential:
    """An SMS gateway of the newer shape of Infobip; no operator has heard of it."""
    data = {
        "shape": "infobip", "base_url": "https://sandbox.api.infobip.com", "api_key": "s3cret",
        "sender": "Shop", "price": "0.045", "currency": "EUR",
        "callback": f"{application.pk}/callback-{next(_numbers)}",
    }  # fmt: skip
    return make_credential(application, Provider.SMS, data={**data, **given})


def make_flow_bulk(
    application: Application, *, validity: int = 60, text: str = "Today only", **given: Any
) -> Bulk:
    """The first bulk of a push to everybody, followed by a text message; both may be frozen."""
    now = timezone.now() - timedelta(seconds=2)
    first = Bulk(application=application, rule={"all": []}, starts_at=now)
    push = Step(
        channel="PUSH", sender=application.code, validity=validity,
        content={"title": "Sale", "text": text}, **given,
    )  # fmt: skip
    sms = Step(channel="SMS", sender="Shop", validity=3600, content={"text": text})
    flows.make([push, sms], first)
    return first


def make_webhook(
    application: Application, url: str = "https://shop.example/hook", **given: Any
) -> Webhook:
    """Tells of ends, unless it is said what; known to this process at once."""
    webhook = Webhook.objects.create(application=application, url=url, **given)
    outbox.forget()
    return webhook
