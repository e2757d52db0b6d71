"""What a rule means, in plain Python: written from the rules of the language, without SQL."""

import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from campaigns.models import Message
from devices.models import Platform
from devices.versions import pack_version

State = Message.State
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
OPPOSITES = {
    "is_not": "is", "not_in": "in", "not_contains": "contains", "has_not": "has",
    "empty": "not_empty", "never": "ever", "not_within_days": "within_days",
}  # fmt: skip
TEXTS = ("language", "manufacturer", "model")
VERSIONS = ("app_version", "os_version", "sdk_version")
FLAGS = ("primary", "secure", "geofencing", "enabled", "notifications")
IDENTITIES = ("external_id", "phone", "email")
PERSON_TEXTS = (
    "first_name", "last_name", "middle_name", "city", "country", "preferred_language",
)  # fmt: skip
REACHED = {
    "sent": (State.ACCEPTED, State.DELIVERED, State.SEEN, State.CLICKED),
    "received": (State.DELIVERED, State.SEEN, State.CLICKED),
    "seen": (State.SEEN, State.CLICKED),
    "clicked": (State.CLICKED,),
}


RELATIVE = {"within_days": -1, "older_than_days": -1, "within_next_days": 1}
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "is": operator.eq,
    "before": operator.lt,
    "after": operator.gt,
    "on_or_before": operator.le,
    "on_or_after": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Sent:
    """One message to a device."""

    campaign: int | None
    state: Message.State
    sent: datetime
    delivered: datetime | None = None
    seen: datetime | None = None
    clicked: datetime | None = None

    def moment(self, how: str) -> datetime:
        """When it came so far; where that receipt was lost, when the next one says."""
        order = [self.delivered, self.seen, self.clicked]
        known = order[{"received": 0, "seen": 1, "clicked": 2}.get(how, 3) :]
        return next((each for each in known if each is not None), self.sent)


@dataclass(frozen=True, slots=True)
class Done:
    """An event; a session has no name."""

    name: str
    at: datetime
    properties: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Device:
    """Everything a rule can ask."""

    platform: Platform
    texts: dict[str, str]
    versions: dict[str, str]  # as the device wrote them
    flags: dict[str, bool | None]
    offset: int | None  # minutes east of UTC
    created: datetime
    last_seen: date
    attributes: dict[str, Any]
    registration_id: str = ""
    tags: list[str] = field(default_factory=list)
    person: "Human | None" = None
    messages: list[Sent] = field(default_factory=list)
    events: list[Done] = field(default_factory=list)
    lists: set[int] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Human:
    texts: dict[str, str]
    gender: str
    birthday: date | None
    kind: str
    attributes: dict[str, Any]
    identities: dict[str, set[str]]
    lists: set[int] = field(default_factory=set)


NOBODY = Human(texts={}, gender="", birthday=None, kind="", attributes={}, identities={})


@dataclass(frozen=True, slots=True)
class Meaning:
    """Evaluates rules at one moment, with the segments they may name."""

    now: datetime
    segments: dict[int, dict[str, Any]]

    def holds(self, rule: dict[str, Any], device: Device) -> bool:
        if "all" in rule:
            return all(self.holds(member, device) for member in rule["all"])
        if "any" in rule:
            return any(self.holds(member, device) for member in rule["any"])
        if "not" in rule:
            return not self.holds(rule["not"], device)
        op = rule.get("op", "is")
        if op in OPPOSITES:
            return not self.test({**rule, "op": OPPOSITES[op]}, device)
        return self.test({**rule, "op": op}, device)

    def test(self, rule: dict[str, Any], device: Device) -> bool:
        name, op = rule["field"], rule["op"]
        value: Any = rule.get("value")
        meanings: list[tuple[Collection[str], Callable[[], Any]]] = [
            (TEXTS, lambda: text(device.texts[name], op, value)),
            (VERSIONS, lambda: version(device.versions[name], op, value)),
            (FLAGS, lambda: (device.flags[name] is True) == value),
            (("platform",), lambda: chosen(device.platform.label, value)),
            (("known",), lambda: (device.person is not None) == value),
            (("timezone",), lambda: ordered(device.offset, op, value)),
            (("created",), lambda: self.created(rule, device)),
            (("last_seen",), lambda: self.day(device.last_seen, rule, device, past=True)),
            (("registration_id",), lambda: device.registration_id in listed(value)),
            (("tag",), lambda: tags(device.tags, op, value)),
            (REACHED, lambda: self.behaviour(rule, device)),
            (("list",), lambda: value in device.lists | (device.person or NOBODY).lists),
            (("segment",), lambda: self.holds(self.segments[value], device)),
        ]
        for names, told in meanings:
            if name in names:
                return bool(told())
        if name == "session" or name.startswith("event:"):
            return self.event(rule, device)
        if name.startswith("attribute:"):
            return self.attribute(device.attributes, name.partition(":")[2], rule, device)
        return device.person is not None and self.human(rule, device, device.person)

    def created(self, rule: dict[str, Any], device: Device) -> bool:
        return self.day(self.local(device.created, rule, device), rule, device, past=True)

    def human(self, rule: dict[str, Any], device: Device, person: Human) -> bool:
        name, op = rule["field"], rule["op"]
        value: Any = rule.get("value")
        if name in IDENTITIES:
            known = person.identities.get(name, set())
            if op == "not_empty":
                return bool(known)
            return bool(known & {spelled(name, each) for each in listed(value)})
        if name in PERSON_TEXTS:
            return text(person.texts[name], op, value)
        if name == "gender":
            return chosen(person.gender, value)
        if name == "person_type":
            return chosen(person.kind, value)
        if name == "birthday":
            return self.day(person.birthday, rule, device, past=False)
        return self.attribute(person.attributes, name.partition(":")[2], rule, device)

    def behaviour(self, rule: dict[str, Any], device: Device) -> bool:
        how = rule["field"]
        found = [
            message
            for message in device.messages
            if message.state in REACHED[how]
            and ("campaign" not in rule or message.campaign == rule["campaign"])
        ]
        if rule["op"] == "ever":
            return bool(found)
        since = self.now - timedelta(days=rule["value"])
        return any(message.moment(how) >= since for message in found)

    def event(self, rule: dict[str, Any], device: Device) -> bool:
        name = rule["field"].partition(":")[2]
        since = datetime.min.replace(tzinfo=UTC)
        if rule["op"] == "within_days":
            since = self.now - timedelta(days=rule["value"])
        found = [
            event
            for event in device.events
            if event.name == name
            and since <= event.at
            and (rule["op"] == "ever" or event.at <= self.now)
            and all(self.where(each, event, device) for each in rule.get("where", []))
        ]
        return len(found) >= int(rule.get("times", 1))

    def where(self, condition: dict[str, Any], event: Done, device: Device) -> bool:
        op = condition.get("op", "is")
        name = condition["property"]
        test = {**condition, "op": OPPOSITES.get(op, op)}
        return self.attribute(event.properties, name, test, device) != (op in OPPOSITES)

    def attribute(
        self, attributes: dict[str, Any], name: str, rule: dict[str, Any], device: Device
    ) -> bool:
        op, stored = rule["op"], attributes.get(name)
        value: Any = rule.get("value")
        if op == "not_empty":
            return name in attributes
        if name not in attributes:
            return False
        if op in ("is", "in"):
            return any(same(stored, each) for each in (value if op == "in" else [value]))
        if op == "has_item":
            items = stored if isinstance(stored, list) else []
            return any(
                all(key in item and same(item[key], value[key]) for key in value) for item in items
            )
        if op in ("starts_with", "ends_with", "contains"):
            return isinstance(stored, str) and text(stored, op, value)
        end = value[0] if isinstance(value, list) else value
        if op in ("lt", "lte", "gt", "gte", "between") and not isinstance(end, str):
            number = isinstance(stored, int | float) and not isinstance(stored, bool)
            return number and ordered(stored, op, value)
        return self.written_day(stored, rule, device)

    def written_day(self, stored: Any, rule: dict[str, Any], device: Device) -> bool:
        """Texts that look like a day; they need not be in the calendar."""
        if not isinstance(stored, str) or not DAY.fullmatch(stored):
            return False
        words = {"lt": "before", "lte": "on_or_before", "gt": "after", "gte": "on_or_after"}
        rule = {**rule, "op": words.get(rule["op"], rule["op"])}
        return self.day(stored, rule, device, past=False)

    def local(self, moment: datetime, rule: dict[str, Any], device: Device) -> date:
        zone = rule.get("zone", "UTC")
        if zone == "recipient":
            return (moment.astimezone(UTC) + timedelta(minutes=device.offset or 0)).date()
        return moment.astimezone(ZoneInfo(zone)).date()

    def day(self, stored: Any, rule: dict[str, Any], device: Device, *, past: bool) -> bool:
        op = rule["op"]
        value: Any = rule.get("value")
        if op == "not_empty":
            return stored is not None
        if stored is None:
            return False
        stored = stored if isinstance(stored, str) else stored.isoformat()
        today = self.local(self.now, rule, device)
        if op == "anniversary_within":
            born, ahead = date.fromisoformat(stored), range(min(value, 365) + 1)
            return any(comes_round(born, today + timedelta(days=days)) for days in ahead)
        if op in ("within_days", "older_than_days", "within_next_days"):
            first, last = sorted((today, today + timedelta(days=value * RELATIVE[op])))
            if op == "older_than_days":
                return bool(stored < first.isoformat())
            open_end = past and op == "within_days"  # a day west of here may be behind
            return bool(first.isoformat() <= stored and (open_end or stored <= last.isoformat()))
        if op == "between":
            return bool(value[0] <= stored <= value[1])
        return bool(COMPARED[op](stored, value))


def comes_round(born: date, day: date) -> bool:
    if (born.month, born.day) == (2, 29) and not leap(day.year):
        return (day.month, day.day) == (2, 28)
    return (born.month, born.day) == (day.month, day.day)


def leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def chosen(stored: str, value: Any) -> bool:
    return stored.lower() in [each.lower() for each in listed(value)]


def text(stored: str, op: str, value: Any) -> bool:
    match op:
        case "is":
            return bool(stored == value)
        case "in":
            return stored in value
        case "starts_with":
            return stored.startswith(value)
        case "ends_with":
            return stored.endswith(value)
        case "contains":
            return value in stored
    assert op == "not_empty", op
    return stored != ""


def version(stored: str, op: str, value: Any) -> bool:
    known = pack_version(stored)
    if op == "written":
        return bool(stored == value)
    if op == "not_empty":
        return known > 0
    if op == "between":
        return pack_version(value[0]) <= known <= pack_version(value[1])
    return known > 0 and ordered(known, op, pack_version(value))


def ordered(stored: Any, op: str, value: Any) -> bool:
    if op == "not_empty":
        return stored is not None
    if stored is None:
        return False
    if op == "between":
        return exact(value[0]) <= exact(stored) <= exact(value[1])
    one, other = exact(stored), exact(value)
    return {
        "is": one == other,
        "lt": one < other,
        "lte": one <= other,
        "gt": one > other,
        "gte": one >= other,
    }[op]


def exact(number: float) -> Decimal:
    return Decimal(repr(number))


def same(one: object, other: object) -> bool:
    """JSON equality: 1 = 1.0, but true is no number."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def tags(stored: list[str], op: str, value: Any) -> bool:
    if op == "not_empty":
        return bool(stored)
    asked = set(listed(value))
    return bool(set(stored) & asked) if op == "has_any" else asked <= set(stored)


def spelled(name: str, value: str) -> str:
    if name == "phone":
        return value.removeprefix("+")
    return value.lower() if name == "email" else value
