"""embedded.environment: `.venv` is renewed exactly when the lock or the interpreter changes."""

import threading
from pathlib import Path

import pytest

from embedded import environment
from embedded.environment import digest, exclusively, is_current
from tests.waiting import eventually


def stamped(folder: Path, python: str = "/usr 3.11.2") -> tuple[Path, Path]:
    stamp, lock = folder / "stamp", folder / "develop.txt"
    lock.write_text("django==5.2.19\n")
    stamp.write_text(digest(lock, python) + "\n")
    return stamp, lock


def test_an_environment_of_this_lock_and_interpreter_is_current(tmp_path: Path) -> None:
    stamp, lock = stamped(tmp_path)

    assert is_current(stamp, lock, "/usr 3.11.2")


def test_a_changed_lock_renews_the_environment(tmp_path: Path) -> None:
    stamp, lock = stamped(tmp_path)
    lock.write_text("django==5.2.20\n")

    assert not is_current(stamp, lock, "/usr 3.11.2")


def test_another_interpreter_renews_the_environment(tmp_path: Path) -> None:
    stamp, lock = stamped(tmp_path)

    assert not is_current(stamp, lock, "/usr 3.12.1")


def test_without_a_stamp_the_environment_is_unfinished(tmp_path: Path) -> None:
    stamp, lock = stamped(tmp_path)
    stamp.unlink()

    assert not is_current(stamp, lock, "/usr 3.11.2")


def test_containers_keep_the_interpreter_that_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PUSHADMIN_PYTHON", "system")
    monkeypatch.setattr(environment, "STAMP", tmp_path / "no-stamp")
    monkeypatch.setattr(environment, "make", lambda: pytest.fail("made an environment"))

    environment.enter()


def test_a_broken_environment_does_not_count_as_one(tmp_path: Path) -> None:
    python = tmp_path / "python"
    assert not environment.works(python)

    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    assert not environment.works(python)


def test_two_installations_take_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock, order = tmp_path / "lock", []

    def second() -> None:
        with exclusively(lock, "waiting"):
            order.append("second")

    with exclusively(lock):
        thread = threading.Thread(target=second)
        thread.start()
        eventually(lambda: "waiting" in capsys.readouterr().err)
        order.append("first")
    thread.join(5)

    assert order == ["first", "second"]
