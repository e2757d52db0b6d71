"""Recent calls of other systems, for whoever builds against our APIs.

A web process puts a sample of its calls into memory, and once a second into a stream of the
store; a task masks them and keeps the newest of each application. Sending waits for none of it.
"""

import json
import logging
import os
import re
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import redis
from django.conf import settings
from django.db import connection

from campaigns.models import FlowDestination, RecordedCall
from campaigns.store import store
from campaigns.streams import Stream
from devices.models import Application
from pushadmin.masking import MASK, mask

log = logging.getLogger(__name__)

PHONES = frozenset({"mobile", "sdk", "callbacks"})  # first parts of paths: nobody's own system
BY_PHONES = rf"^/({'|'.join(sorted(PHONES))})/"
STREAM, LOCK = "stream:calls", "calls:consumer"
MOST_WAITING = 5000  # in the stream; then the oldest are dropped
EVERY = 1.0  # seconds between two writes of a process
OF_SYSTEMS, OF_PHONES = 20, 5  # calls that a process keeps each second; as many that were refused
LONGEST = 16_000  # characters of a body
MOST_NAMES = 200
PRIVATE = re.compile(
    r"token|secret|password|api_?key|authorization|phone|msisdn|e?mail|^gsm$|^birthday$",
    re.IGNORECASE,
)
NAMES = ("bulkId", "messageId", "camp_id")
# The same, and who sends, in a body that was cut:
NAMED = re.compile(rf'"(?:{"|".join(NAMES)})"\s*:\s*"([^"\\]{{1,100}})"')
SENDER = re.compile(r'"(?:sender|from)"\s*:\s*"([^"\\]{1,255})"')


class Seen(NamedTuple):
    """A call as a web process saw it."""

    at: float
    application: int | None
    caller: str
    method: str
    path: str
    query: str
    status: int
    milliseconds: int
    request_id: str
    body: str
    answer: str


class _Sample:
    """Calls of this process that are not written yet."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: list[Seen] = []
        self.counts: dict[tuple[bool, bool], int] = {}
        self.planned = False

    def wants(self, *, phones: bool, refused: bool) -> bool:
        """Whether there is room for one more in this second."""
        with self.lock:
            key = phones, refused
            count = self.counts.get(key, 0)
            if count >= (OF_PHONES if phones else OF_SYSTEMS):
                return False
            self.counts[key] = count + 1
            return True

    def add(self, call: Seen) -> None:
        with self.lock:
            self.calls.append(call)
            if self.planned:
                return
            self.planned = True
        timer = threading.Timer(EVERY, flush)
        timer.daemon = True
        timer.start()

    def taken(self) -> list[Seen]:
        with self.lock:
            self.planned = False
            calls, self.calls, self.counts = self.calls, [], {}
        return calls


_sample = _Sample()


def _forget() -> None:
    """In a child: its parent writes what the parent saw."""
    global _sample
    _sample = _Sample()


os.register_at_fork(after_in_child=_forget)


def wants(*, phones: bool, refused: bool) -> bool:
    return _sample.wants(phones=phones, refused=refused)


def note(call: Seen) -> None:
    _sample.add(call)


def flush() -> None:
    """Write what this process saw. Without the store it is not kept."""
    pipe = store(patience=1).pipeline(transaction=False)
    for call in _sample.taken():
        pipe.xadd(STREAM, {"r": json.dumps(call)}, maxlen=MOST_WAITING, approximate=True)
    try:
        pipe.execute()
    except redis.RedisError:
        log.warning("the store is away: calls are not recorded")


# ------------------------------------------------------------------- keeping


def keep(packed: Iterable[Any]) -> int:
    """Write calls down, masked; the oldest of each application make room.

    Those of phones for those of phones: they are many, and would leave none of other systems.
    """
    # What a version before this one wrote is let go.
    seen = [Seen(*each) for each in packed if len(each) == len(Seen._fields)]
    known, there = _senders(seen), _still_there(seen)
    rows = [_row(each, known, there) for each in seen]
    _find_owners(rows)
    RecordedCall.objects.bulk_create(rows)
    for application in {row.application_id for row in rows}:
        _make_room(application)
    return len(rows)


CALLS = Stream(STREAM, "API calls", LOCK, keep, waits=False)


def consume(*, seconds: float) -> int:
    """Keep what waits in the stream; how many."""
    return CALLS.consume(seconds=seconds)


_ROOM = """
DELETE FROM campaigns_recordedcall
WHERE application_id IS NOT DISTINCT FROM %(application)s
  AND (path ~ %(phones)s) = %(of_phones)s
  AND id <= (
    SELECT id FROM campaigns_recordedcall
    WHERE application_id IS NOT DISTINCT FROM %(application)s
      AND (path ~ %(phones)s) = %(of_phones)s
    ORDER BY id DESC OFFSET %(kept)s LIMIT 1)
"""


def _make_room(application: int | None) -> None:
    given = {"application": application, "phones": BY_PHONES, "kept": settings.API_CALLS_KEPT}
    with connection.cursor() as cursor:
        for of_phones in (False, True):
            cursor.execute(_ROOM, {**given, "of_phones": of_phones})


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _sender(call: Seen) -> str:
    """Whom the first message of a body names as its sender."""
    if call.application is not None:
        return ""
    body = _parsed(call.body)
    if body is None and (cut := SENDER.search(call.body)):
        return cut[1]
    if not isinstance(body, dict):
        return ""
    messages = body.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else body
    said = first.get("sender") or first.get("from") if isinstance(first, dict) else ""
    return said if isinstance(said, str) else ""


def _senders(seen: Iterable[Seen]) -> dict[str, int]:
    wanted = {_storable(name) for name in map(_sender, seen) if name}
    by_code = Application.objects.filter(code__in=wanted).values_list("code", "pk")
    upper = {name.upper() for name in wanted}
    by_id = Application.objects.filter(application_id__in=upper).values_list("application_id", "pk")
    return {**dict(by_code), **dict(by_id)}


def _still_there(seen: Iterable[Seen]) -> set[int]:
    wanted = {call.application for call in seen if call.application is not None}
    return set(Application.objects.filter(pk__in=wanted).values_list("pk", flat=True))


def _find_owners(rows: Iterable[RecordedCall]) -> None:
    """Of sends that go by a scenario, which names no sender: whose first step it is."""
    lost = [
        row
        for row in rows
        if row.application_id is None and row.method == "POST" and row.path.startswith("/omni/")
    ]
    named = {name for row in lost for name in row.names}
    found = FlowDestination.objects.filter(public_id__in=named).order_by(
        "-journey__flow__bulks__step"
    )
    owners = dict(found.values_list("public_id", "journey__flow__bulks__application"))
    for row in lost:
        row.application_id = next((owners[name] for name in row.names if owners.get(name)), None)


def _row(call: Seen, known: dict[str, int], there: set[int]) -> RecordedCall:
    sender = _sender(call)
    own = call.application if call.application in there else None
    query = urlencode([(name, _text(name, value)) for name, value in parse_qsl(call.query)])
    path = mask(call.path) + (f"?{query}" if query else "")
    return RecordedCall(
        application_id=own or known.get(sender) or known.get(sender.upper()),
        at=datetime.fromtimestamp(call.at, UTC),
        caller=call.caller[:255],
        method=call.method[:10],
        path=_storable(path)[:500],
        status=call.status,
        milliseconds=call.milliseconds,
        request_id=call.request_id[:36],
        body=masked(call.body),
        answer=masked(call.answer),
        names=sorted(_names(call))[:MOST_NAMES],
    )


def _names(call: Seen) -> set[str]:
    found: set[str] = {value for name, value in parse_qsl(call.query) if name in NAMES}
    for text in (call.body, call.answer):
        if (value := _parsed(text)) is None:
            found.update(NAMED.findall(text))
        else:
            _collect(value, found)
    return {_storable(name) for name in found if 0 < len(name) <= 100}


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in NAMES and isinstance(inner, str | int):
                found.add(str(inner))
            else:
                _collect(inner, found)
    elif isinstance(value, list):
        for inner in value:
            _collect(inner, found)


def masked(text: str) -> str:
    """A body without secrets and without what names people; JSON in lines."""
    value = _parsed(text)
    if value is None:
        return _storable(mask(text))
    clean = json.dumps(_masked("", value), indent=2, ensure_ascii=False)
    return _storable(clean).replace("\\u0000", "")


def _storable(text: str) -> str:
    """What PostgreSQL takes: no NUL, and no half of a pair, as JSON may have it (`\\ud800`)."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _masked(name: str, value: Any) -> Any:
    match value:
        case dict():
            return {mask(str(key)): _masked(str(key), inner) for key, inner in value.items()}
        case list():
            return [_masked(name, inner) for inner in value]
        case str():
            return _text(name, value)
        case int() | float() if not isinstance(value, bool) and PRIVATE.search(name):
            return MASK
    return value


def _text(name: str, value: str) -> str:
    return MASK if value and PRIVATE.search(name) else mask(value)
