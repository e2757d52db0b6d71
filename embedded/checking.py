"""`manage.py check` and `manage.py test`: everything that must hold before a change lands."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from embedded import browser, packages
from embedded.environment import ROOT, VENV, say
from embedded.home import Home
from embedded.servers import Postgres, Valkey

ASIDE = ("var", "node_modules", ".venv")


@dataclass(frozen=True)
class Check:
    """One command that must succeed, and the one that mends most of what it finds."""

    name: str
    command: Sequence[str]
    fix: str = ""


class UnknownCheck(Exception):
    """A check of that name does not exist; the text has the names."""


def checks() -> list[Check]:
    django = [sys.executable, "-m", "django"]
    python = [sys.executable, "-m"]
    found = [
        Check("types", [*python, "mypy"]),
        Check("format", [program("ruff"), "format", "--check", "."], "ruff format ."),
        Check("lint", [program("ruff"), "check", "--quiet", "."], "ruff check --fix ."),
        Check("import directions", [program("lint-imports"), "--no-cache"]),
        Check("settings", [*django, "check", "--fail-level", "WARNING"]),
        Check("missing migrations", [*django, "makemigrations", "--check", "--dry-run"]),
        Check("lock files", [*python, "embedded.locking"], "make lock"),
    ]
    if pages := templates():
        djade = [program("djade"), "--target-version", "5.2", "--check", *pages]
        djhtml = [program("djhtml"), "--tabwidth", "2", "--check", *pages]
        found += [
            Check("templates", djade, "djade --target-version 5.2 FILES"),
            Check("indentation", djhtml, "djhtml --tabwidth 2 FILES"),
        ]
    return found


def program(name: str) -> str:
    return str(VENV / "bin" / name)


def templates() -> list[str]:
    """Every template of ours, as paths from the root of the checkout."""
    pages = (page.relative_to(ROOT) for page in ROOT.rglob("templates/**/*.html"))
    return sorted(str(page) for page in pages if page.parts[0] not in ASIDE)


def check(arguments: Sequence[str] = ()) -> int:
    """Run all checks, or those named, and show what those say that fail; 1 when any did."""
    packages.install(dev=True)
    wanted = [one for one in checks() if not arguments or one.name in arguments]
    if unknown := set(arguments) - {one.name for one in wanted}:
        names = ", ".join(repr(one.name) for one in checks())
        raise UnknownCheck(f"no check {', '.join(sorted(unknown))}; there are {names}")
    environment = checking_environment()
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(lambda one: (one, passes(one, environment)), wanted))
    failed = [one.name for one, passed in results if not passed]
    seconds = time.monotonic() - began
    if failed:
        print(f"checks failed: {', '.join(failed)} ({seconds:.0f} s)", flush=True)
        return 1
    print(f"all {len(results)} checks passed ({seconds:.0f} s)", flush=True)
    return 0


def checking_environment() -> dict[str, str]:
    """Settings that load; no server has to answer."""
    home = Home.chosen()
    return {
        **os.environ,
        **home.secrets(),
        "DJANGO_SETTINGS_MODULE": "pushadmin.settings",
        "DATABASE_URL": Postgres(home).url,
        "BROKER_URL": Valkey(home).url,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore:Got an error checking a consistent migration history",
    }


def passes(one: Check, environment: dict[str, str]) -> bool:
    run = subprocess.run(
        list(one.command),
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        mend = f" (most of it is mended by: {one.fix})" if one.fix else ""
        print(f"✗ {one.name}{mend}\n{run.stdout}{run.stderr}", flush=True)
    else:
        say(f"✓ {one.name}")
    return run.returncode == 0


def test(arguments: Sequence[str]) -> int:
    """Run all checks and all tests; with arguments, pytest alone with these."""
    packages.install(dev=True)
    browser.chromium()
    checked = 0 if arguments else check()
    words = list(arguments) or ["-n", "2", "--dist", "worksteal"]
    run = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, check=False)
    if checked:
        print("the tests ran, but checks failed: see above", flush=True)
    return run.returncode or checked
