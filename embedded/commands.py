"""What `python3 manage.py COMMAND` does: our own commands, then Django's."""

import os
import sys
from collections.abc import Callable, Sequence

from embedded import benching, browser, checking, demo, locking, packages
from embedded.home import Home, HomeInUse
from embedded.servers import ServerFailure
from embedded.starting import NotReady

EXPLAINED = (
    benching.BenchFailure,
    browser.BrowserFailure,
    checking.UnknownCheck,
    locking.LockFailure,
    packages.PackagesFailure,
    HomeInUse,
    NotReady,
    ServerFailure,
)

OURS: dict[str, Callable[[Sequence[str]], int]] = {
    "demo": demo.demo,
    "test": checking.test,
    "check": checking.check,
    "lock": locking.lock,
    "bench": benching.bench,
    "chaos": benching.chaos,
}


def run(arguments: list[str]) -> int:
    """Run one command; those of Django's use the demo's servers unless told otherwise.

    With PUSHADMIN_PYTHON=system (containers) all commands are Django's, and every setting
    comes from the environment.
    """
    if os.environ.get("PUSHADMIN_PYTHON") != "system":
        if ours := OURS.get(next(iter(arguments[1:]), "")):
            return run_ours(ours, arguments[2:])
        use_home(Home.chosen())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pushadmin.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(arguments)
    return 0


def run_ours(command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Failures that say what to do come without a traceback."""
    try:
        return command(arguments)
    except KeyboardInterrupt:
        return 130
    except EXPLAINED as failure:
        print(failure, file=sys.stderr)
        return 1


def use_home(home: Home) -> None:
    """Give what the environment leaves out the values of the demo in this home."""
    port = os.environ.get("PUSHADMIN_PORT") or "8000"
    settings = demo.settings_of(home, int(port)) | demo.running_clouds(home)
    for name, value in settings.items():
        os.environ.setdefault(name, value)
