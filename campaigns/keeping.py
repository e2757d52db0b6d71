"""What a recorded window leaves in the inboxes of its people (contract/push.md 2.1)."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from django.conf import settings
from django.db import connection

from campaigns.languages import choose
from campaigns.models import Bulk, Message, Reason

TOPIC_LENGTH = 100  # characters
LONGEST = 10 * 366 * 86_400  # seconds that anybody may ask for
# What was not for the device any more, or cannot be said to it, is not for the inbox either.
_NOT_KEPT = {
    Reason.REGISTRATION_GONE, Reason.DISABLED, Reason.NO_VALUE, Reason.DO_NOT_CONTACT,
    Reason.EXCLUDED,
}  # fmt: skip


class Recorded(Protocol):
    """What is known of a message when its window is recorded."""

    @property
    def recipient(self) -> int: ...
    @property
    def state(self) -> Message.State: ...
    @property
    def reason(self) -> Reason: ...
    @property
    def language(self) -> str: ...


# In the order of people, so that two windows of a bulk cannot deadlock.
_KEEP = """
INSERT INTO campaigns_inboxmessage (person_id, registration_id, bulk_id, topic, language, variant,
                                    sent_at, expires_at)
SELECT r.person_id, r.id, %s, x.topic, x.language, %s, %s, %s + x.expires_in * interval '1 second'
FROM unnest(%s::int8[], %s::text[], %s::text[], %s::int8[])
     AS x (registration_id, language, topic, expires_in)
JOIN devices_registration r ON r.id = x.registration_id
ORDER BY r.person_id, r.id
ON CONFLICT DO NOTHING
"""


def keep_in_inboxes(bulk: Bulk, variant: int, rows: Iterable[Recorded]) -> None:
    """Put a window into the inboxes of its people, if its bulk says a topic.

    Whether a cloud took it does not matter: an app shows its inbox without any.
    """
    if not any(_topic(content) for content in bulk.content):
        return
    kept = [
        (row.recipient, row.language, content)
        for row in rows
        if row.state != Message.State.EXPIRED and row.reason not in _NOT_KEPT
        for content in (choose(bulk.content, row.language, variant),)
        if _topic(content)
    ]
    if not kept:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP,
            [
                bulk.pk, variant, bulk.starts_at, bulk.starts_at,
                [recipient for recipient, _, _ in kept],
                [language for _, language, _ in kept],
                [_topic(content) for _, _, content in kept],
                [_seconds(content) for _, _, content in kept],
            ],
        )  # fmt: skip


def _topic(content: Mapping[str, Any]) -> str:
    """A topic that can be one; content that nobody checked must not keep a window from its rows."""
    asked = content.get("inbox_topic")
    if isinstance(asked, str) and len(asked) <= TOPIC_LENGTH and "\0" not in asked:
        return asked
    return ""


def _seconds(content: Mapping[str, Any]) -> Any:
    asked = content.get("inbox_expires_in")
    said = isinstance(asked, int) and 0 < asked < LONGEST
    return asked if said else settings.INBOX_RETENTION_DAYS * 86_400
