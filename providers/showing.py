"""What a compiled payload looks like on the wire, for people: with its token left out."""

from __future__ import annotations

from uuid import UUID

from providers.apns import ApnsPayload
from providers.base import Payload
from providers.fcm import FcmPayload
from providers.huawei.bodies import HuaweiPayload
from providers.webpush.payload import WebPushPayload

NO_TOKEN = "[masked]"


def body_of(payload: Payload, message_id: UUID, ttl: int) -> bytes:
    """The JSON that a cloud is posted; b"" for what has none (text messages)."""
    match payload:
        case FcmPayload():
            return payload.body(NO_TOKEN, "token", message_id, ttl)
        case ApnsPayload():
            return payload.body(message_id)
        case HuaweiPayload():
            return payload.body([NO_TOKEN], message_id, ttl)
        case WebPushPayload():
            return payload.plaintext(message_id)
    return b""
