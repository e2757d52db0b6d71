"""A notification as an app with Infobip's SDK fetches it (contract/mobile-sdk.md 4.1, 5.2)."""

from typing import Any
from uuid import UUID

from api.endpoint import Json
from providers.apns import aps_of
from providers.base import PushNotification
from providers.dialects import (
    compact,
    given,
    infobip_custom,
    infobip_internal,
    infobip_ios_keys,
)

PREFIX = "gcm.notification."


def android_item(notification: PushNotification, message_id: UUID, **inbox: Any) -> Json:
    """All values are strings. `inbox`: what its inbox copy is like besides its topic."""
    title = notification.title or notification.application_name
    internal = infobip_internal(notification) | given({"inAppStyle": notification.in_app_style})
    shown: Json = {"title": title, "body": notification.text, "sound": notification.sound}
    shown["category"] = notification.category
    if notification.silent:  # its text lives inside
        silent: Json = dict(given(shown))
        internal["silent"] = {**silent, "vibrate": notification.vibrate}
        shown = {}
    if inbox:
        internal["inbox"] = {"topic": notification.inbox_topic, **inbox}
    item = {
        "messageId": str(message_id),
        **given(shown),
        "vibrate": compact(notification.vibrate),
        "silent": compact(notification.silent),
    }
    told: Json = {PREFIX + name: value for name, value in item.items()}
    told["internalData"] = compact(internal)
    if custom := infobip_custom(notification, str(message_id)):
        told["customPayload"] = compact(custom)
    return told


def ios_item(notification: PushNotification, message_id: UUID, **inbox: Any) -> Json:
    """As it comes from Apple: nested JSON."""
    keys: Json = dict(infobip_ios_keys(notification, str(message_id)))
    if inbox:
        keys["internalData"]["inbox"] = {"topic": notification.inbox_topic, **inbox}
    return {"aps": aps_of(notification), **keys}
