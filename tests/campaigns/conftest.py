"""A cloud whose answers a test decides, in the place of a credential's connections."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User

from campaigns import channels
from campaigns.models import Bulk, Campaign
from campaigns.store import store
from devices.models import ProviderCredential, Role
from providers.base import Addressed, Outcome, Payload, PushNotification, Verdict
from tests.campaigns.handing_over import CloudFor
from tests.campaigns.reporting import ACCEPTED, frozen, hand_over
from tests.campaigns.stepping import Shop
from tests.factories import make_application, make_campaign, make_registrations, make_user


@pytest.fixture
def draft(sign_in: Callable[[User], None]) -> Campaign:
    """What a marketer, who is signed in in the browser, has begun to say to three devices."""
    application = make_application(name="Shop")
    make_registrations(application, 3)
    sign_in(make_user(Role.MARKETER, application))
    return make_campaign(application, name="Friday sale", title="Sale", text="Today only")


class Bytes:
    def __init__(self, notification: PushNotification) -> None:
        self.notification = notification

    def size(self) -> int:
        return len(self.notification.text.encode())


class Cloud:
    """Answers as told, and remembers what it was sent."""

    def __init__(self) -> None:
        self.taken: list[Addressed] = []
        self.answer: Callable[[Addressed], Outcome] = lambda one: Outcome(
            verdict=Verdict.ACCEPTED, provider_id="p-1", status=200
        )
        self.before_answering: Callable[[], Any] = lambda: None

    def compile(self, notification: PushNotification) -> Payload:
        return Bytes(notification)

    async def send(self, window: Sequence[Addressed]) -> list[Outcome]:
        self.taken += window
        self.before_answering()
        return [self.answer(one) for one in window]

    async def test(self) -> Outcome:
        return Outcome(verdict=Verdict.ACCEPTED, reason="fine", status=200)

    async def close(self) -> None:
        return None


@pytest.fixture
def cloud_for() -> Iterator[Callable[[ProviderCredential], Cloud]]:
    """Put a cloud behind a credential."""

    def connect(credential: ProviderCredential) -> Cloud:
        cloud = Cloud()
        channels._pid = os.getpid()
        channels._open[credential.pk] = channels.Channel(credential.pk, credential.version, cloud)
        return cloud

    store().flushdb()  # an earlier run's buckets may carry the same numbers
    yield connect
    channels._open.clear()


@pytest.fixture
def small(settings: Any) -> None:
    """Chunks and windows of few devices."""
    settings.CHUNK_SIZE = 20
    settings.WINDOW_SIZE = 5


@pytest.fixture
def empty_store() -> Iterator[None]:
    connected = store()
    connected.flushdb()
    yield
    connected.flushdb()


@pytest.fixture
def sent(cloud_for: CloudFor) -> Callable[..., Bulk]:
    """A bulk that was handed over, each device with the same outcome."""

    def send(count: int = 3, outcome: Outcome = ACCEPTED) -> Bulk:
        bulk = frozen(count)
        hand_over(bulk, cloud_for, outcome)
        return bulk

    return send


@pytest.fixture
def shop(cloud_for: CloudFor) -> Shop:
    return Shop(cloud_for)
