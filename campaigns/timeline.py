"""What happened to a person or a device, newest first: messages, changes, what apps told.

Each source is asked for as many as a page shows, by an index of its own; the page is the newest
of them. A message stands at the moment its send began, which its id holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.db.models import F, Q

from campaigns import ids
from campaigns.languages import choose
from campaigns.models import Leg, Medium, Message, Reason
from devices import personalizing
from devices.models import Application, AuditEntry, Event, Registration

LONGEST_SKIP = 10_000  # entries of one moment
_ID_TELLS = timedelta(milliseconds=1)  # moments as exactly as this
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """What an entry tells of."""

    MESSAGES = "messages"
    CHANGES = "changes"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose timeline it is: a person with their devices of an application, or one device."""

    application: Application
    devices: Mapping[int, Registration]
    person: int | None = None  # None: of the device alone


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: the moment, and how many entries of it were shown already."""

    at: datetime
    skip: int = 0

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.skip}"

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """None for what is no place."""
        moment, _, skip = text.partition("-")
        try:
            at = _EPOCH + timedelta(microseconds=max(int(moment), 0))
            return cls(at, max(0, min(int(skip), LONGEST_SKIP)))
        except (ValueError, OverflowError):
            return None


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened; exactly one of message, change and event is there."""

    at: datetime
    key: str  # orders what happened at the same moment
    device: Registration | None = None
    message: Message | None = None
    change: AuditEntry | None = None
    event: Event | None = None
    text: str = ""  # of a text message that was filled in

    @property
    def is_text(self) -> bool:
        return self.message is not None and self.message.platform == Medium.SMS

    @property
    def state(self) -> str:
        return Message.State(self.message.state).name.lower() if self.message else ""

    @property
    def reason(self) -> Reason | None:
        return Reason(self.message.reason) if self.message and self.message.reason else None

    @property
    def said(self) -> str:
        """What the message says: a push as it was written, before names were filled in, and a text
        message as it was sent.
        """
        if self.text:
            return self.text
        if self.message is None or not self.message.bulk.content:
            return ""
        message = self.message
        content = choose(message.bulk.content, message.language, message.variant)
        return str(content.get("text") or content.get("title") or "")


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, newest first, and where older ones begin."""

    entries: list[Entry] = field(default_factory=list)
    older: Place | None = None


def read(subject: Subject, kinds: Iterable[Kind], most: int, place: Place | None = None) -> Page:
    """The newest entries of some kinds, behind a place."""
    sources = {Kind.MESSAGES: _messages, Kind.CHANGES: _changes, Kind.EVENTS: _events}
    skip = place.skip if place else 0
    until = place.at if place else None
    wanted = most + skip + 1
    found = [entry for kind in kinds for entry in sources[kind](subject, until, wanted)]
    found.sort(key=lambda entry: (entry.at, entry.key), reverse=True)
    shown = found[skip : skip + most]
    if len(found) <= skip + most:
        return Page(shown)
    last = shown[-1].at
    told = sum(entry.at == last for entry in shown)
    if place is not None and last == place.at:
        told += skip
    return Page(shown, Place(last, told))


# ------------------------------------------------------------------- messages


def _messages(subject: Subject, until: datetime | None, most: int) -> list[Entry]:
    before = ids.lowest_id(until + _ID_TELLS) if until else None
    pushed = Message.objects.all().newest_of(subject.devices, most, before)
    sent = [(message, "") for message in pushed.select_related("bulk__campaign")]
    if subject.person is not None:
        sent += texts(subject.application, subject.person, until, most)
    return [
        Entry(
            ids.moment_of(message.pk),
            f"m{message.pk}",
            device=subject.devices.get(message.registration_id),
            message=message,
            text=text,
        )
        for message, text in sent
    ]


def texts(
    application: Application,
    person: int,
    until: datetime | None = None,
    most: int | None = None,
) -> list[tuple[Message, str]]:
    """Text messages to a person, newest first, with what was filled in if there was anything.

    A text has no device, its journey has a person.
    """
    selves = [person, *personalizing.merged_into(person)]
    legs = Leg.objects.filter(
        journey__person__in=selves,
        recipient=F("journey_id"),  # of a text; a push has the number of its device
        bulk__application=application,
    )
    if until is not None:
        legs = legs.filter(bulk__starts_at__lt=until + _ID_TELLS)
    newest = legs.order_by("-bulk__starts_at", "-journey_id").select_related("bulk")[:most]
    said = {ids.message_id(leg.bulk, leg.recipient): leg.text for leg in newest}
    sent = Message.objects.filter(pk__in=said, platform=Medium.SMS)
    return [(each, said[each.pk]) for each in sent.select_related("bulk__campaign").order_by("-pk")]


# ------------------------------------------------------------------- changes and events


def _changes(subject: Subject, until: datetime | None, most: int) -> list[Entry]:
    keys = [str(device) for device in subject.devices]
    wanted = Q(object_type="registration", object_id__in=keys)
    if subject.person is not None:
        wanted |= Q(object_type="person", object_id=str(subject.person))
    entries = AuditEntry.objects.filter(wanted)
    if until is not None:
        entries = entries.filter(at__lte=until)
    return [
        Entry(
            entry.at,
            f"c{entry.pk:020}",
            device=_device_of(subject, entry),
            change=entry,
        )
        for entry in entries[:most]
    ]


def _device_of(subject: Subject, entry: AuditEntry) -> Registration | None:
    if entry.object_type != "registration":
        return None
    return subject.devices.get(int(entry.object_id))


def _events(subject: Subject, until: datetime | None, most: int) -> list[Entry]:
    if subject.person is None:
        events = Event.objects.filter(registration__in=list(subject.devices))
    else:
        selves = [subject.person, *personalizing.merged_into(subject.person)]
        events = Event.objects.filter(person__in=selves, application=subject.application)
    if until is not None:
        events = events.filter(at__lte=until)
    return [
        Entry(
            event.at, f"e{event.pk}", device=subject.devices.get(event.registration_id), event=event
        )
        for event in events.order_by("-at", "-id")[:most]
    ]
