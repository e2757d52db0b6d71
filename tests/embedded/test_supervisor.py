"""embedded.supervisor: starts, restarts and ends processes, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from embedded.environment import ROOT
from embedded.processes import end_leftovers, read_pid
from tests.waiting import eventually

Start = Callable[..., "subprocess.Popen[str]"]
SLEEPER = "echo $$ >> {name}.pids; sleep 300 & echo $! >> {name}.pids; touch {name}.ready; wait"


def sleeper(name: str) -> str:
    """A service with a process of its own; both write down their process ids."""
    return f"{name}={SLEEPER.format(name=name)}"


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Start]:
    started = []

    def start(*services: str, home: Path = tmp_path, before: str = "") -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.embedded.supervised", str(home), *services]
        if before:
            command = ["sh", "-c", f'{before}; exec "$@"', "sh", *command]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append((process, home))
        return process

    yield start
    for process, home in started:
        process.kill()
        process.wait()
        for pid in written_pids(home):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def written_pids(home: Path) -> list[int]:
    return [int(line) for file in home.glob("*.pids") for line in file.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def nothing_is_left(home: Path) -> bool:
    return not any(is_alive(pid) for pid in written_pids(home))


def another_pid(file: Path, old: int) -> int:
    pid = read_pid(file)
    return 0 if pid is None or pid == old else pid


def all_ready(home: Path) -> bool:
    return (home / "all.ready").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_process_and_what_it_started(
    supervise: Start, tmp_path: Path, number: signal.Signals
) -> None:
    supervisor = supervise(sleeper("db"), sleeper("web"))
    eventually(lambda: all_ready(tmp_path))
    assert len(written_pids(tmp_path)) == 4

    supervisor.send_signal(number)

    assert supervisor.wait(10) == 0
    assert nothing_is_left(tmp_path)
    assert list((tmp_path / "run").glob("*.pid")) == []


def test_ctrl_c_works_where_the_shell_had_it_ignored(supervise: Start, tmp_path: Path) -> None:
    supervisor = supervise(sleeper("web"), before="trap '' INT")
    eventually(lambda: all_ready(tmp_path))

    supervisor.send_signal(signal.SIGINT)

    assert supervisor.wait(10) == 0
    assert nothing_is_left(tmp_path)


def test_a_process_that_ignores_the_signal_is_ended_all_the_same(
    supervise: Start, tmp_path: Path
) -> None:
    stubborn = "web=trap '' TERM; echo $$ > web.pids; touch web.ready; while :; do sleep 1; done"
    supervisor = supervise(stubborn)
    eventually(lambda: all_ready(tmp_path))

    supervisor.send_signal(signal.SIGTERM)

    assert supervisor.wait(10) == 0
    assert nothing_is_left(tmp_path)


def test_a_supervisor_killed_with_sigkill_leaves_no_service(
    supervise: Start, tmp_path: Path
) -> None:
    supervisor = supervise("db=echo $$ > db.pids; touch db.ready; exec sleep 300")
    eventually(lambda: all_ready(tmp_path))

    supervisor.kill()
    supervisor.wait()

    eventually(lambda: nothing_is_left(tmp_path))


def test_after_sigkill_it_starts_again_in_the_same_home(supervise: Start, tmp_path: Path) -> None:
    first = supervise(sleeper("db"))
    eventually(lambda: all_ready(tmp_path))
    first.kill()
    first.wait()
    (tmp_path / "all.ready").unlink()

    supervise(sleeper("db"))

    eventually(lambda: all_ready(tmp_path))


def test_a_killed_child_is_started_again(supervise: Start, tmp_path: Path) -> None:
    supervise(sleeper("web"))
    eventually(lambda: all_ready(tmp_path))
    pid_file = tmp_path / "run/web.pid"
    killed = read_pid(pid_file)
    assert killed is not None

    os.kill(killed, signal.SIGKILL)

    again = eventually(lambda: another_pid(pid_file, killed))
    eventually(lambda: len(written_pids(tmp_path)) == 4)
    assert is_alive(again)
    own, started_by_it, *_ = written_pids(tmp_path)
    assert own == killed
    assert not is_alive(started_by_it)  # it would hold the port


def test_a_child_that_keeps_ending_is_started_ever_more_rarely(
    supervise: Start, tmp_path: Path
) -> None:
    supervisor = supervise("web=touch web.ready; sleep 0.3; exit 7")
    assert supervisor.stdout is not None

    ends = islice((line for line in supervisor.stdout if "web ended" in line), 2)

    first, second = ends
    assert "exit code 7" in first
    assert "again in 0.5 s" in first
    assert "again in 1 s" in second


def test_what_ends_before_it_is_ready_stops_the_start_and_shows_why(
    supervise: Start, tmp_path: Path
) -> None:
    supervisor = supervise(sleeper("db"), "web=echo no such table; exit 3")

    said, _ = supervisor.communicate(timeout=10)

    assert supervisor.returncode == 1
    assert "web ended" in said
    assert "no such table" in said
    assert nothing_is_left(tmp_path)


def test_the_database_ends_after_those_who_use_it(supervise: Start, tmp_path: Path) -> None:
    ending = (
        "trap 'echo {name} >> order; exit' TERM; touch {name}.ready; while :; do sleep 0.05; done"
    )
    supervisor = supervise(f"db={ending.format(name='db')}", f"web={ending.format(name='web')}")
    eventually(lambda: all_ready(tmp_path))

    supervisor.terminate()
    supervisor.wait(10)

    assert (tmp_path / "order").read_text().split() == ["web", "db"]


def test_two_homes_do_not_disturb_each_other(supervise: Start, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    first = supervise(sleeper("web"), home=one)
    supervise(sleeper("web"), home=two)
    eventually(lambda: all_ready(one) and all_ready(two))

    first.terminate()
    first.wait(10)

    assert nothing_is_left(one)
    assert all(is_alive(pid) for pid in written_pids(two))


def test_output_goes_to_a_log_of_its_own(supervise: Start, tmp_path: Path) -> None:
    supervise("web=echo hello; touch web.ready; sleep 300", sleeper("db"))

    eventually(lambda: all_ready(tmp_path))

    assert (tmp_path / "log/web.log").read_text() == "hello\n"


def test_leftovers_are_ended_only_where_they_are_ours(tmp_path: Path) -> None:
    ours = subprocess.Popen(["sleep", "300"], env={"MARK": "home"}, start_new_session=True)
    strange = subprocess.Popen(["sleep", "300"], env={"MARK": "other"}, start_new_session=True)
    try:
        (tmp_path / "a.pid").write_text(str(ours.pid))
        (tmp_path / "b.pid").write_text(str(strange.pid))
        (tmp_path / "c.pid").write_text("no number")

        assert end_leftovers(tmp_path, "MARK=home") == [ours.pid]
        assert ours.wait(5) == -signal.SIGKILL
        assert strange.poll() is None
    finally:
        for process in (ours, strange):
            process.kill()
            process.wait()
