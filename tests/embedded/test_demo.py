"""embedded.demo: what is refused before anything starts, and what people are told."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from embedded import demo
from embedded.environment import ROOT
from embedded.home import Home
from embedded.supervisor import Failed


def test_a_port_in_use_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setenv("PUSHADMIN_PORT", port)

        with pytest.raises(Failed, match=f"port {port} cannot be used.*PUSHADMIN_PORT"):
            demo.chosen_port()


@pytest.mark.parametrize("text", ["http", "70000", "-1"])
def test_what_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PUSHADMIN_PORT", text)

    with pytest.raises(Failed, match="PUSHADMIN_PORT must be a number"):
        demo.chosen_port()


def test_port_0_takes_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHADMIN_PORT", "0")

    assert demo.chosen_port() > 1023


def test_a_second_demo_in_one_home_says_where_the_first_is(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.lock()
    (tmp_path / "demo.json").write_text(json.dumps({"base_url": "http://127.0.0.1:8000"}))

    run = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "demo"],
        env={**os.environ, "PUSHADMIN_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert run.returncode == 1
    assert "runs in" in run.stderr
    assert "http://127.0.0.1:8000" in run.stderr
    assert not (tmp_path / "postgres").exists()


def test_the_greeting_has_the_address_and_every_login(tmp_path: Path) -> None:
    written = {
        "base_url": "http://127.0.0.1:8000",
        "staff": {"admin": {"username": "ada", "password": "pw-1"}},
        "campaign": {"bulk_id": "b", "url": "http://127.0.0.1:8000/apps/1/campaigns/1/"},
    }
    (tmp_path / "demo.json").write_text(json.dumps(written))

    said = demo.greeting(Home(tmp_path))

    assert "http://127.0.0.1:8000\n" in said
    assert "ada / pw-1" in said
    assert "/apps/1/campaigns/1/" in said


def test_commands_reach_the_clouds_only_while_they_run(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    home.gateways.mkdir()
    assert demo.running_clouds(home) == {}

    written = {"port": 8443, "control": "http://127.0.0.1:1", "ca_file": "/ca.pem"}
    (home.gateways / "gateways.json").write_text(json.dumps(written))
    assert demo.running_clouds(home) == {}

    (home.run / "gateways.pid").write_text("1\n")
    assert demo.running_clouds(home) == {
        "GATEWAYS": "127.0.0.1:8443",
        "GATEWAYS_CA_FILE": "/ca.pem",
    }
