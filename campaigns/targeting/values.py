"""The values of a rule, read strictly: what cannot be meant is refused with its place."""

from datetime import date
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from campaigns.errors import RuleError

VALUES = 100_000  # of one list
TEXT_LENGTH = 4096  # characters, as an attribute may have
NAME_LENGTH = 280  # characters: 256 of an attribute's name, and its prefix
LARGEST = 2**63 - 1
DAYS = 36_500
RECIPIENT = "recipient"  # the zone of each device

JSON = str | int | float | bool


def join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def storable(text: str) -> bool:
    """Whether Postgres can hold it: no NUL, no half of a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def members(value: object, path: str) -> list[object]:
    """A list as it is; anything else as a list of one."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise RuleError(path, "expected at least one value.")
    if len(values) > VALUES:
        raise RuleError(path, f"a list holds at most {VALUES:,} values.")
    return values


def texts(value: object, path: str) -> list[str]:
    found: list[str] = []
    values = members(value, path)
    for number, each in enumerate(values):
        if not isinstance(each, str) or not each or len(each) > TEXT_LENGTH or not storable(each):
            place = f"{path}[{number}]" if isinstance(value, list) else path
            raise RuleError(
                place, f"expected a text that is not empty, of at most {TEXT_LENGTH:,} characters."
            )
        found.append(each)
    return found


def text(value: object, path: str) -> str:
    if isinstance(value, list):
        raise RuleError(path, "expected one text, not a list.")
    return texts(value, path)[0]


def scalar(value: object, path: str) -> JSON:
    """A value as a custom attribute can have it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= TEXT_LENGTH and storable(value):
        return value
    if isinstance(value, int | float) and abs(value) <= LARGEST:  # neither is NaN
        return value
    raise RuleError(path, "expected a text, a number, or true or false.")


def number(value: object, path: str) -> int | float:
    found = scalar(value, path)
    if isinstance(found, bool | str):
        raise RuleError(path, "expected a number.")
    return found


def whole(value: object, path: str, *, least: int, most: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RuleError(path, f"expected {what} from {least:,} to {most:,}.")
    return value


def days(value: object, path: str) -> int:
    return whole(value, path, least=0, most=DAYS, what="a number of days")


def key(value: object, path: str, what: str) -> int:
    """The number of a row."""
    return whole(value, path, least=1, most=LARGEST, what=f"the number of {what}")


def day(value: object, path: str) -> date:
    written = text(value, path)
    try:
        if len(written) == 10 and written.isascii():
            return date.fromisoformat(written)
    except ValueError:
        pass  # it looks like one, and the calendar has no such day
    raise RuleError(path, "expected a day such as 2026-11-30.")


def pair(value: object, path: str) -> tuple[object, object]:
    """The two ends of a range."""
    if not isinstance(value, list) or len(value) != 2:
        raise RuleError(path, "expected a list of two: from and to.")
    return value[0], value[1]


def registration_ids(value: object, path: str) -> list[UUID]:
    """Those that can be ids: others match nothing."""
    found = []
    for written in texts(value, path):
        try:
            found.append(UUID(written))
        except ValueError:
            continue
    return found


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def zone(value: object, path: str) -> ZoneInfo | None:
    """A zone of the world by its name; None: each recipient's own."""
    if value == RECIPIENT:
        return None
    if not isinstance(value, str) or value not in _zones():
        raise RuleError(path, f"expected {RECIPIENT!r} or a zone such as Europe/Berlin.")
    return ZoneInfo(value)
