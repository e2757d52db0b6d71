"""The address of a device that an app has registered."""

from typing import Any

import pytest

from devices.models import Registration
from tests.api.apps import INSTANCES, App

JDOE: dict[str, Any] = {"userIdentity": {"externalUserId": "jdoe"}}


@pytest.fixture
def path(app: App) -> str:
    return f"{INSTANCES}/{app.register()['pushRegId']}"


def registration(path: str) -> Registration:
    found = Registration.objects.select_related("address")
    return found.get(address__public_id=path.rpartition("/")[2])
