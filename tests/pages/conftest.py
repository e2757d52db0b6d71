"""An installation, and a client that its administrator signed in with."""

from collections.abc import Iterator

import pytest
from django.test import Client

from campaigns import channels
from tests.pages.installation import Installation, make_installation


@pytest.fixture
def installation() -> Iterator[Installation]:
    yield make_installation()
    channels._open.clear()


@pytest.fixture
def administrator(installation: Installation) -> Client:
    """Signed in by the form, as the pages of two-factor sign-in demand."""
    client = Client()
    name = installation.administrator.username
    client.post("/login/", {"login": name, "password": "correct horse"})
    client.post("/reauthenticate/", {"password": "correct horse"})
    return client
