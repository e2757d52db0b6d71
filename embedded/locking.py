"""`make lock`: write the lock files from pyproject.toml and package.json."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from embedded import packages
from embedded.environment import ROOT, VENV, network_variables, say

LOCKS = (
    "requirements/bootstrap.txt",
    "requirements/production.txt",
    "requirements/develop.txt",
    "package-lock.json",
)
COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-annotate", "--custom-compile-command", "make lock"),
)


class LockFailure(Exception):
    """A lock file cannot be made, or says what it must not."""


def lock(arguments: Sequence[str] = ()) -> int:
    """Resolve again. Pins that still fit stay: a second run changes nothing."""
    before = {name: read(ROOT / name) for name in LOCKS}
    write(ROOT)
    for name in LOCKS:
        say(f"{name}: {'unchanged' if read(ROOT / name) == before[name] else 'changed'}")
    return 0


def check() -> None:
    """Whether the lock files are what `make lock` would write, and name no host."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        (copy / "requirements").mkdir()
        for name in (*LOCKS, "pyproject.toml", "package.json", ".npmrc"):
            shutil.copy(ROOT / name, copy / name)
        write(copy)
        changed = [name for name in LOCKS if read(copy / name) != read(ROOT / name)]
    if changed:
        raise LockFailure(f"{', '.join(changed)} not up to date: run `make lock` and commit")
    if named := [name for name in LOCKS if "://" in read(ROOT / name)]:
        raise LockFailure(f"{', '.join(named)} must not hold addresses")


def write(root: Path) -> None:
    uv = str(VENV / "bin/uv")
    extras = ["--extra", "embedded", "--group", "dev", "-c", "requirements/production.txt"]
    run([uv, *COMPILE, "-o", "requirements/bootstrap.txt", "-"], root, "uv\n")
    run([uv, *COMPILE, "-o", "requirements/production.txt", "pyproject.toml"], root)
    run([uv, *COMPILE, "-o", "requirements/develop.txt", *extras, "pyproject.toml"], root)
    run(packages.npm("install", "--package-lock-only", "--no-progress"), root)
    drop_addresses(root / "package-lock.json")


def drop_addresses(path: Path) -> None:
    """Packages say where to send them money; npm copies that."""
    tree = json.loads(path.read_text())
    for package in tree["packages"].values():
        package.pop("funding", None)
        package.pop("resolved", None)
    path.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n")


def run(command: list[str], directory: Path, text: str = "") -> None:
    done = subprocess.run(
        command,
        cwd=directory,
        env=network_variables() | packages.variables(),
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LockFailure(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    try:
        check()
    except LockFailure as failure:
        sys.exit(str(failure))
