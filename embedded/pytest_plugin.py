"""Servers for the tests: PostgreSQL and Valkey run before Django reads its settings.

Loaded by `-p` in pyproject.toml, so bare `pytest` works too. The servers keep their data
under `var/test` between runs; runs at the same time each take a folder of their own.
DATABASE_URL or BROKER_URL in the environment means: use that server, start none.
"""

import atexit
import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from embedded import starting
from embedded.environment import ROOT
from embedded.home import Home, HomeInUse
from embedded.servers import Postgres, Valkey

if TYPE_CHECKING:
    from embedded.processes import Service

MOST_RUNS_AT_ONCE = 8


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(args: list[str]) -> Iterator[None]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        number = int(worker.removeprefix("gw")) + 1
        os.environ["BROKER_URL"] = numbered(os.environ["BROKER_URL"], number)
        os.environ["STORE_URL"] = os.environ["BROKER_URL"]
        return (yield)
    home = free_home()
    os.environ.update(
        home.secrets()
        | {
            "DJANGO_SETTINGS_MODULE": "pushadmin.settings",
            "PUSHADMIN_TEST_HOME": str(home.path),
            "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
            "PUBLIC_BASE_URL": "http://testserver",
            "STATIC_ROOT": str(home.path / "static"),
            "HASHED_STATIC_FILES": "0",
            "GATEWAYS": "",
            # Playwright's sync API keeps an event loop in the thread of the test.
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
        }
    )
    (home.path / "static").mkdir(exist_ok=True)
    if not {"--help", "-h", "--version", "-V"} & set(args):
        start_servers(home)
    return (yield)


def free_home() -> Home:
    for number in range(MOST_RUNS_AT_ONCE):
        home = Home(ROOT / "var" / (f"test-{number + 1}" if number else "test"))
        with contextlib.suppress(HomeInUse):
            home.lock()
            return home
    raise pytest.UsageError(f"{MOST_RUNS_AT_ONCE} test runs use this checkout already")


def start_servers(home: Home) -> None:
    if not os.environ.get("DATABASE_URL"):
        postgres = Postgres(home, unsafe_but_fast=True)
        postgres.prepare()
        keep(postgres.service(), home)
        os.environ["DATABASE_URL"] = postgres.url
    if not os.environ.get("BROKER_URL"):
        valkey = Valkey(home, durable=False)
        valkey.prepare()
        keep(valkey.service(), home)
        os.environ["BROKER_URL"] = valkey.url
        os.environ["STORE_URL"] = valkey.url


def keep(service: "Service", home: Home) -> None:
    """Run a server until this process ends."""
    log = home.log / f"{service.name}.log"
    log.unlink(missing_ok=True)
    process = starting.start(service, log)
    atexit.register(starting.stop, process, service, seconds=10)


def numbered(url: str, number: int) -> str:
    """The same server, another of its databases."""
    plain, _, _ = url.partition("?")
    if plain.startswith("redis+socket:"):
        return f"{plain}?virtual_host={number}"
    scheme, _, rest = plain.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{number}"
