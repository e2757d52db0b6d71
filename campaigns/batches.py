"""Receipts as they travel, and what a batch of them says of each message."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from campaigns import ids
from campaigns.models import Message

# Receipts of one application, as the stream carries them: its key, the key of the device
# that says it (None: not known), and of each receipt the message's id in 32 hexadecimal
# digits, its state, the time in milliseconds and, if there are any, reason and answer.
Call = tuple[int, int | None, Sequence[Sequence[Any]]]

_ACCEPTED = Message.State.ACCEPTED.value
_DELIVERED = Message.State.DELIVERED.value
_SEEN = Message.State.SEEN.value
_CLICKED = Message.State.CLICKED.value
_FAILED = Message.State.FAILED.value


def packed(
    message_id: UUID, state: int, at: datetime, reason: int = 0, answer: str = ""
) -> list[object]:
    """A receipt as a Call holds it."""
    receipt = [message_id.hex, int(state), round(at.timestamp() * 1000)]
    return [*receipt, int(reason), answer[:200]] if reason or answer else receipt


class Said:
    """All receipts of one message in a batch, in milliseconds. Of each kind the first counts."""

    __slots__ = ("accepted", "clicked", "delivered", "end", "seen")

    def __init__(self) -> None:
        self.accepted: int | None = None
        self.delivered: int | None = None
        self.seen: int | None = None
        self.clicked: int | None = None
        self.end: tuple[int, int, int, str] | None = None  # time, state, reason, answer

    def add(self, state: int, at: int, reason: int = 0, answer: str = "") -> None:
        """Later states imply the earlier ones."""
        if state >= _FAILED:
            if self.end is None or at < self.end[0]:
                self.end = at, state, reason, answer
            return
        if state == _ACCEPTED:
            self.accepted = at if self.accepted is None else min(at, self.accepted)
            return
        if self.delivered is None or at < self.delivered:
            self.delivered = at
        if state >= _SEEN and (self.seen is None or at < self.seen):
            self.seen = at
        if state == _CLICKED and (self.clicked is None or at < self.clicked):
            self.clicked = at

    @property
    def state(self) -> int:
        """What arrived has arrived, whatever else was said of it in the same breath."""
        if self.delivered is not None:
            if self.seen is None:
                return _DELIVERED
            return _SEEN if self.clicked is None else _CLICKED
        return _ACCEPTED if self.end is None else self.end[1]

    def receipts(self) -> Iterable[tuple[int, int, int, str]]:
        """State, time, reason and answer of each receipt it is made of."""
        for state, at in (
            (_ACCEPTED, self.accepted),
            (_DELIVERED, self.delivered),
            (_SEEN, self.seen),
            (_CLICKED, self.clicked),
        ):
            if at is not None:
                yield state, at, 0, ""
        if self.end is not None:
            at, state, reason, answer = self.end
            yield state, at, reason, answer


Batch = Mapping[str, Said]  # by message, in the order in which every fold locks


def put_together(calls: Iterable[Call]) -> tuple[int, dict[int, Batch]]:
    """How many receipts, and what they say of each message, by application.

    What a device says of another device's message is left out: ids name their recipient.
    """
    count = 0
    applications: dict[int, dict[str, Said]] = {}
    for application_id, said_by, receipts in calls:
        count += len(receipts)
        batch = applications.setdefault(application_id, {})
        for identifier, *what in receipts:
            if said_by is not None and said_by != int(identifier, 16) & ids.RECIPIENT_MASK:
                continue
            said = batch.get(identifier)
            if said is None:
                said = batch[identifier] = Said()
            said.add(*what)
    return count, {
        key: {each: batch[each] for each in sorted(batch)}
        for key, batch in sorted(applications.items())
    }
