"""The zones of the world."""

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    """UTC, and the zones that are called after a place, such as Europe/Berlin."""
    places = (name for name in available_timezones() if "/" in name)
    return ("UTC", *sorted(name for name in places if not name.startswith(("Etc/", "SystemV/"))))


def zone_choices() -> list[tuple[str, str]]:
    """For a form: their names, with underscores as spaces."""
    return [(name, name.replace("_", " ")) for name in zone_names()]


def zone_of(name: str) -> ZoneInfo:
    """A zone by its name; UTC if it is no longer one."""
    return ZoneInfo(name if name in zone_names() else "UTC")
