"""Notification → body, for Android with HMS (v1) and for HarmonyOS 5 (v3).

Source: contract/providers.md 4.3, 4.4, 8.2 to 8.6.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from providers.base import PushNotification
from providers.dialects import (
    Fields,
    carousel,
    compact,
    encoded,
    given,
    in_app,
    infobip_android_data,
    links,
)
from providers.fitting import first_image, fitted

LIMIT = 4096  # bytes without the list of tokens
MAX_TTL = 1_296_000  # seconds, 15 days
GROUPS = 100  # of messages that replace each other
NO_PAGE: Fields = {"actionType": 0}  # the app's first one


@dataclass(frozen=True, slots=True)
class Look:
    """What the credential's owner decides about every notification."""

    category: str = "MARKETING"
    badge_class: str = ""  # the app's main activity: without it no badge can be set
    receipt_id: str = ""  # which of the console's receipt addresses; "" is its default


class HuaweiPayload:
    """A message in both families' words, with gaps for tokens, id, tag and time to live.

    A tracked one carries its own id, so it has one device a call; others share a call.
    """

    __slots__ = ("_gaps", "_size", "_v1", "_v3", "can_be_v3", "tracked")

    def __init__(self, notification: PushNotification, look: Look) -> None:
        """Raises PayloadTooLarge."""
        notification = fitted(notification, partial(_size, look), LIMIT)
        self._size = _size(look, notification)
        self.tracked = _is_tracked(notification)
        self.can_be_v3 = not notification.silent
        # No content holds a word it could not foresee.
        identifier, tag, ttl = (uuid.uuid4().hex for _ in range(3))
        self._gaps = (identifier.encode(), tag.encode(), ttl.encode())
        self._v1 = encoded(_v1(notification, look, identifier, tag, ttl))
        self._v3 = encoded(_v3(notification, look, identifier, tag, ttl))

    def size(self) -> int:
        return self._size

    def body(
        self, tokens: Sequence[str], message_id: uuid.UUID, ttl: int, *, v3: bool = False
    ) -> bytes:
        """One call. `message_id` is that of its first device."""
        identifier, tag, seconds = self._gaps
        template = self._v3 if v3 else self._v1
        start, end = template.split(b"[]", 1)
        listed = encoded(compact(list(tokens)))
        filled = end.replace(identifier, str(message_id).encode())
        filled = filled.replace(tag, bi_tag(message_id, tracked=self.tracked).encode())
        return start + listed + filled.replace(seconds, b"%d" % min(max(ttl, 1), MAX_TTL))

    def dry_run(self, token: str, *, v3: bool = False) -> bytes:
        """A call that reaches nobody; its switch is the last member of both bodies."""
        body = self.body([token], uuid.UUID(int=0), 60, v3=v3)
        start, _, end = body.rpartition(b"false")
        return start + b"true" + end


def _is_tracked(notification: PushNotification) -> bool:
    """Whether its devices need their own ids: Infobip's SDK drops a message without one."""
    return bool(
        notification.tracked or notification.dialect == "infobip" or notification.carousel_url
    )


def _size(look: Look, notification: PushNotification) -> int:
    """Bytes of the larger body without tokens."""
    message_id = uuid.UUID(int=0)
    tag = bi_tag(message_id, tracked=True)
    bodies = [make(notification, look, str(message_id), tag, str(MAX_TTL)) for make in (_v1, _v3)]
    return max(len(encoded(body)) for body in bodies)


def bi_tag(message_id: uuid.UUID, *, tracked: bool) -> str:
    """What receipts will carry: the message, or some message of the same bulk."""
    return f"{'m' if tracked else 'b'}-{message_id}"


def _v1(notification: PushNotification, look: Look, message_id: str, tag: str, ttl: str) -> str:
    android: Fields = {
        "collapse_key": _group(notification),
        "urgency": "NORMAL",  # HIGH needs a permission of Huawei's
        "ttl": f"{ttl}s",
        "category": look.category,
        "bi_tag": tag,
        "receipt_id": look.receipt_id,
    }
    if not notification.silent and notification.dialect != "infobip":
        android["notification"] = _shown(notification, look)
    message: Fields = {"token": []}
    data = _data(notification, message_id)
    if data:  # a text, unlike v3's
        message["data"] = compact(data)
    message["android"] = given(android)
    return compact({"message": message, "validate_only": False})


def _shown(notification: PushNotification, look: Look) -> Fields:
    """`android.notification`: the system draws it."""
    sound = notification.sound
    fields: Fields = {
        "title": notification.title or notification.application_name or notification.text,
        "body": notification.text,
        "image": first_image(notification),
        "click_action": _click(notification),
        "channel_id": notification.channel_id,
        "group": notification.thread_id,
        "importance": "LOW" if notification.urgency == "low" else "NORMAL",
        "notify_id": _notify_id(notification),
        "default_sound": sound == "default",
    }
    if sound not in ("", "default"):
        fields["sound"] = "/raw/" + sound.rpartition("/")[2].partition(".")[0]
    if not notification.vibrate:
        fields["use_default_vibrate"] = False
    if notification.badge is not None and look.badge_class:
        number = min(max(notification.badge, 0), 99)
        fields["badge"] = {"class": look.badge_class, "set_num": number}
    if notification.carousel:  # the first picture, with all that is said of it
        item = notification.carousel[0]
        fields["style"] = 1
        fields["big_title"] = item.headline or fields["title"]
        fields["big_body"] = item.description or notification.text
    return given(fields)


def _click(notification: PushNotification) -> Fields:
    """What a tap opens; it must be there."""
    if notification.deep_link:
        return {"type": 1, "intent": intent(notification.deep_link)}
    if notification.browser_url:
        return {"type": 2, "url": notification.browser_url}
    if notification.category:
        return {"type": 1, "action": notification.category}
    return {"type": 3}


def intent(link: str) -> str:
    """A link as Android's Intent URI: 8.6."""
    scheme, _, rest = link.partition(":")
    return f"intent:{rest}#Intent;scheme={scheme};launchFlags=0x04000000;end"


def _data(notification: PushNotification, message_id: str) -> Fields:
    """What the app's own code reads."""
    message_id = message_id if _is_tracked(notification) else ""
    if notification.dialect == "infobip":
        return infobip_android_data(notification, message_id)
    fields = given(
        {
            "messageId": message_id,
            "category": notification.category,
            "inAppStyle": notification.in_app_style,
            "inboxTopic": notification.inbox_topic,
            "customPayload": dict(notification.custom_payload),
            **links(notification),
            **in_app(notification),
            **carousel(notification, message_id),
        }
    )
    if notification.badge is not None:
        fields["badge"] = notification.badge
    if notification.silent:
        fields |= given({"title": notification.title, "text": notification.text, "silent": True})
    return fields


def _v3(notification: PushNotification, look: Look, message_id: str, tag: str, ttl: str) -> str:
    shown: Fields = {
        "category": look.category,
        "title": notification.title or notification.application_name or notification.text,
        "body": notification.text,
        "clickAction": _action(notification, message_id),
        "notifyId": _notify_id(notification),
    }
    options: Fields = {
        "ttl": ttl,
        "biTag": tag,
        "receiptId": look.receipt_id,
        "collapseKey": _group(notification),
        "testMessage": False,
    }
    body: Fields = {
        "target": {"token": []},
        "payload": {"notification": given(shown)},
        "pushOptions": given(options),
    }
    return compact(body).replace(f'"{ttl}"', ttl)  # an integer here


def _action(notification: PushNotification, message_id: str) -> Fields:
    data = _data(notification, message_id)
    if notification.deep_link:
        return {"actionType": 1, "uri": notification.deep_link, "data": data}
    return NO_PAGE | {"data": data}


def _group(notification: PushNotification) -> int | None:
    """1 to 100, by the author's key: the newest of a group replaces the others."""
    key = notification.collapse_key
    return zlib.crc32(encoded(key)) % GROUPS + 1 if key else None


def _notify_id(notification: PushNotification) -> int | None:
    """On the screen a newer one of the same number replaces the older.

    Where a message in doubt is repeated, its number is the bulk's: a device gets one of it.
    """
    key = notification.collapse_key
    if not key and notification.replace_twin:
        key = notification.bulk_id
    return zlib.crc32(encoded(key)) & 0x7FFFFFFF if key else None
