"""The same notification in the words of the SDK inside the app.

Our own dialect: contract/providers.md 8.2. Infobip's: 8.5 and mobile-sdk.md 5.1 to 5.3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from providers.base import JSON, PushNotification

Fields: TypeAlias = dict[str, JSON]

IN_APP_STYLES = {"MODAL": 0, "BANNER": 1}


def compact(value: JSON) -> str:
    """JSON as it goes over the wire: no spaces, and no letter takes more room than UTF-8 needs."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def encoded(text: str) -> bytes:
    """Bytes of it; half a surrogate pair, which no encoding has, becomes a question mark."""
    return text.encode("utf-8", "replace")


def given(fields: Mapping[str, JSON]) -> Fields:
    """Without what says nothing."""
    return {name: value for name, value in fields.items() if value not in ("", None, {}, [])}


def links(notification: PushNotification) -> Fields:
    """What a tap opens, in our own dialect."""
    return given(
        {
            "deepLink": notification.deep_link,
            "browserUrl": notification.browser_url,
            "webViewUrl": notification.web_view_url,
        }
    )


def in_app(notification: PushNotification) -> Fields:
    """How it is shown inside the app: both dialects name its times and buttons alike.

    The time is absolute, Unix milliseconds. Buttons are for MODAL only: 8.5.
    """
    if not notification.in_app_style:
        return {}
    expires = None
    if notification.in_app_expires_in is not None and notification.sent_at_ms:
        expires = notification.sent_at_ms + notification.in_app_expires_in * 1000
    fields: Fields = {"inAppExpiryDateTime": expires}
    if notification.in_app_style == "MODAL":
        fields["inAppOpenTitle"] = notification.in_app_open_title
        fields["inAppDismissTitle"] = notification.in_app_dismiss_title
    return given(fields)


def carousel_items(notification: PushNotification) -> list[JSON]:
    """The pictures, as an app reads them from its message or from `carouselUrl`."""
    return [
        {
            "id": item.id,
            **given(
                {
                    "headline": item.headline,
                    "description": item.description,
                    "imageUrl": item.image_url,
                    "deepLinks": dict(item.deep_links),
                }
            ),
        }
        for item in notification.carousel
    ]


def carousel(notification: PushNotification, message_id: str) -> Fields:
    """The items, or where they are fetched: 8.3."""
    if notification.carousel:
        return {
            "carousel": carousel_items(notification),
            "carouselType": notification.carousel_kind,
        }
    if notification.carousel_url:
        return {
            "carouselUrl": notification.carousel_url + message_id,
            "carouselType": notification.carousel_kind,
        }
    return {}


def android_data(notification: PushNotification, message_id: str) -> Fields:
    """The data of an Android message that the app's own code draws; values are texts."""
    badge = "" if notification.badge is None else str(notification.badge)
    fields = {
        "messageId": message_id,
        "title": notification.title,
        "text": notification.text,
        "imageUrl": notification.image_url,
        "sound": notification.sound,
        "vibrate": "" if notification.vibrate else "false",
        "badge": badge,
        "category": notification.category,
        "silent": "true" if notification.silent else "",
        "channelId": notification.channel_id,
        "threadId": notification.thread_id,
        "tag": notification.collapse_key,
        "inAppStyle": notification.in_app_style,
        "inboxTopic": notification.inbox_topic,
        **links(notification),
    }
    fields |= _texts(in_app(notification)) | _texts(carousel(notification, message_id))
    return given(fields) | android_custom(notification)


def _texts(fields: Fields) -> Fields:
    """FCM's values are texts: anything else as JSON."""
    return {
        name: value if isinstance(value, str) else compact(value) for name, value in fields.items()
    }


def android_custom(notification: PushNotification) -> Fields:
    """A custom payload as JSON text: FCM's values may not be objects."""
    custom = dict(notification.custom_payload)
    return {"customPayload": compact(custom)} if custom else {}


def infobip_android_data(notification: PushNotification, message_id: str) -> Fields:
    """One key of JSON text; `text` and the `notification` object must be there."""
    shown: Fields = given(
        {
            "title": notification.title or notification.application_name,
            "sound": notification.sound,
            "category": notification.category,
            "contentUrl": notification.image_url,
            "inAppStyle": notification.in_app_style,
        }
    )
    shown["vibrate"] = notification.vibrate
    shown["silent"] = notification.silent
    message: Fields = {
        "messageId": message_id,
        "text": notification.text or notification.title or " ",
        "notification": shown,
        "custom": infobip_custom(notification, message_id),
        "internal": infobip_internal(notification),
    }
    return {"org_ib_d": compact(message)}


def infobip_custom(notification: PushNotification, message_id: str) -> Fields:
    """That SDK knows no carousel: the app finds it beside its own data (insider.md 9)."""
    return {**carousel(notification, message_id), **notification.custom_payload}


def infobip_internal(notification: PushNotification) -> Fields:
    """What both platforms' SDKs read beside the visible part."""
    image: JSON = [{"url": notification.image_url, "t": "image"}] if notification.image_url else []
    fields: Fields = {
        "sendDateTime": notification.sent_at_ms or None,
        "bulkId": notification.bulk_id,
        "atts": image,
        "deeplink": notification.deep_link,
        "browserUrl": notification.browser_url,
        "webViewUrl": notification.web_view_url,
        "inbox": given({"topic": notification.inbox_topic}),
        **in_app(notification),
    }
    return given(fields)


def ios_keys(notification: PushNotification, message_id: str) -> Fields:
    """What stands beside `aps`, in our own dialect."""
    keys: Fields = {"messageId": message_id, **links(notification)}
    keys |= given(
        {
            "imageUrl": notification.image_url,
            "inAppStyle": notification.in_app_style,
            "inboxTopic": notification.inbox_topic,
            "customPayload": dict(notification.custom_payload),
        }
    )
    keys |= in_app(notification) | carousel(notification, message_id)
    if notification.silent:
        keys |= given({"title": notification.title, "text": notification.text})
    return keys


def infobip_ios_keys(notification: PushNotification, message_id: str) -> Fields:
    """A silent one carries its text inside, and that is what makes it silent."""
    internal = infobip_internal(notification)
    if notification.in_app_style:
        internal["inAppStyle"] = IN_APP_STYLES[notification.in_app_style]
    if notification.silent:
        internal["silent"] = given(
            {
                "title": notification.title or notification.application_name,
                "body": notification.text,
                "sound": notification.sound,
                "category": notification.category,
            }
        )
    keys: Fields = {"messageId": message_id, "internalData": internal}
    if custom := infobip_custom(notification, message_id):
        keys["customPayload"] = custom
    return keys
