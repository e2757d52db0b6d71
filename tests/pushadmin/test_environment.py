"""pushadmin.environment: settings from variables; mistakes name the variable and the fix."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from embedded.environment import ROOT
from pushadmin import __version__
from pushadmin.environment import (
    database,
    env,
    env_address,
    env_flag,
    env_int,
    env_list,
    store_url,
)

NAME = "PUSHADMIN_TEST_SETTING"
NO_PARALLEL_HASH = {"options": "-c enable_parallel_hash=off"}


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)

    with pytest.raises(ImproperlyConfigured, match=NAME):
        env(NAME)
    assert env(NAME, "otherwise") == "otherwise"


def test_an_empty_value_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "")

    with pytest.raises(ImproperlyConfigured, match=NAME):
        env(NAME)


@pytest.mark.parametrize(
    ("text", "flag"), [("1", True), ("Yes", True), ("off", False), ("0", False), ("", True)]
)
def test_flags_are_read(monkeypatch: pytest.MonkeyPatch, text: str, flag: bool) -> None:
    monkeypatch.setenv(NAME, text)

    assert env_flag(NAME, default=True) is flag


@pytest.mark.parametrize("text", ["maybe", "2"])
def test_what_is_no_flag_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)

    with pytest.raises(ImproperlyConfigured, match=f"{NAME} must be 1 or 0"):
        env_flag(NAME, default=False)


@pytest.mark.parametrize("text", ["many", "-1", "0", "1.5", "²"])
def test_what_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)

    with pytest.raises(ImproperlyConfigured, match=f"{NAME} must be a whole number from 1 up"):
        env_int(NAME, 5, at_least=1)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, " one, two,,")

    assert env_list(NAME) == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "address"),
    [("", None), ("gateway:8443", ("gateway", 8443)), ("[::1]:443", ("::1", 443))],
)
def test_addresses_are_read(
    monkeypatch: pytest.MonkeyPatch, text: str, address: tuple[str, int] | None
) -> None:
    monkeypatch.setenv(NAME, text)

    assert env_address(NAME) == address


@pytest.mark.parametrize("text", ["gateway", "gateway:https", ":1", "gateway:70000"])
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)

    with pytest.raises(ImproperlyConfigured, match=f"{NAME} must be host:port"):
        env_address(NAME)


def test_a_database_over_the_network() -> None:
    settings = database("postgresql://push:p%40ss@db.example:6432/pushadmin?sslmode=require")

    assert (settings["HOST"], settings["PORT"]) == ("db.example", "6432")
    assert (settings["USER"], settings["PASSWORD"]) == ("push", "p@ss")
    assert settings["NAME"] == "pushadmin"
    assert settings["OPTIONS"] == {"sslmode": "require", **NO_PARALLEL_HASH}


def test_a_database_behind_a_socket() -> None:
    settings = database("postgresql://pushadmin@/pushadmin?host=%2Frun%2Fsockets")

    assert settings["HOST"] == "/run/sockets"
    assert settings["OPTIONS"] == NO_PARALLEL_HASH


def test_the_options_of_a_session_can_be_said_otherwise() -> None:
    """As for a pooler that passes none on."""
    settings = database("postgresql://pushadmin@pooler/pushadmin?options=")

    assert "options" not in settings["OPTIONS"]


def test_statements_of_a_session_can_have_an_end() -> None:
    settings = database("postgresql://pushadmin@db/pushadmin", seconds=60)

    assert settings["OPTIONS"]["options"].endswith(" -c statement_timeout=60s")


def test_statements_of_the_web_server_have_an_end() -> None:
    asked = (
        "import pushadmin.wsgi; from django.db import connection as c;"
        "print(c.cursor().execute('SHOW statement_timeout').fetchone()[0])"
    )
    environment = {key: value for key, value in os.environ.items() if key != "STATEMENT_SECONDS"}

    run = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.strip() == "1min"


@pytest.mark.django_db
def test_devices_without_a_person_never_meet_in_one_table_of_a_parallel_join() -> None:
    """Which would take all memory there is (docs/decisions/0014-hash-joins.md)."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_parallel_hash")
        assert cursor.fetchone() == ("off",)


@pytest.mark.parametrize("url", ["mysql://host/name", "postgresql://host", "name"])
def test_what_is_no_postgresql_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL must read postgresql://"):
        database(url)


@pytest.mark.parametrize(
    ("url", "store"),
    [
        ("redis+socket:///run/valkey", "unix:///run/valkey?db=0"),
        ("redis+socket:///run/valkey?virtual_host=3", "unix:///run/valkey?db=3"),
        ("redis://store:6379/1", "redis://store:6379/1"),
        ("rediss://store:6380/0", "rediss://store:6380/0"),
    ],
)
def test_a_store_is_spelled_as_the_redis_package_wants_it(url: str, store: str) -> None:
    assert store_url(url) == store


def test_a_rabbitmq_is_no_store() -> None:
    with pytest.raises(ImproperlyConfigured, match="STORE_URL must name a Valkey or Redis"):
        store_url("amqp://broker//")


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "BROKER_URL"])
def test_the_product_does_not_start_without(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != name}

    run = subprocess.run(
        [sys.executable, "-c", "import pushadmin.settings"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode != 0
    assert f"{name} is not set" in run.stderr


def test_the_version_shown_is_that_of_the_package() -> None:
    told = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())

    assert told["project"]["version"] == __version__
