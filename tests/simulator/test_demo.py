"""The demo's content: demo.json as documented, and nothing made twice."""

import asyncio
import json
import stat
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import authenticate

from campaigns import channels, tasks
from campaigns.models import Bulk, Campaign
from devices import import_batches, importing, subscriptions
from devices.csv_batches import Written, write
from devices.csv_rows import Wanted
from devices.models import (
    Address,
    Application,
    ImportRun,
    Membership,
    Person,
    Platform,
    Provider,
    ProviderCredential,
)
from devices.models import Registration as Device
from providers.base import Addressed, PushNotification, Verdict
from providers.huawei import HuaweiProvider
from simulator import demo, demo_csv
from tests.simulator.running import Simulator

pytestmark = pytest.mark.django_db(transaction=True)
BASE = "http://127.0.0.1:8000"
DEVICES = 50


@pytest.fixture
def places(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> demo.Places:
    monkeypatch.setattr(tasks.freeze_audience, "apply_async", lambda **kwargs: None)
    return demo.Places(tmp_path, BASE, simulator.home / "gateways.json")


def load(places: demo.Places) -> dict[str, Any]:
    demo.load(places, devices=DEVICES)
    written: dict[str, Any] = json.loads(places.facts.read_text())
    return written


def known(simulator: Simulator, credential: ProviderCredential) -> bool:
    """Whether its cloud knows the key, which can be taken from it only then; it is now."""
    data = credential.data
    match credential.provider:
        case Provider.FCM:
            cloud, key = "fcm", data["service_account"]["private_key_id"]
        case Provider.APNS:
            cloud, key = "apns", data["key_id"]
        case Provider.HMS:
            cloud, key = "hms", data["client_id"]
        case _:
            cloud, key = data["shape"], data["api_key"]
    answer = simulator.ask("POST", "/credentials/revoke", {"cloud": cloud, "key_id": key})
    return answer.status_code == 200


def test_demo_json_holds_what_scripts_need(places: demo.Places, simulator: Simulator) -> None:
    facts = load(places)

    assert set(facts) == {
        "base_url", "staff", "api", "insider_api_key", "applications", "sms_sender",
        "inbox_topic", "sample", "campaign", "gateways",
    }  # fmt: skip
    assert stat.S_IMODE(places.facts.stat().st_mode) == 0o600
    assert (facts["base_url"], facts["gateways"]) == (BASE, {"control": simulator.control})
    assert set(facts["staff"]) == {"admin", "marketer", "support", "analyst"}
    for login in facts["staff"].values():
        assert authenticate(username=login["username"], password=login["password"])
    for told in facts["applications"]:
        application = Application.objects.get(code=told["application_code"])
        assert (application.name, application.application_id) == (
            told["name"],
            told["application_id"],
        )
    bulk = Bulk.objects.get(bulk_id=facts["campaign"]["bulk_id"])
    assert bulk.campaign is not None
    assert facts["campaign"]["url"] == BASE + bulk.campaign.get_absolute_url()


def test_the_sample_device_belongs_to_the_person_it_names(places: demo.Places) -> None:
    sample = load(places)["sample"]

    owned = Device.objects.get(address__public_id=uuid.UUID(sample["registration_id"]))
    assert owned.person is not None
    assert {sample[name] for name in ("external_id", "phone", "email")} == set(
        owned.person.identities.values_list("value", flat=True)
    )
    anonymous = Device.objects.get(
        address__public_id=uuid.UUID(sample["anonymous_registration_id"])
    )
    assert anonymous.person is None


def test_loading_again_makes_nothing_twice_and_keeps_the_logins(places: demo.Places) -> None:
    first = load(places)
    counted = (Application, Membership, ProviderCredential, Device, Person, Campaign, Bulk)
    before = [model.objects.count() for model in counted]

    assert load(places) == first
    assert [model.objects.count() for model in counted] == before


def test_clouds_that_forgot_everything_know_the_credentials_after_loading_again(
    places: demo.Places, simulator: Simulator
) -> None:
    load(places)
    simulator.post("/reset", {"credentials": True, "phones": True})
    # Push services of browsers are told of no keys: each subscription names its own.
    told = ProviderCredential.objects.exclude(provider=Provider.WEBPUSH)
    assert not any(known(simulator, each) for each in told)

    load(places)

    assert told.count() == 8
    assert all(known(simulator, each) for each in told.all())


def test_a_demo_killed_while_it_imported_has_all_its_devices_the_next_time(
    places: demo.Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies_later(*args: Any) -> Written[Wanted]:
        if Device.objects.exists():
            raise KeyboardInterrupt
        return write(*args)

    with monkeypatch.context() as patched:
        patched.setattr(import_batches, "BATCH", 20)
        patched.setattr(importing, "write", dies_later)
        with pytest.raises(KeyboardInterrupt):
            load(places)
    assert 0 < Device.objects.count() < DEVICES
    assert not Bulk.objects.exists()

    load(places)

    assert Device.objects.filter(application__name=demo.SHOP).count() == DEVICES
    assert ImportRun.objects.filter(status=ImportRun.Status.DONE).count() == 2


def test_a_share_of_the_devices_is_huawei_s_of_either_family(places: demo.Places) -> None:
    demo.load(places, devices=400)

    shop = Device.objects.filter(application__name=demo.SHOP)
    huawei = shop.filter(platform=Platform.HUAWEI)
    kinds = set(huawei.values_list("address__provider", "address__kind"))
    assert kinds == {(Provider.HMS, Address.Kind.TOKEN), (Provider.HMS, Address.Kind.HARMONY)}
    assert 0.03 < huawei.count() / shop.count() < 0.1
    for credential in ProviderCredential.objects.filter(provider=Provider.HMS):
        assert isinstance(channels.build(credential), HuaweiProvider)


def test_some_are_browsers_that_subscribed_with_the_shops_key(
    places: demo.Places, simulator: Simulator, settings: Any
) -> None:
    settings.GATEWAYS = ("127.0.0.1", simulator.port)
    settings.GATEWAYS_CA_FILE = simulator.ca_file
    demo.load(places, devices=600)
    shop = Application.objects.get(name=demo.SHOP)
    web = Address.objects.filter(application=shop, registration__platform=Platform.WEB)
    hosts = {urlsplit(subscriptions.endpoint_of(one.token)).hostname for one in web}
    assert hosts == {host for *_, host in demo_csv.BROWSERS}
    provider = channels.build(
        ProviderCredential.objects.get(application=shop, provider=Provider.WEBPUSH)
    )
    payload = provider.compile(PushNotification(text="Hi"))

    async def send() -> set[Verdict]:
        window = [Addressed(payload, uuid.uuid4(), one.token, ttl=60) for one in web]
        try:
            return {outcome.verdict for outcome in await provider.send(window)}
        finally:
            await provider.close()

    assert asyncio.run(send()) == {Verdict.ACCEPTED}
