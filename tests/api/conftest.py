"""What tests of the APIs share."""

from collections.abc import Iterator
from typing import Any

import pytest

from api import auth
from campaigns.store import store
from devices import attributes
from tests.api.apps import App
from tests.factories import make_application


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
