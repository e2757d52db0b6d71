"""Ids of messages: made, not fetched, so that a repeated send has the same one."""

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

TIME_SHIFT = 80  # bits below the milliseconds
RECIPIENT_BITS = 42
BULK_BITS = 32
RECIPIENT_MASK = (1 << RECIPIENT_BITS) - 1  # of an id: its recipient's number


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Started(Protocol):
    """What an id is made of: a bulk's number and the time it starts."""

    pk: int
    starts_at: datetime


def first_id(bulk: Started) -> int:
    """The id of recipient 0 of a bulk, as an integer; add a recipient's number to it.

    48 bits of `starts_at` in milliseconds, version 8, 32 bits of the bulk's number (modulo),
    42 bits of the recipient's (RFC 9562, 5.8). So ids sort by time, name their partition,
    and the primary key refuses a second row per device and step.
    """
    milliseconds = int(bulk.starts_at.timestamp() * 1000)
    number = bulk.pk % (1 << BULK_BITS)
    high, low = number >> 20, number & 0xFFFFF
    return milliseconds << TIME_SHIFT | 8 << 76 | high << 64 | 2 << 62 | low << RECIPIENT_BITS


def message_id(bulk: Started, recipient: int) -> UUID:
    """The id of a recipient's message, the same however often it is made."""
    return UUID(int=first_id(bulk) | recipient)


def id_range(bulk: Started) -> tuple[UUID, UUID]:
    """The first and the last id a bulk can hold."""
    first = first_id(bulk)
    return UUID(int=first), UUID(int=first | RECIPIENT_MASK)


def bulk_number(identifier: UUID) -> int:
    """Which bulk (modulo 2³²) an id was made for."""
    value = identifier.int
    return (value >> 64 & 0xFFF) << 20 | value >> RECIPIENT_BITS & 0xFFFFF


def sibling(identifier: UUID, recipient: int) -> UUID:
    """The id of another recipient's message of the same bulk."""
    return UUID(int=identifier.int & ~RECIPIENT_MASK | recipient)


def moment_of(identifier: UUID) -> datetime:
    """When the bulk of a message began."""
    return _EPOCH + timedelta(milliseconds=identifier.int >> TIME_SHIFT)


def lowest_id(moment: datetime) -> UUID:
    """The bound of a partition that begins at this moment."""
    return UUID(int=int(moment.timestamp() * 1000) << TIME_SHIFT)
