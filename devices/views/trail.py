"""The audit trail as pages tell it."""

from dataclasses import dataclass
from typing import Any

from devices import personalizing
from devices.models import AuditEntry, Person, Registration

HIDDEN = {"person", "person_tags", "registration", "device"}  # told in other words
DONE = {
    "personalize device": "moved the device",
    "depersonalize device": "made the device anonymous",
    "undo device move": "took back a move of the device",
    "part from device": "moved a device away from here:",
    "change device": "changed the device",
    "delete device": "deleted the device",
    "create person": "told of this person first",
    "change person": "changed the person",
    "merge person": "merged the person into another",
    "switch device on": "switched the device on",
    "switch device off": "switched the device off",
}


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of the audit trail as a page tells it."""

    entry: AuditEntry
    done: str  # "moved the device"
    lines: list[str]  # "city: Paris → London"
    device: Registration | None = None
    undo: str = ""  # what can be taken back: a "move", a "change"; "": it cannot


def changes_of(entries: list[AuditEntry], devices: dict[str, Registration]) -> list[Change]:
    """Entries as pages tell them, each with the way back if what it did still stands.

    Of the moves of a device, the newest alone can be taken back.
    """
    people, newest = _people(entries), _newest_moves(devices)
    states = _states(entries)
    told = []
    for entry in entries:
        device = devices.get(entry.object_id) if entry.object_type == "registration" else None
        undo = ""
        if device is not None and entry.pk in newest:
            undo = "move" if personalizing.can_undo(entry, device) else ""
        elif personalizing.can_revert(entry, _state(entry, device, states)):
            undo = "change"
        done = DONE.get(entry.action, entry.done)
        told.append(Change(entry, done, _lines(entry, people), device, undo))
    return told


def _newest_moves(devices: dict[str, Registration]) -> set[int]:
    moves = AuditEntry.objects.filter(
        object_type="registration", object_id__in=list(devices), action__in=personalizing.MOVES
    )
    newest = moves.order_by("object_id", "-at", "-pk").distinct("object_id")
    return set(newest.values_list("pk", flat=True))


def _states(entries: list[AuditEntry]) -> dict[str, dict[str, Any]]:
    """What the people that entries changed are like now, by key."""
    keys = {int(each.object_id) for each in entries if each.object_type == "person" and each.after}
    if not keys:
        return {}
    people = Person.objects.filter(pk__in=keys).prefetch_related("identities")
    return {str(each.pk): personalizing.state_of_person(each) for each in people}


def _state(
    entry: AuditEntry, device: Registration | None, states: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """What an entry is about, as it is now."""
    if device is not None:
        return personalizing.state_of_device(device)
    return states.get(entry.object_id, {}) if entry.object_type == "person" else {}


def _people(entries: list[AuditEntry]) -> dict[int, str]:
    """What the people are called whom devices came from and went to."""
    keys = {
        state["person"]
        for entry in entries
        for state in (entry.before, entry.after)
        if state and isinstance(state.get("person"), int)
    }
    if not keys:
        return {}
    people = Person.objects.filter(pk__in=keys).prefetch_related("identities")
    return {person.pk: name_of(person) for person in people}


def name_of(person: Person) -> str:
    """What a page calls somebody: by name, else by what they are known."""
    name = " ".join(filter(None, (person.first_name, person.last_name)))
    return name or next((each.value for each in person.identities.all()), str(person))


def _lines(entry: AuditEntry, people: dict[int, str]) -> list[str]:
    """What changed, name by name."""
    before, after = entry.before or {}, entry.after or {}
    lines = []
    if "person" in before and "person" in after:
        was, now = (
            people.get(state["person"], "somebody who is gone")
            if state["person"] is not None
            else "nobody"
            for state in (before, after)
        )
        lines.append(f"{was} → {now}")
    names = [name for name in {**before, **after} if name not in HIDDEN]
    lines += [
        f"{name.replace('_', ' ')}: {_short(before.get(name))} → {_short(after.get(name))}"
        for name in names
        if name in before and name in after
    ]
    return lines


def _short(value: Any) -> str:
    if value in (None, "", [], {}):
        return "nothing"
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            text = ", ".join(map(str, value))
        case dict():
            text = ", ".join(f"{name} {each}" for name, each in value.items())
        case _:
            text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"
