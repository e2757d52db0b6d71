"""What `python3 manage.py COMMAND` does: our own commands, then Django's."""

import os
import sys
from collections.abc import Callable, Sequence

from embedded import benching, browser, checking, demo, locking, packages, supervisor
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
    supervisor.Failed,
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
            return explained(lambda: ours(arguments[2:]))
        if failed := explained(lambda: use_home(Home.chosen())):
            return failed
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pushadmin.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(arguments)
    return 0


def explained(step: Callable[[], int]) -> int:
    """Failures that say what to do come without a traceback."""
    try:
        return step()
    except KeyboardInterrupt:
        return 130
    except EXPLAINED as failure:
        print(failure, file=sys.stderr)
        return 1


def use_home(home: Home) -> int:
    """Give what the environment leaves out the values of the demo in this home."""
    settings = demo.settings_of(home, demo.wanted_port()) | demo.running_clouds(home)
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    return 0
