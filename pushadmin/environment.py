"""Reading settings from the environment, with errors that name the variable and the fix."""

import os
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def env(name: str, default: str | None = None) -> str:
    value = os.environ.get(name, default)
    if value is None or (default is None and not value):
        raise ImproperlyConfigured(
            f"{name} is not set. README.md, Configuration, says what belongs into it."
        )
    return value


def env_flag(name: str, *, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")


def env_int(name: str, default: int, *, at_least: int = 0) -> int:
    value = os.environ.get(name) or str(default)
    if not value.strip().isdecimal() or int(value) < at_least:
        raise ImproperlyConfigured(f"{name} must be a whole number from {at_least} up.")
    return int(value)


def env_list(name: str, default: str = "") -> list[str]:
    """Values separated by commas."""
    return [part.strip() for part in (os.environ.get(name) or default).split(",") if part.strip()]


def env_networks(name: str) -> list[str]:
    """Networks such as `10.0.0.0/8`, separated by commas."""
    networks = env_list(name)
    for each in networks:
        try:
            ip_network(each)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} must hold networks such as 10.0.0.0/8, not {each!r}."
            ) from error
    return networks


def env_address(name: str) -> tuple[str, int] | None:
    """`host:port`, or None when unset."""
    value = os.environ.get(name, "").strip()
    if not value:
        return None
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ImproperlyConfigured(f"{name} must be host:port, such as 127.0.0.1:8443.")
    return host.strip("[]"), int(port)


def database(url: str, *, seconds: int = 0) -> dict[str, Any]:
    """Django's settings for `postgresql://user:password@host:port/name?option=value`.

    A socket's folder goes into the option `host`, as libpq has it. Sessions run without parallel
    hash joins (docs/decisions/0014-hash-joins.md), and no statement of theirs longer than so many
    `seconds`, unless the option `options` says otherwise.
    """
    parts = urlsplit(url)
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in {"postgres", "postgresql"} or not name:
        raise ImproperlyConfigured(
            "DATABASE_URL must read postgresql://user:password@host:5432/name."
        )
    given = parse_qs(parts.query, keep_blank_values=True)
    session = "-c enable_parallel_hash=off"
    options = {"options": f"{session} -c statement_timeout={seconds}s" if seconds else session}
    options |= {key: values[-1] for key, values in given.items()}
    options = {key: value for key, value in options.items() if value}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
    }


def store_url(url: str) -> str:
    """The address as the redis package spells it: `unix://PATH?db=N` for a socket.

    Celery's own spelling is `redis+socket://PATH?virtual_host=N`.
    """
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        number = parse_qs(parts.query).get("virtual_host", ["0"])[-1]
        return f"unix://{parts.path}?db={number}"
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ImproperlyConfigured(
            "STORE_URL must name a Valkey or Redis: redis://host:6379/0. "
            "It may be left out only where BROKER_URL is one."
        )
    return url
