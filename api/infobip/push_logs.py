"""Logs of push messages: GET /push/3/logs (contract/push.md 8)."""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db import OperationalError, connection, transaction
from django.http import HttpRequest
from psycopg.errors import QueryCanceled

from api.endpoint import Json, endpoint
from api.infobip import statuses
from api.infobip.push_family import (
    LOGS,
    KnownRequest,
    family,
    flag_of,
    limit_of,
    list_of,
    moment,
    text_of,
)
from api.infobip.push_reports import FREE, optional, platform_json
from api.infobip.push_schemas import read_time
from api.infobip.statuses import Fault, Status
from api.infobip.violations import Violation, violated
from campaigns import logbook
from campaigns.logbook import Entry, Phase, Place, Search
from campaigns.models import Rejection

FAMILY = family(LOGS, "logs", lambda: settings.PUSH_LOGS_PER_MINUTE, 60)
SALT = "push logs"
PATIENCE = "5s"


def show(request: KnownRequest) -> Json:
    limit = limit_of(request)
    cursor = text_of(request, "cursor", 500)
    with_cursor = flag_of(request, "useCursor") or bool(cursor)
    found = _find(_search(request), limit + 1, _place(cursor) if cursor else None)
    content: Json = {"results": [_entry_json(each) for each in found[:limit]]}
    if with_cursor:
        more = {"nextCursor": _cursor(found[limit - 1].place)} if len(found) > limit else {}
        content["cursor"] = {"limit": limit, **more}
    return content


def _find(search: Search, limit: int, after: Place | None) -> list[Entry]:
    """Entries, or a refusal where looking for them would keep the database from its work."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [PATIENCE])
            return logbook.find(search, limit, after)
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        said = "takes too long: narrow it down by bulkId, messageId, destination or sentUntil"
        raise violated(Violation("", said)) from error


def _search(request: KnownRequest) -> Search:
    status = text_of(request, "generalStatus")
    if status and status not in Phase.__members__:
        known = ", ".join(Phase.__members__)
        raise violated(Violation("generalStatus", f"must be one of {known}"))
    return Search(
        sender=text_of(request, "sender"),
        to=text_of(request, "destination", 10_000),
        bulk_ids=list_of(request, "bulkId"),
        message_ids=list_of(request, "messageId"),
        references=list_of(request, "campaignReferenceId"),
        entity_id=text_of(request, "entityId"),
        platform_application_id=text_of(request, "applicationId"),
        phase=Phase[status] if status else None,
        since=_time(request, "sentSince"),
        until=_time(request, "sentUntil"),
    )


def _time(request: HttpRequest, name: str) -> datetime | None:
    """A plus that nobody quoted arrives as a blank."""
    given = text_of(request, name).replace(" ", "+")
    if not given:
        return None
    try:
        return read_time(given)
    except ValueError as error:
        raise violated(Violation(name, str(error))) from error


# ------------------------------------------------------------------- pages


def _cursor(place: Place) -> str:
    last = [place.starts_at.isoformat(), place.destination, str(place.message_id or "")]
    return signing.dumps(last, salt=SALT)


def _place(cursor: str) -> Place:
    try:
        starts_at, destination, message = signing.loads(cursor, salt=SALT)
    except signing.BadSignature as error:
        raise violated(Violation("cursor", "must be a cursor of an earlier answer")) from error
    return Place(datetime.fromisoformat(starts_at), destination, UUID(message) if message else None)


# ------------------------------------------------------------------- entries


def _entry_json(entry: Entry) -> Json:
    status, fault = _status(entry)
    done = moment(entry.done_at) if entry.done_at and status.group != 1 else ""
    return {
        "sender": entry.sender,
        "destination": entry.to,
        "bulkId": entry.bulk_id,
        "messageId": entry.message_id,
        "sentAt": moment(entry.sent_at),
        **optional(doneAt=done),
        "messageCount": 1,
        "price": FREE,
        "status": status.as_json(),
        "error": fault.as_json(),
        **optional(platform=platform_json(entry.entity_id, entry.platform_application_id)),
        "content": entry.content,
        **optional(campaignReferenceId=entry.reference),
    }


def _status(entry: Entry) -> tuple[Status, Fault]:
    if entry.state is not None:
        return statuses.of_message(entry.state, entry.reason, entry.platform)
    if entry.rejection:
        return statuses.REJECTED[Rejection(entry.rejection)], statuses.NO_ERROR
    if entry.retried:
        return statuses.ENROUTE, statuses.UNAVAILABLE
    return statuses.ACCEPTED, statuses.NO_ERROR


logs = endpoint(FAMILY, GET=show)
