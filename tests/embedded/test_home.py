"""embedded.home: one data folder, one process in charge of it."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.environment import ROOT
from embedded.home import LONGEST_SOCKET, Home, HomeInUse

HOLD = """
import sys
from pathlib import Path
from embedded.home import Home
Home(Path(sys.argv[1])).lock()
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_home_belongs_to_one_process_until_that_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as other:  # type: ignore[call-overload]
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(HomeInUse, match=str(tmp_path)):
            Home(tmp_path).lock()
        other.kill()
        other.wait()

    Home(tmp_path).lock()


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    first = Home(tmp_path).secrets()

    assert Home(tmp_path).secrets() == first
    assert len(first["SECRET_KEY"]) >= 50
    assert len(base64.urlsafe_b64decode(first["FIELD_KEYS"])) == 32
    assert (tmp_path / "secrets.env").stat().st_mode & 0o777 == 0o600
    assert Home(tmp_path / "other").secrets() != first


def test_addresses_of_sockets_fit_however_deep_the_home_is(tmp_path: Path) -> None:
    deep = Home(tmp_path / ("d" * 60) / ("e" * 60))
    also_deep = Home(tmp_path / ("d" * 60) / ("f" * 60))
    deep.prepare()

    assert len(os.fsencode(deep.sockets / ".s.PGSQL.5432.lock")) <= LONGEST_SOCKET
    assert deep.sockets != also_deep.sockets
    assert deep.sockets.stat().st_mode & 0o777 == 0o700
    deep.sockets.rmdir()


def test_the_environment_chooses_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PUSHADMIN_HOME", str(tmp_path))
    assert Home.chosen().path == tmp_path

    monkeypatch.delenv("PUSHADMIN_HOME")
    assert Home.chosen().path == ROOT / "var"
