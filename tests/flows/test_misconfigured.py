"""A credential that is wrong: its sending waits, nobody is lost, and one sentence says what to do.

Source: contract/providers.md 9.3; the credential's test says the same beforehand (CRED-3).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import channels, composing, dispatch, fanout, statistics, tasks
from campaigns.models import Bulk, Chunk, Message
from campaigns.store import store
from devices.models import Application, Platform, Provider, ProviderCredential, Role
from tests.factories import (
    apns_key,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
    service_account,
)
from tests.flows.conftest import known_credentials, make_shop, public_half
from tests.flows.processes import Gateways
from tests.providers.keys import make_apple_certificate, make_huawei_account, pem
from tests.simulator.running import CALM

pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - timedelta(days=1)
HOUR = 3600  # seconds
DEVICES = 24  # of each cloud
FCM, APNS, HMS = Provider.FCM, Provider.APNS, Provider.HMS
PLATFORMS = {FCM: Platform.ANDROID, APNS: Platform.IOS, HMS: Platform.HUAWEI}
TOPIC = apns_key()["topic"]
OTHER_TOPIC = "com.example.other"
APP, SECRET = "101234567", "s3cret"  # of Huawei's AppGallery Connect


@dataclass
class Shop:
    """An application, whoever administers it, and the clouds it sends through."""

    gateways: Gateways
    provider: Provider
    application: Application = field(default_factory=make_shop)
    client: Client = field(default_factory=Client)

    def __post_init__(self) -> None:
        trust_huawei(self, huawei_account())
        make_credential(self.application, HMS, data={"service_account": huawei_account()})
        for provider in (self.provider, APNS if self.provider is FCM else FCM):
            make_registrations(self.application, DEVICES, platform=PLATFORMS[provider])
        self.administrator = make_user(Role.ADMINISTRATOR, self.application)
        self.client.force_login(self.administrator)

    @property
    def credential(self) -> ProviderCredential:
        return self.application.credentials.get(provider=self.provider)

    def hold(self, data: dict[str, Any]) -> None:
        """Let the credential be another, as if it had been entered wrongly."""
        credential = self.credential
        credential.data, credential.version = data, credential.version + 1
        credential.save()

    def enter(self, **typed: Any) -> None:
        """Correct it in the dashboard."""
        page = reverse("devices:credential-edit", args=[self.application.pk, self.credential.pk])
        response = self.client.post(page, typed)
        assert response.status_code == 302, response.context["form"].errors

    def test(self) -> ProviderCredential:
        """Press *Test credential*."""
        tested = ("campaigns:credential-test", [self.application.pk, self.credential.pk])
        page = self.client.post(reverse(tested[0], args=tested[1]))
        credential = self.credential
        assert credential.test_answer in _text(page.content)
        return credential

    def trust(self, **known: Any) -> None:
        self.gateways.ask("POST", "/credentials", known)

    def revoke(self, cloud: str, key_id: str) -> None:
        self.gateways.ask("POST", "/credentials/revoke", {"cloud": cloud, "key_id": key_id})

    def launch(self) -> Bulk:
        bulk = composing.launch(make_campaign(self.application), self.administrator)
        Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
        assert fanout.freeze(bulk) == 2 * DEVICES
        return bulk

    def send(self, bulk: Bulk) -> None:
        """All that may be sent now, whatever it was told to wait for."""
        Chunk.objects.filter(bulk=bulk).update(not_before=LONG_AGO)
        dispatch.work(seconds=30)
        bulk.refresh_from_db()

    def reached(self, bulk: Bulk) -> Counter[str]:
        """How often each message of a bulk was accepted, by the clouds' own ledger."""
        own = {str(pk) for pk in Message.objects.of_bulk(bulk).values_list("pk", flat=True)}
        taken = Counter(str(row["message_id"]) for row in self.gateways.messages())
        return Counter({message: times for message, times in taken.items() if message in own})


def lost(bulk: Bulk) -> list[tuple[int, int, str]]:
    """State, reason and the cloud's word of whatever was not accepted."""
    rows = Message.objects.of_bulk(bulk).exclude(state=Message.State.ACCEPTED)
    return list(rows.values_list("state", "reason", "answer"))


def _text(page: bytes) -> str:
    return page.decode().replace("&#x27;", "'").replace("&quot;", '"')


@pytest.fixture(scope="module")
def _clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    running = Gateways(tmp_path_factory.mktemp("clouds"))
    yield running
    running.stop()


@pytest.fixture
def clouds(_clouds: Gateways, settings: Any) -> Iterator[Gateways]:
    _clouds.ask("POST", "/reset", {"credentials": True})
    _clouds.ask("POST", "/behaviour", CALM)
    everybody_stays = {"removed": 0, "other_user": 0}
    _clouds.ask("POST", "/receipts", everybody_stays)
    _clouds.ask("POST", "/credentials", known_credentials())
    settings.GATEWAYS = ("127.0.0.1", _clouds.port)
    settings.GATEWAYS_CA_FILE = _clouds.ca_file
    settings.CHUNK_SIZE, settings.WINDOW_SIZE = 10, 5
    store().flushdb()
    yield _clouds
    channels.close_all()


# What goes wrong, and how it is mended. The name of each is the cloud's.


def certificate(shop: Shop, topic: str = TOPIC, *, known: bool = True, **given: Any) -> str:
    """A push certificate with its key; Apple gave it out if it is known."""
    shown, key = make_apple_certificate(topic, **given)
    if known:
        shop.trust(apns_certificates=[{"certificate_pem": shown}])
    return shown + key


def enter_certificate(shop: Shop) -> None:
    file = SimpleUploadedFile("push.pem", certificate(shop).encode())
    shop.enter(login="certificate", topic=TOPIC, certificate_file=file)


def enter_key(shop: Shop) -> None:
    """One that Apple gave out just now."""
    made = pem(ec.generate_private_key(ec.SECP256R1()))
    told = {"team_id": "TEAM123456", "key_id": "NEWKEY1234"}
    shop.trust(apns=[{**told, "public_key_pem": public_half(made), "topics": [TOPIC]}])
    shop.enter(login="key", topic=TOPIC, key_text=made, **told)


def enter_account(shop: Shop) -> None:
    made = pem(rsa.generate_private_key(65537, 2048))
    account = service_account() | {"private_key_id": "fedcba9876543210", "private_key": made}
    trust_account(shop, account)
    shop.enter(json_text=json.dumps(account))


def trust_account(shop: Shop, account: dict[str, str]) -> None:
    names = ("project_id", "client_email", "private_key_id")
    known = {name: account[name] for name in names}
    shop.trust(fcm=[known | {"public_key_pem": public_half(account["private_key"])}])


def certificate_unknown(shop: Shop) -> None:
    shop.hold({"topic": TOPIC, "certificate_pem": certificate(shop, known=False)})


def certificate_for_sandbox(shop: Shop) -> None:
    made = certificate(shop, environments=["sandbox"])
    shop.hold({"topic": TOPIC, "certificate_pem": made})


def certificate_ended(shop: Shop) -> None:
    shop.hold({"topic": TOPIC, "certificate_pem": certificate(shop, days=-1)})


def certificate_of_another_app(shop: Shop) -> None:
    shop.hold({"topic": TOPIC, "certificate_pem": certificate(shop, OTHER_TOPIC)})


def key_revoked(shop: Shop) -> None:
    shop.revoke("apns", apns_key()["key_id"])


def key_for_sandbox(shop: Shop) -> None:
    [known] = known_credentials()["apns"]
    shop.trust(apns=[known | {"environment": "sandbox"}])


def key_of_another_team(shop: Shop) -> None:
    shop.hold(apns_key() | {"team_id": "OTHERTEAM1"})


def bundle_id_nobody_knows(shop: Shop) -> None:
    shop.hold(apns_key() | {"topic": "com.example.shpo"})


def bundle_id_of_another_app(shop: Shop) -> None:
    certificate(shop, OTHER_TOPIC)
    shop.hold(apns_key() | {"topic": OTHER_TOPIC})


def enter_ids(shop: Shop) -> None:
    """Correct what was typed; the key that is kept stays."""
    key = apns_key()
    shop.enter(login="key", **{name: key[name] for name in ("key_id", "team_id", "topic")})


def account_key_deleted(shop: Shop) -> None:
    other = {"private_key_id": "1111111111111111", "project_id": "shop-test"}
    made = pem(rsa.generate_private_key(65537, 2048))
    trust_account(shop, service_account() | other | {"private_key": made})
    shop.revoke("fcm", service_account()["private_key_id"])


def account_deleted(shop: Shop) -> None:
    shop.revoke("fcm", service_account()["private_key_id"])


def project_nobody_knows(shop: Shop) -> None:
    shop.hold({"service_account": service_account() | {"project_id": "shop-tset"}})


def project_of_another_app(shop: Shop) -> None:
    other = {"project_id": "other-shop", "private_key_id": "2222222222222222"}
    made = pem(rsa.generate_private_key(65537, 2048))
    trust_account(shop, service_account() | other | {"private_key": made})
    shop.hold({"service_account": service_account() | {"project_id": "other-shop"}})


def enter_same_account(shop: Shop) -> None:
    shop.enter(json_text=json.dumps(service_account()))


@cache
def huawei_account() -> dict[str, Any]:
    return make_huawei_account()


def trust_huawei(shop: Shop, account: dict[str, Any], **given: Any) -> None:
    """Let Huawei know the app, and one service account of its project."""
    key = {name: account[name] for name in ("key_id", "sub_account")}
    key["public_key_pem"] = public_half(account["private_key"])
    app = {"app_id": APP, "client_secret": SECRET, "project_id": account["project_id"]}
    shop.trust(hms=[{**app, "keys": [key], **given}])


def huawei_secret_changed(shop: Shop) -> None:
    shop.hold({"client_id": APP, "client_secret": "the old one"})


def huawei_app_nobody_knows(shop: Shop) -> None:
    shop.hold({"client_id": "101234576", "client_secret": SECRET})


def huawei_key_deleted(shop: Shop) -> None:
    trust_huawei(shop, make_huawei_account(key_id="another"))


def huawei_project_nobody_knows(shop: Shop) -> None:
    shop.hold({"service_account": huawei_account() | {"project_id": "388421841222000"}})


def enter_huawei_client(shop: Shop) -> None:
    shop.enter(client_id=APP, client_secret=SECRET, category="MARKETING")


def enter_huawei_account(shop: Shop) -> None:
    made = make_huawei_account(key_id="newest")
    trust_huawei(shop, made)
    shop.enter(json_text=json.dumps(made), category="MARKETING")


def clock_ahead(shop: Shop) -> None:
    """Of the worker: the clouds' is an hour behind it. It starts so, without a token in hand."""
    channels.close_all()
    shop.gateways.ask("POST", "/clock", {"offset": -HOUR})


def clock_late(shop: Shop) -> None:
    channels.close_all()
    shop.gateways.ask("POST", "/clock", {"offset": HOUR})


def set_clock(shop: Shop) -> None:
    shop.gateways.ask("POST", "/clock", {"offset": 0})


CASES = [
    (APNS, certificate_unknown, enter_certificate, "Apple does not accept this certificate"),
    (APNS, certificate_for_sandbox, enter_certificate, "not for Apple's production environment"),
    (APNS, certificate_ended, enter_certificate, "This certificate ended on"),
    (APNS, certificate_of_another_app, enter_certificate, f"the bundle ID {TOPIC}"),
    (APNS, key_revoked, enter_key, "nobody revoked the key"),
    (APNS, key_for_sandbox, enter_key, "not for Apple's production environment"),
    (APNS, key_of_another_team, enter_ids, "the key ID, the team ID and the .p8 file"),
    (APNS, bundle_id_nobody_knows, enter_ids, "the bundle ID com.example.shpo"),
    (APNS, bundle_id_of_another_app, enter_ids, f"the bundle ID {OTHER_TOPIC}"),
    (APNS, clock_ahead, set_clock, "This server's clock is ahead"),
    (APNS, clock_late, set_clock, "This server's clock is late"),
    (FCM, account_key_deleted, enter_account, "does not accept this service account's key"),
    (FCM, account_deleted, enter_account, "does not know this service account"),
    (FCM, project_nobody_knows, enter_same_account, "no Firebase project shop-tset"),
    (FCM, project_of_another_app, enter_same_account, "may not send for the project other-shop"),
    (FCM, clock_ahead, set_clock, "This server's clock is 60 minutes ahead"),
    (FCM, clock_late, set_clock, "This server's clock is 60 minutes late"),
    (HMS, huawei_secret_changed, enter_huawei_client, "does not accept this client secret"),
    (HMS, huawei_app_nobody_knows, enter_huawei_client, "Huawei has no app 101234576"),
    (HMS, huawei_key_deleted, enter_huawei_account, "does not accept what this service account"),
    (HMS, huawei_project_nobody_knows, enter_huawei_account, "no project 388421841222000"),
    (HMS, clock_ahead, set_clock, "This server's clock is 60 minutes ahead"),
    (HMS, clock_late, set_clock, "This server's clock is 60 minutes late"),
]


@pytest.mark.parametrize(
    ("provider", "spoil", "mend", "sentence"),
    CASES,
    ids=[f"{provider}-{spoil.__name__}" for provider, spoil, _, _ in CASES],
)
def test_a_wrong_credential_waits_says_why_and_loses_nobody(
    clouds: Gateways,
    provider: Provider,
    spoil: Callable[[Shop], None],
    mend: Callable[[Shop], None],
    sentence: str,
) -> None:
    shop = Shop(clouds, provider)
    before = shop.launch()
    shop.send(before)
    assert shop.reached(before).total() == 2 * DEVICES
    spoil(shop)

    foretold = shop.test()
    bulk = shop.launch()
    shop.send(bulk)

    told = shop.credential
    assert foretold.test_ok is False
    assert foretold.paused_at is None
    assert told.paused_at is not None
    assert sentence in told.pause_reason
    assert told.pause_reason == foretold.test_answer
    page = shop.client.get(
        reverse("campaigns:detail", args=[shop.application.pk, bulk.campaign_id])
    )
    assert told.pause_reason in _text(page.content)
    waiting = 2 * DEVICES if spoil in {clock_ahead, clock_late} else DEVICES
    funnel = statistics.funnel(bulk)
    assert (funnel.waiting, funnel.accepted) == (waiting, 2 * DEVICES - waiting)

    asked = clouds.ledger()
    shop.send(bulk)  # nothing leaves while it waits
    assert clouds.ledger() == asked
    assert shop.reached(bulk).total() == 2 * DEVICES - waiting

    mend(shop)
    tasks.test_paused_credentials()
    assert shop.test().test_ok
    assert shop.credential.paused_at is None
    shop.send(bulk)

    assert bulk.status == Bulk.Status.DONE
    assert not lost(bulk)
    assert statistics.funnel(bulk).accepted == 2 * DEVICES
    times = shop.reached(bulk)
    assert len(times) == 2 * DEVICES
    assert set(times.values()) == {1}


def project_of_the_other_firebase(shop: Shop) -> None:
    """A good service account, of a project that the app is not registered in."""
    other = {"project_id": "other-shop", "private_key_id": "3333333333333333"}
    made = pem(rsa.generate_private_key(65537, 2048))
    account = service_account() | other | {"private_key": made}
    trust_account(shop, account)
    shop.hold({"service_account": account})


def bundle_id_of_the_team_s_other_app(shop: Shop) -> None:
    """The key serves all apps of its team, so Apple lets it send to that one."""
    [known] = known_credentials()["apns"]
    shop.trust(apns=[known | {"topics": []}])
    shop.hold(apns_key() | {"topic": OTHER_TOPIC})


@pytest.mark.parametrize(
    ("provider", "owner", "spoil", "mend"),
    [
        (FCM, "shop-test", project_of_the_other_firebase, enter_same_account),
        (APNS, TOPIC, bundle_id_of_the_team_s_other_app, enter_ids),
    ],
    ids=["fcm-project", "apns-bundle-id"],
)
def test_another_app_s_credential_shows_only_by_its_devices_and_loses_nobody(
    clouds: Gateways,
    provider: Provider,
    owner: str,
    spoil: Callable[[Shop], None],
    mend: Callable[[Shop], None],
    settings: Any,
) -> None:
    """It works, so its test cannot tell; the first answers about devices do. DROP-5."""
    settings.CHUNK_SIZE, settings.WINDOW_SIZE = 1000, 250
    shop = Shop(clouds, provider)
    tokens = shop.application.registrations.filter(platform=PLATFORMS[provider])
    devices = [
        {"token": token, "owner": owner}
        for token in tokens.values_list("address__token", flat=True)
    ]
    clouds.ask("POST", "/devices", {provider.value: devices})
    spoil(shop)
    assert shop.test().test_ok

    bulk = shop.launch()
    shop.send(bulk)

    assert shop.credential.waits_for_a_decision
    assert "wrong environment, bundle id or project" in shop.credential.pause_reason
    funnel = statistics.funnel(bulk)
    assert (funnel.waiting, funnel.accepted, funnel.failed) == (DEVICES, DEVICES, 0)

    mend(shop)
    numbers = [shop.application.pk, shop.credential.pk]
    shop.client.post(reverse("devices:credential-keep-dead", args=numbers))
    shop.send(bulk)

    assert bulk.status == Bulk.Status.DONE
    times = shop.reached(bulk)
    assert len(times) == 2 * DEVICES
    assert set(times.values()) == {1}
