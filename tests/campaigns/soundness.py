"""An installation in which all is well, and what needs attention in it."""

from collections.abc import Iterator

import pytest

from campaigns import diagnosing, metrics, watching
from campaigns.store import store
from devices.models import Application


@pytest.fixture
def sound_store() -> Iterator[None]:
    metrics.flush()
    store().flushdb()
    store().config_set("appendonly", "yes")  # as it should be; nobody turns it off again
    yield
    store().flushdb()


def all_is_well() -> None:
    watching.say_alive("worker@here", ["dispatch"], 2)
    watching.say_alive("quick@here", ["urgent", "receipts", "default"], 3)
    watching.say_looked()


def found() -> list[str]:
    """What needs attention, of all applications."""
    return [each.what for each in diagnosing.findings(diagnosing.system(Application.objects.all()))]
