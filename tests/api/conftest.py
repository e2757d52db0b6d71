"""What tests of the APIs share."""

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from api import auth
from campaigns.store import store
from devices import attributes
from devices.models import Application, Platform, Registration
from tests.api.apps import App
from tests.api.omni import CloudFor, Shop
from tests.api.phones import Phone
from tests.api.systems import System, make_key
from tests.campaigns.conftest import cloud_for, empty_store
from tests.factories import make_application, make_person, make_registration

__all__ = ["cloud_for", "empty_store"]  # fixtures


@pytest.fixture
def fresh(settings: Any) -> Iterator[None]:
    """Nothing is remembered of an earlier test: neither codes nor types nor receipts."""
    settings.NEW_BASE_URL = ""
    connected = store()
    yield
    auth.forget()
    attributes._known.clear()
    connected.flushdb()


@pytest.fixture
def app() -> App:
    return App(make_application())


@pytest.fixture
def application() -> Application:
    return make_application()


@pytest.fixture
def system() -> System:
    """A program whose key may do everything with push."""
    make_key(scopes=["mobile-app-messaging:manage"])
    return System()


@pytest.fixture
def jane(application: Application) -> list[Registration]:
    """Somebody with two devices of the application, and one of another."""
    person = make_person(external_id="jane", phone="41793026727", email="jane@example.com")
    make_registration(make_application(), person=person)
    return [
        make_registration(application, person=person, primary=True),
        make_registration(application, person=person, platform=Platform.IOS),
    ]


@pytest.fixture
def shop(cloud_for: CloudFor, monkeypatch: pytest.MonkeyPatch) -> Shop:
    # What begins now is due by the clock of this test's transaction.
    early = SimpleNamespace(now=lambda: timezone.now() - timedelta(seconds=10))
    monkeypatch.setattr("api.infobip.omni.timezone", early)
    return Shop(cloud_for)


@pytest.fixture
def phone(app: App) -> Phone:
    return Phone(app)
