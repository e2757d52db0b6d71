"""pushadmin.caching: people can sign in, and cannot guess, while the store is away."""

import socket
from typing import Any

import pytest
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client

from pushadmin import caching
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _back_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "_away_until", 0.0)


@pytest.fixture
def _store_away(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{port}/0"}
    }
    cache.clear()


def sign_in(client: Client, username: str, password: str) -> Any:
    return client.post("/login/", {"login": username, "password": password})


@pytest.mark.usefixtures("_store_away")
def test_people_sign_in_without_the_store(client: Client) -> None:
    user = make_user()

    assert sign_in(client, user.username, "correct horse").status_code == 302


@pytest.mark.usefixtures("_store_away")
def test_guessing_is_throttled_without_the_store(client: Client) -> None:
    user = make_user()

    for _ in range(6):
        sign_in(client, user.username, "a guess")

    assert sign_in(client, user.username, "correct horse").status_code != 302


@pytest.mark.usefixtures("_store_away")
def test_it_is_a_cache_without_the_store() -> None:
    assert cache.add("one", 1)
    assert not cache.add("one", 2)
    cache.set_many({"two": 2, "three": 3})
    assert cache.get_many(["one", "two", "four"]) == {"one": 1, "two": 2}
    assert cache.incr("two") == 3
    assert cache.touch("two", 60)
    assert "three" in cache
    assert cache.delete("one")
    cache.delete_many(["two"])
    assert cache.get("two", "gone") == "gone"
    cache.clear()
    assert "three" not in cache


def test_with_the_store_every_process_sees_the_same() -> None:
    cache.set("seen", "by all")

    assert cache.get("seen") == "by all"
    assert LocMemCache("without the store", {}).get("seen") is None
    cache.delete("seen")
