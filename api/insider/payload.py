"""What reaches the device (contract/insider.md 9)."""

import json
from collections.abc import Mapping
from typing import Any

from api.insider.schemas import Item, Links, Notification
from devices.models import Platform

ROOM = 3400  # bytes for what the content says; clouds take 4 KB with all that stands around it
SHOWN = ("title", "message", "image_url")  # stand in the visible part, too
LONGEST_TTL = 28 * 86_400  # seconds: as long as the clouds keep anything
SHORTEST_TTL = 30  # seconds; within less, nothing would get through our own queue for sure


def ttl_of(notification: Notification) -> int:
    """Seconds that a push may take; 0 and nothing at all mean as long as can be."""
    return min(max(notification.ttl or LONGEST_TTL, SHORTEST_TTL), LONGEST_TTL)


def links_of(notification: Notification, platform: int) -> Links:
    """What a tap opens on a platform."""
    block = notification.ios if platform == Platform.IOS else notification.android
    return (block.deep_link if block else None) or {}


def any_links(notification: Notification) -> Links:
    """The deep link that stands for the push where no platform is meant."""
    return links_of(notification, Platform.ANDROID) or links_of(notification, Platform.IOS)


def content_of(notification: Notification, platform: int) -> dict[str, Any]:
    """A push in the words of providers.base.PushNotification.

    Pictures travel as `items`. Where they leave no room, they are the notification's own
    carousel, which an app can fetch.
    """
    content: dict[str, Any] = {
        "title": notification.title,
        "text": notification.message,
        "image_url": notification.image_url or "",
        **_tap(links_of(notification, platform)),
        **(_ios(notification) if platform == Platform.IOS else _android(notification)),
    }
    custom = _custom(notification, platform)
    if _size(content, custom) > ROOM:
        custom = {name: value for name, value in custom.items() if name not in SHOWN}
    if notification.advanced and _size(content, custom) > ROOM:
        content["carousel"] = [_item(each) for each in notification.advanced.items]
        content["carousel_kind"] = notification.advanced.kind.lower()
        del custom["items"]
    return content | {"custom_payload": custom}


def _tap(links: Mapping[str, str]) -> dict[str, str]:
    """For apps whose SDK knows no `deep_link` of ours."""
    screen = links.get("ins_dl_internal") or links.get("ins_dl_url_scheme") or ""
    return {"deep_link": screen, "browser_url": links.get("ins_dl_external", "")}


def _android(notification: Notification) -> dict[str, Any]:
    block = notification.android
    if block is None:
        return {}
    return {
        "sound": block.sound or "default",
        "channel_id": "" if block.channel_id is None else str(block.channel_id),
        "thread_id": block.thread_id,
    }


def _ios(notification: Notification) -> dict[str, Any]:
    """`content-available` alone shows nothing; with `mutable-content` the app replaces a push."""
    block = notification.ios
    if block is None:
        return {}
    quiet = bool(block.deliver_silently)
    return {
        "sound": "" if quiet else block.sound or "default",
        "urgency": "low" if quiet else "high",
        "badge": block.badge,
        "thread_id": block.thread_id,
        "content_available": bool(block.content_available),
        "silent": bool(block.content_available and not block.mutable_content),
    }


def _custom(notification: Notification, platform: int) -> dict[str, Any]:
    ios = platform == Platform.IOS
    block = notification.ios if ios else notification.android
    advanced = notification.advanced
    told: dict[str, Any] = {
        "camp_id": notification.camp_id,
        "camp_name": notification.camp_name,
        "title": notification.title,
        "message": notification.message,
        "image_url": notification.image_url or "",
        "type": advanced.kind.lower() if advanced else "",
    }
    if advanced:
        told["items"] = [_item(each) for each in advanced.items]
    if links := links_of(notification, platform):
        told["deep_link"] = links
    if block and block.sound:
        told["sound"] = block.sound
    if block and block.thread_id:
        told["thread-id"] = block.thread_id
    if notification.android and not ios and notification.android.channel_id:
        told["channel_id"] = notification.android.channel_id
    return told


def _item(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "headline": item.headline,
        "description": item.description,
        "image_url": item.image_url,
        "deep_links": item.deep_links or {},
    }


def _size(content: Mapping[str, Any], custom: Mapping[str, Any]) -> int:
    """Bytes on the wire, at most: FCM's values are JSON within JSON."""
    plain = json.dumps([content, custom], ensure_ascii=False, separators=(",", ":"))
    return len(json.dumps(plain, ensure_ascii=False).encode())
