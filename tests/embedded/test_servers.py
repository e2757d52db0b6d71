"""embedded.servers: a database and a store from wheels, for their owner alone."""

import os
from pathlib import Path

import psycopg
import pytest
import redis

from embedded import servers, starting
from embedded.home import Home
from embedded.servers import Postgres, Valkey


def test_an_interrupted_first_run_leaves_nothing_half_made(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    half = tmp_path / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    postgres = Postgres(home, unsafe_but_fast=True)

    postgres.prepare()
    service = postgres.service()
    process = starting.start(service, home.log / "postgres.log")
    try:
        with psycopg.connect(postgres.url) as connection:
            row = connection.execute(
                "SELECT current_setting('listen_addresses'), current_setting('TimeZone'),"
                " current_setting('server_encoding')"
            ).fetchone()
        assert row == ("", "UTC", "UTF8")
        assert home.sockets.stat().st_mode & 0o777 == 0o700
    finally:
        starting.stop(process, service, seconds=10)
    assert not half.exists()
    assert process.returncode == 0


def test_valkey_keeps_what_it_was_given_when_it_is_killed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    valkey = Valkey(home)
    valkey.prepare()
    service = valkey.service()
    log = home.log / "valkey.log"

    process = starting.start(service, log)
    with redis.Redis(unix_socket_path=str(valkey.socket)) as store:
        store.set("kept", "yes")
    process.kill()
    process.wait()
    process = starting.start(service, log)
    try:
        with redis.Redis(unix_socket_path=str(valkey.socket)) as store:
            assert store.get("kept") == b"yes"
            assert store.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    finally:
        starting.stop(process, service, seconds=10)


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    valkey = Valkey(home)
    valkey.prepare()
    (valkey.data / "appendonlydir").write_text("no folder")

    with pytest.raises(starting.NotReady, match="appendonlydir"):
        starting.start(valkey.service(), home.log / "valkey.log")


def test_root_becomes_somebody_else_where_it_may_not_appear_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(servers, "can_map_user", lambda: False)
    tmp_path.chmod(0o700)

    postgres = Postgres(Home(tmp_path / "home"))

    assert postgres.prefix == ()
    assert postgres.service().user == servers.NOBODY
    assert postgres.data.parent.parent == servers.OPEN_TO_ALL  # the home is closed to others
