"""One content as our service worker reads it. Source: contract/providers.md 5.6, 8.2."""

from __future__ import annotations

import hashlib
import re
import uuid

from providers.base import JSON, NotPossible, PushNotification
from providers.dialects import Fields, compact, encoded, given
from providers.fitting import first_image, fitted
from providers.webpush.encryption import LARGEST_PLAINTEXT
from providers.webpush.subscription import packed

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")

# Buttons of categories that need no set-up; of others the service worker knows them.
ACTIONS: dict[str, list[JSON]] = {
    "mm_accept_decline": [
        {"action": "mm_accept", "title": "Accept"},
        {"action": "mm_decline", "title": "Decline"},
    ],
}


class WebPushPayload:
    """A message with gaps for its id, and the headers that go with it."""

    __slots__ = ("_around_id", "_size", "_topic", "_urgency")

    def __init__(self, notification: PushNotification) -> None:
        if notification.silent:
            raise NotPossible(
                "silent",
                "A browser shows every push: leave the web out of the audience, or show something.",
            )
        notification = fitted(notification, _size, LARGEST_PLAINTEXT)
        gap = uuid.uuid4().hex  # no content holds a word it could not foresee
        self._around_id = encoded(compact(_shown(notification, gap))).split(gap.encode())
        self._size = _size(notification)
        self._urgency = notification.urgency
        self._topic: str | None = None  # None: a message replaces only its own twin
        if notification.collapse_key or not notification.replace_twin:
            self._topic = topic(notification.collapse_key)

    def size(self) -> int:
        return self._size

    def plaintext(self, message_id: uuid.UUID) -> bytes:
        return str(message_id).encode().join(self._around_id)

    def headers(self, message_id: uuid.UUID, ttl: int) -> dict[str, str]:
        headers = {"TTL": str(max(ttl, 0)), "Urgency": self._urgency}
        own = message_id.hex if self._topic is None else self._topic
        if own:
            headers["Topic"] = own
        return headers


def _size(notification: PushNotification) -> int:
    return len(encoded(compact(_shown(notification, str(uuid.UUID(int=0))))))


def topic(collapse_key: str) -> str:
    """At most 32 characters of the base64url alphabet; "" for no key."""
    if not collapse_key or _TOPIC.fullmatch(collapse_key):
        return collapse_key
    return packed(hashlib.sha256(encoded(collapse_key)).digest())[:32]


def _shown(notification: PushNotification, message_id: str) -> Fields:
    """The options of showNotification, with our own under `data`.

    A browser refuses `vibrate` beside `silent`, and `renotify` without a tag.
    """
    sounds = bool(notification.sound)
    fields = given(
        {
            "title": notification.title or notification.application_name,
            "body": notification.text,
            "image": first_image(notification),  # a browser shows one picture
            "tag": notification.collapse_key or message_id,  # a second copy replaces the first
            "actions": ACTIONS.get(notification.category),
        }
    )
    if notification.collapse_key and sounds:
        fields["renotify"] = True
    if not sounds:
        fields["silent"] = True
    elif not notification.vibrate:
        fields["vibrate"] = []
    fields["data"] = given(
        {
            "messageId": message_id,
            "url": notification.browser_url or notification.web_view_url or notification.deep_link,
            "badge": notification.badge,
            "category": notification.category,
            "customPayload": dict(notification.custom_payload),
        }
    )
    return fields
