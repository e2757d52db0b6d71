"""The Python environment in `.venv`: made when missing, renewed when the lock changes."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "requirements.sha256"
BOOTSTRAP = ROOT / "requirements/bootstrap.txt"
DEVELOP = ROOT / "requirements/develop.txt"


class EnvironmentFailure(Exception):
    """The environment cannot be made; the text says what to do."""


def say(text: str) -> None:
    """Show progress, apart from what a command prints."""
    print(f"· {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def exclusively(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold a lock file; while another process has it, say what is being waited for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(lock: Path, python: str) -> str:
    """What the stamp holds when the environment is the one the lock asks for."""
    return hashlib.sha256(lock.read_bytes() + python.encode()).hexdigest()


def interpreter() -> str:
    """The interpreter that an environment is made of, the same inside and outside of it."""
    return f"{sys.base_prefix} {sys.version}"


def is_current(stamp: Path, lock: Path, python: str) -> bool:
    return stamp.is_file() and stamp.read_text().strip() == digest(lock, python)


def enter() -> None:
    """Continue inside the environment; make it first when it is missing or outdated.

    PUSHADMIN_PYTHON=system (containers) keeps the interpreter that was started.
    """
    if os.environ.get("PUSHADMIN_PYTHON") == "system":
        return
    if not is_current(STAMP, DEVELOP, interpreter()):
        try:
            with exclusively(ROOT / "var/environment.lock", "waiting for another installation"):
                if not is_current(STAMP, DEVELOP, interpreter()):
                    make()
        except (EnvironmentFailure, OSError) as failure:
            sys.exit(f"Cannot make the environment in {VENV}: {failure}")
    if Path(sys.prefix).resolve() != VENV.resolve():
        python = str(VENV / "bin/python")
        os.execv(python, [python, *sys.argv])


def network_variables() -> dict[str, str]:
    """The process environment, with the system's certificates trusted (company proxies)."""
    return {"UV_SYSTEM_CERTS": "1", "NODE_USE_SYSTEM_CA": "1", **os.environ}


def make() -> None:
    """Create or renew `.venv` from the lock files; the stamp is written last."""
    STAMP.unlink(missing_ok=True)
    python = VENV / "bin/python"
    if not works(python):
        say(f"making the Python environment in {VENV.name}/ (once, about half a minute)")
        shutil.rmtree(VENV, ignore_errors=True)
        create_venv()
    else:
        say(f"renewing the Python environment in {VENV.name}/")
    install(python)
    let_everything_import_the_checkout(python)
    STAMP.write_text(digest(DEVELOP, interpreter()) + "\n")


def works(python: Path) -> bool:
    """Whether an environment is there, made of the interpreter that runs now, and has pip."""
    if not python.exists():
        return False
    ask = "import sys, pip; print(sys.base_prefix, sys.version)"
    answer = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.strip() == interpreter()


def create_venv() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False
    )
    if run.returncode:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise EnvironmentFailure(
            f"`python3 -m venv` failed. On Debian and Ubuntu: apt install python{version}-venv; "
            f"on Fedora: dnf install python3-pip. It said:\n{run.stdout}{run.stderr}"
        )


def install(python: Path) -> None:
    """Install exactly what the lock says: with uv, or with pip where uv does not work."""
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    fetch_uv = [*pip, "install", "--quiet", "--require-hashes", "-r", str(BOOTSTRAP)]
    sync = [str(VENV / "bin/uv"), "pip", "sync", "--quiet", "--require-hashes"]
    variables = network_variables() | {"VIRTUAL_ENV": str(VENV)}
    for command in (fetch_uv, [*sync, str(DEVELOP)]):
        if run_quietly(command, variables):
            say("uv did not work here, installing with pip (slower)")
            break
    else:
        return
    fallback = [*pip, "install", "--quiet", "--require-hashes", "-r", str(DEVELOP)]
    if output := run_quietly(fallback, variables):
        raise EnvironmentFailure(
            "installing the packages failed; is a package index reachable?\n" + output
        )


def run_quietly(command: list[str], variables: dict[str, str]) -> str:
    """Run a command; empty when it succeeded, else what it printed."""
    try:
        run = subprocess.run(
            command, env=variables, capture_output=True, text=True, check=False, cwd=ROOT
        )
    except OSError as failure:
        return str(failure)
    return "" if run.returncode == 0 else run.stdout + run.stderr or "failed without a word"


def let_everything_import_the_checkout(python: Path) -> None:
    """So that a bare `pytest` or `celery` finds the rooms, from any folder."""
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    (Path(packages.stdout.strip()) / "pushadmin.pth").write_text(f"{ROOT}\n")


def installed(distribution_folder: str) -> Path:
    """A folder that an installed wheel brought along."""
    return Path(sysconfig.get_paths()["purelib"]) / distribution_folder
