"""A shop whose pushes go to a simulated Push Kit, and what both say of them."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns import channels, dispatch, fanout, statistics
from campaigns.models import Bulk, Chunk, Message
from campaigns.store import store
from devices.models import Address, Application, Platform, Provider, Registration
from tests.factories import (
    huawei_client,
    make_application,
    make_credential,
    make_registration,
    make_token,
)
from tests.flows.conftest import public_half
from tests.flows.processes import Gateways
from tests.providers.keys import make_huawei_account

ACCOUNT = make_huawei_account()
APP = huawei_client()["client_id"]
CALM = {"unregistered": 0, "unavailable": 0}
PROMPT = {
    "seconds": 0, "kept_seconds": 0.2, "removed": 0, "other_user": 0, "muted": 0, "dormant": 0,
    "by_rule": 0, "kept": 0, "silent": 0, "early": 0, "repeated": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def _cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    running = Gateways(tmp_path_factory.mktemp("huawei"))
    yield running
    running.stop()


@pytest.fixture
def huawei(_cloud: Gateways, settings: Any) -> Iterator[Gateways]:
    """A simulated Push Kit in which nothing goes wrong, and each receipt comes at once."""
    settings.GATEWAYS = ("127.0.0.1", _cloud.port)
    settings.GATEWAYS_CA_FILE = _cloud.ca_file
    store().flushdb()
    _cloud.ask("POST", "/reset", {"credentials": True})
    _cloud.ask("POST", "/behaviour", {"hms": CALM})
    _cloud.ask("POST", "/receipts", PROMPT)
    yield _cloud
    channels.close_all()
    store().flushdb()


def make_shop(**given: Any) -> Application:
    """An application with both logins of one app; pushes share calls unless told otherwise."""
    own = {"sdk": Application.Sdk.OWN, "android_display": Application.Display.SYSTEM}
    application = make_application(**{"name": "Shop", **own, **given})
    data = {**huawei_client(), "service_account": ACCOUNT, "badge_class": "com.example.Main"}
    make_credential(application, Provider.HMS, data=data)
    return application


def callback_of(application: Application) -> str:
    return reverse("api:huawei-receipts", args=[application.code])


def trust(huawei: Gateways, url: str, **given: Any) -> None:
    """Let the simulated cloud know the app."""
    client = huawei_client()
    key = {
        "key_id": ACCOUNT["key_id"],
        "sub_account": ACCOUNT["sub_account"],
        "public_key_pem": public_half(str(ACCOUNT["private_key"])),
    }
    receipts = {"url": url, "user": client["callback_user"], "key": client["callback_key"]}
    app = {
        "app_id": client["client_id"],
        "client_secret": client["client_secret"],
        "project_id": ACCOUNT["project_id"],
        "keys": [key],
        "receipts": [receipts],
        **given,
    }
    huawei.ask("POST", "/credentials", {"hms": [app]})


def make_harmony(application: Application, count: int) -> list[Registration]:
    """Devices with HarmonyOS 5."""
    made = [
        make_registration(
            application,
            platform=Platform.HUAWEI,
            token=f"MAMzLg{make_token(Platform.HUAWEI).replace(':', '')}",
        )
        for _ in range(count)
    ]
    Address.objects.filter(registration__in=made).update(kind=Address.Kind.HARMONY)
    return made


def make_doomed(application: Application, fate: str, count: int) -> list[Registration]:
    """Devices that meet a fate of the simulator's."""
    return [
        make_registration(
            application, platform=Platform.HUAWEI, token=f"fate-{fate}-{number}:{'x' * 64}"
        )
        for number in range(count)
    ]


def send(bulk: Bulk) -> Bulk:
    """Freeze it and hand it over; what is to be repeated is due at once."""
    if bulk.status == Bulk.Status.PENDING:
        fanout.freeze(bulk)
    Chunk.objects.filter(bulk=bulk).update(not_before=timezone.now() - timedelta(hours=1))
    dispatch.work(seconds=30)
    bulk.refresh_from_db()
    return bulk


def states_of(bulk: Bulk) -> Counter[tuple[int, int]]:
    return Counter(Message.objects.of_bulk(bulk).values_list("state", "reason"))


def consistent(bulk: Bulk) -> statistics.Funnel:
    funnel = statistics.funnel(bulk)
    assert funnel == statistics.recount(bulk)
    assert funnel.adds_up
    return funnel
