"""What FCM takes: a validator of its own, written from contract/providers.md 2.3 and 2.5."""

from __future__ import annotations

import json
import re
from typing import Any

LARGEST = 4096  # bytes of notification, data and android
TTL = re.compile(r"\d+(\.\d{1,9})?s")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
LABEL = re.compile(r"[a-zA-Z0-9-_.~%]{1,50}")
RESERVED = ("google", "gcm")
TARGETS = ("token", "fid", "topic", "condition")
STRINGS = {
    "title", "body", "icon", "ticker", "titleLocKey", "bodyLocKey", "color", "sound", "tag",
    "clickAction", "channelId", "image", "eventTime",
}  # fmt: skip
FLAGS = {
    "defaultSound", "defaultVibrateTimings", "defaultLightSettings", "sticky", "localOnly",
}  # fmt: skip
CHOICES = {
    "notificationPriority": {
        "PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT", "PRIORITY_HIGH", "PRIORITY_MAX",
        "PRIORITY_UNSPECIFIED",
    },
    "visibility": {"PRIVATE", "PUBLIC", "SECRET", "VISIBILITY_UNSPECIFIED"},
    "proxy": {"ALLOW", "DENY", "IF_PRIORITY_LOWERED", "PROXY_UNSPECIFIED"},
}  # fmt: skip
LISTS = {"titleLocArgs", "bodyLocArgs", "vibrateTimings"}
ANDROID = {
    "collapseKey", "priority", "ttl", "restrictedPackageName", "data", "notification",
    "fcmOptions", "directBootOk", "bandwidthConstrainedOk", "restrictedSatelliteOk",
}  # fmt: skip
MESSAGE = {
    "name", "data", "notification", "android", "androidV2", "webpush", "apns", "fcmOptions",
    *TARGETS,
}  # fmt: skip


class Violation(Exception):
    """A body that FCM refuses: `field` is the path."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


def check_message(body: Any) -> dict[str, Any]:
    """The body, if FCM would take it; raises Violation with the path of the first fault."""
    checked = _object(body, "", {"message", "validateOnly"})
    if not isinstance(checked.get("validateOnly", False), bool):
        raise Violation("validate_only", "must be a bool")
    message = _object(checked.get("message"), "message", MESSAGE)
    targets = [name for name in TARGETS if name in message]
    if len(targets) != 1 or targets[0] in ("topic", "condition"):
        raise Violation("message", "Exactly one of token and fid must be set here")
    _text(message[targets[0]], f"message.{targets[0]}")
    if "android" in message and "androidV2" in message:
        raise Violation("message.android_v2", "excludes android")
    if "data" in message:
        _data(message["data"], "message.data")
    if "notification" in message:
        shown = _object(message["notification"], "message.notification", {"title", "body", "image"})
        for name, value in shown.items():
            _text(value, f"message.notification.{name}")
    if "android" in message:
        _android(_object(message["android"], "message.android", ANDROID))
    _size(message)
    return checked


def _android(android: dict[str, Any]) -> None:
    path = "message.android"
    if android.get("priority", "HIGH") not in ("HIGH", "NORMAL"):
        raise Violation(f"{path}.priority", "must be NORMAL or HIGH")
    if "ttl" in android:
        ttl = android["ttl"]
        if not isinstance(ttl, str) or not TTL.fullmatch(ttl):
            raise Violation(f"{path}.ttl", "Illegal duration format; a duration ends with 's'")
        if float(ttl[:-1]) > 2_419_200:
            raise Violation(f"{path}.ttl", "must be at most 28 days")
    for name in ("collapseKey", "restrictedPackageName"):
        if name in android:
            _text(android[name], f"{path}.{name}")
    if "data" in android:
        _data(android["data"], f"{path}.data")
    label = android.get("fcmOptions", {}).get("analyticsLabel")
    if label is not None and not LABEL.fullmatch(str(label)):
        raise Violation(f"{path}.fcm_options.analytics_label", "does not match the pattern")
    if "notification" in android:
        _notification(android["notification"], f"{path}.notification")


def _notification(shown: Any, path: str) -> None:
    allowed = STRINGS | FLAGS | LISTS | CHOICES.keys() | {"notificationCount", "lightSettings"}
    shown = _object(shown, path, allowed)
    for name, value in shown.items():
        where = f"{path}.{name}"
        if name in STRINGS:
            _text(value, where)
        elif name in FLAGS and not isinstance(value, bool):
            raise Violation(where, "must be a bool")
        elif name in CHOICES and value not in CHOICES[name]:
            raise Violation(where, "is not one of the known values")
        elif name == "notificationCount" and (
            isinstance(value, bool) or not isinstance(value, int)
        ):
            raise Violation(where, "must be a 32-bit number")
        elif name in LISTS and not (
            isinstance(value, list) and all(isinstance(each, str) for each in value)
        ):
            raise Violation(where, "must be a list of texts")
    if "color" in shown and not COLOUR.fullmatch(shown["color"]):
        raise Violation(f"{path}.color", "must be #rrggbb")
    if "image" in shown and not shown["image"].startswith("https://"):
        raise Violation(f"{path}.image", "must be an https address")


def _data(data: Any, path: str) -> None:
    if not isinstance(data, dict):
        raise Violation(path, "must be a map")
    for name, value in data.items():
        if not isinstance(value, str):
            raise Violation(f"{path}[{name}]", "must be a text")
        if name in ("from", "message_type", "collapse_key") or name.startswith(RESERVED):
            raise Violation(f"{path}[{name}]", "is a reserved key")


def _size(message: dict[str, Any]) -> None:
    counted: dict[str, Any] = {
        name: message[name] for name in ("notification", "data") if name in message
    }
    if "android" in message:
        android = message["android"]
        counted["android"] = {k: v for k, v in android.items() if k not in ("ttl", "priority")}
    size = len(json.dumps(counted, ensure_ascii=False, separators=(",", ":")).encode())
    if size > LARGEST:
        raise Violation("message", f"Message is too big: {size} bytes")


def _object(value: Any, path: str, allowed: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Violation(path or "body", "must be an object")
    for name in value:
        if name not in allowed:
            raise Violation(f"{path}.{name}".lstrip("."), "Cannot find field")
    return value


def _text(value: Any, path: str) -> None:
    if not isinstance(value, str) or not value:
        raise Violation(path, "must be a text that is not empty")
