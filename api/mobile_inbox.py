"""The inbox as an app with Infobip's SDK shows it (contract/mobile-sdk.md 4.5)."""

import re
from datetime import UTC, datetime

from api.endpoint import ApiRequest, Json, Refusal, endpoint
from api.mobile import BAD_FORMAT
from api.mobile_messages import ITEMS
from api.mobile_signed import SIGNED
from api.user_tokens import subject_of, unauthorized
from campaigns import inbox

LIMIT = 20
MOST = 1000
_NUMBER = re.compile(r"[0-9]{1,15}")


def messages(request: ApiRequest, external_id: str, cloud: str) -> Json:
    """GET /mobile/1/user/{externalUserId}/inbox/{gcm|apns|hms}/messages."""
    item = ITEMS.get(cloud.upper()) if cloud.islower() else None
    if item is None:
        raise Refusal(404, "NOT_FOUND", "There is nothing at this path")
    subject = subject_of(request)
    if subject != external_id and (subject is not None or request.application.secure_inbox):
        raise unauthorized()
    limit = _number(request, "limit")
    limit = LIMIT if limit is None else min(limit, MOST)
    since, until = _moment(request, "dateTimeFrom"), _moment(request, "dateTimeTo")
    topic = request.GET.get("messageTopic", "")
    copies = inbox.copies(request.application, external_id)
    chosen = [
        each
        for each in copies
        if (not topic or each.notification.inbox_topic == topic)
        and (since is None or each.sent_at >= since)
        and (until is None or each.sent_at <= until)
    ]
    answer = _counts(copies, "")
    if topic or since is not None or until is not None:
        answer |= _counts(chosen, "Filtered")
    answer["messages"] = [
        item(each.notification, each.message_id, seen=each.seen) for each in chosen[:limit]
    ]
    return answer


def _counts(copies: list[inbox.Copy], which: str) -> Json:
    unread = sum(not each.seen for each in copies)
    return {f"countTotal{which}": len(copies), f"countUnread{which}": unread}


def _number(request: ApiRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise Refusal(400, BAD_FORMAT, f"{name} should be number of at most 15 digits")
    return int(text)


def _moment(request: ApiRequest, name: str) -> datetime | None:
    """Epoch milliseconds; what the calendar does not reach is as far as it does."""
    milliseconds = _number(request, name)
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(min(milliseconds / 1000, 253_402_300_000), UTC)


inboxes = endpoint(SIGNED, GET=messages)
