"""What `python3 manage.py COMMAND` does: our own commands, then Django's."""

import os

from embedded.home import Home
from embedded.servers import Postgres, Valkey


def run(arguments: list[str]) -> int:
    """Run one command of Django's, on the demo's servers unless the environment names others."""
    if os.environ.get("PUSHADMIN_PYTHON") != "system":
        use_home(Home.chosen())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pushadmin.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(arguments)
    return 0


def use_home(home: Home) -> None:
    """Give what the environment leaves out the values of the demo in this home."""
    for name, value in demo_environment(home).items():
        os.environ.setdefault(name, value)


def demo_environment(home: Home) -> dict[str, str]:
    port = os.environ.get("PUSHADMIN_PORT") or "8000"
    return {
        **home.secrets(),
        "DATABASE_URL": Postgres(home).url,
        "BROKER_URL": Valkey(home).url,
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "STATIC_ROOT": str(home.path / "static"),
    }
