"""What a compiled payload looks like on the wire, for people: whom it goes to left out."""

from __future__ import annotations

import json
from uuid import UUID

from providers.apns import ApnsPayload
from providers.base import Payload, PushProvider
from providers.fcm import FcmPayload
from providers.huawei.bodies import HuaweiPayload
from providers.sms import SmsPayload, SmsProvider
from providers.webpush.payload import WebPushPayload

NO_TOKEN = "[masked]"


def body_of(provider: PushProvider, payload: Payload, message_id: UUID, ttl: int) -> bytes:
    """The JSON that a cloud is posted about one message; of a form its fields."""
    match payload:
        case FcmPayload():
            return payload.body(NO_TOKEN, "token", message_id, ttl)
        case ApnsPayload():
            return payload.body(message_id)
        case HuaweiPayload():
            return payload.body([NO_TOKEN], message_id, ttl)
        case WebPushPayload():
            return payload.plaintext(message_id)
        case SmsPayload():
            assert isinstance(provider, SmsProvider)
            return json.dumps(provider.shown(payload, message_id, ttl, hidden=NO_TOKEN)).encode()
    return b""
