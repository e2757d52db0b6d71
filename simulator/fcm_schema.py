"""What FCM's `messages:send` takes: the vendor's schema as data, and the rules beside it.

Written from contract/providers.md 2.3 and 2.5, not from the sender. Both spellings of a
name are known, camelCase and snake_case, as Google's JSON reader knows them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MAX_BYTES = 4096
MAX_TOPIC_BYTES = 2048
MAX_TTL = 2_419_200  # seconds, 28 days
MAX_TOPICS = 5
TARGETS = ("token", "fid", "topic", "condition")


@dataclass(frozen=True, slots=True)
class Violation:
    """Why a body is refused; `field` is a path such as "message.android.ttl"."""

    field: str
    description: str


Check = Callable[[object, str, list[Violation]], None]

DURATION = re.compile(r"-?\d{1,12}(\.\d{1,9})?s")
DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
LABEL = re.compile(r"[a-zA-Z0-9\-_.~%]{1,50}")
TOPIC = re.compile(r"[a-zA-Z0-9\-_.~%]{1,900}")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
RESERVED_KEYS = frozenset({"from", "message_type", "collapse_key"})
RESERVED_PREFIXES = ("google.", "gcm.notification.", "google", "gcm")


def _string(value: object, path: str, found: list[Violation]) -> None:
    if not isinstance(value, str):
        found.append(Violation(path, f"Invalid value at '{path}' (TYPE_STRING), {_told(value)}"))


def _bool(value: object, path: str, found: list[Violation]) -> None:
    if not isinstance(value, bool):
        found.append(Violation(path, f"Invalid value at '{path}' (TYPE_BOOL), {_told(value)}"))


def _int32(value: object, path: str, found: list[Violation]) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
        found.append(Violation(path, f"Invalid value at '{path}' (TYPE_INT32), {_told(value)}"))


def _share(value: object, path: str, found: list[Violation]) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        found.append(Violation(path, f"Invalid value at '{path}' (TYPE_FLOAT), {_told(value)}"))


def _free(value: object, path: str, found: list[Violation]) -> None:
    if not isinstance(value, dict):
        found.append(Violation(path, f"Invalid value at '{path}' (type_url), {_told(value)}"))


def _map(value: object, path: str, found: list[Violation]) -> None:
    if not isinstance(value, dict):
        found.append(Violation(path, f"Invalid value at '{path}' (TYPE_MAP), {_told(value)}"))
        return
    for key, one in value.items():
        if not isinstance(one, str):
            where = f"{path}[{key}]"
            found.append(Violation(where, f"Invalid value at '{path}' (TYPE_STRING)"))


def _data(value: object, path: str, found: list[Violation]) -> None:
    _map(value, path, found)
    if isinstance(value, dict):
        for key in value:
            if key in RESERVED_KEYS or key.startswith(RESERVED_PREFIXES):
                where = f"{path}[{key}]"
                found.append(Violation(where, f"Invalid data payload key: {key}"))


def _pattern(pattern: re.Pattern[str], wish: str) -> Check:
    def check(value: object, path: str, found: list[Violation]) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            found.append(Violation(path, f"Invalid value at '{path}': {wish}, {_told(value)}"))

    return check


def _ttl(value: object, path: str, found: list[Violation]) -> None:
    if not isinstance(value, str) or not DURATION.fullmatch(value):
        found.append(
            Violation(path, f"Illegal duration format at '{path}'; duration must end with 's'")
        )
    elif not 0 <= float(value[:-1]) <= MAX_TTL:
        found.append(Violation(path, f"Invalid ttl: must be from 0 to {MAX_TTL} seconds"))


def _https(value: object, path: str, found: list[Violation]) -> None:
    if not isinstance(value, str) or not value.startswith("https://"):
        found.append(Violation(path, f"Invalid value at '{path}': must be an https URL"))


def _condition(value: object, path: str, found: list[Violation]) -> None:
    if not isinstance(value, str) or not 1 <= value.count(" in topics") <= MAX_TOPICS:
        found.append(Violation(path, "Invalid condition expression provided."))


def _enum(*names: str) -> Check:
    known = frozenset(names)

    def check(value: object, path: str, found: list[Violation]) -> None:
        if not isinstance(value, str) or value not in known:
            found.append(Violation(path, f"Invalid value at '{path}' (TYPE_ENUM), {_told(value)}"))

    return check


def _any_case(check: Check) -> Check:
    """Google reads this value in any case, and its own libraries write it small."""
    return lambda value, path, found: check(
        value.upper() if isinstance(value, str) else value, path, found
    )


def _list(item: Check) -> Check:
    def check(value: object, path: str, found: list[Violation]) -> None:
        if not isinstance(value, list):
            found.append(Violation(path, f"Invalid value at '{path}' (repeated), {_told(value)}"))
            return
        for place, one in enumerate(value):
            item(one, f"{path}[{place}]", found)

    return check


def _message(fields: Mapping[str, Check]) -> Check:
    """An object with these members; null is the same as left out."""
    known: dict[str, tuple[str, Check]] = {}
    for name, check in fields.items():
        known[name] = (name, check)
        known[re.sub(r"([A-Z])", lambda found: "_" + found.group(1).lower(), name)] = (name, check)

    def check_all(value: object, path: str, found: list[Violation]) -> None:
        if not isinstance(value, dict):
            found.append(Violation(path, f"Invalid value at '{path}', {_told(value)}"))
            return
        seen = set()
        for name, one in value.items():
            entry = known.get(name)
            if entry is None:
                told = f"Invalid JSON payload received. Unknown name \"{name}\" at '{path}': "
                found.append(Violation(path, told + "Cannot find field."))
                continue
            if entry[0] in seen:
                found.append(Violation(f"{path}.{entry[0]}", f"Duplicate field '{entry[0]}'"))
            seen.add(entry[0])
            if one is not None:
                entry[1](one, f"{path}.{entry[0]}", found)

    return check_all


def _told(value: object) -> str:
    return json.dumps(value, default=str)[:80]


_duration = _pattern(DURATION, "duration must end with 's'")
_label = _message({"analyticsLabel": _pattern(LABEL, "not an analytics label")})
_shown = _message({"title": _string, "body": _string, "image": _string})
_light = _message(
    {
        "color": _message({"red": _share, "green": _share, "blue": _share, "alpha": _share}),
        "lightOnDuration": _duration,
        "lightOffDuration": _duration,
    }
)
_android_notification_fields: dict[str, Check] = {
    **dict.fromkeys(
        ("title", "body", "icon", "sound", "tag", "clickAction", "ticker", "channelId"), _string
    ),
    **dict.fromkeys(("titleLocKey", "bodyLocKey"), _string),
    **dict.fromkeys(("titleLocArgs", "bodyLocArgs"), _list(_string)),
    "color": _pattern(COLOUR, "must be a colour in the form #rrggbb"),
    "image": _https,
    **dict.fromkeys(("sticky", "localOnly", "defaultSound"), _bool),
    **dict.fromkeys(("defaultVibrateTimings", "defaultLightSettings"), _bool),
    "eventTime": _pattern(DATETIME, "must be a time as in RFC 3339"),
    "notificationPriority": _enum(
        "PRIORITY_UNSPECIFIED", "PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT",
        "PRIORITY_HIGH", "PRIORITY_MAX",
    ),
    "visibility": _enum("VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"),
    "notificationCount": _int32,
    "vibrateTimings": _list(_duration),
    "lightSettings": _light,
    "proxy": _enum("PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"),
    "bypassProxyNotification": _bool,
}  # fmt: skip
_android = _message(
    {
        "priority": _any_case(_enum("NORMAL", "HIGH")),
        "ttl": _ttl,
        "collapseKey": _string,
        "restrictedPackageName": _string,
        "data": _data,
        "notification": _message(_android_notification_fields),
        "fcmOptions": _label,
        **dict.fromkeys(("directBootOk", "bandwidthConstrainedOk", "restrictedSatelliteOk"), _bool),
    }
)
_android_v2 = _message(
    {
        "ttl": _ttl,
        "collapseKey": _string,
        "data": _data,
        "fcmOptions": _label,
        "remoteNotification": _message(
            {
                "notification": _message({**_android_notification_fields, "id": _int32}),
                "mutableContent": _bool,
                "useAsV1DataMessage": _bool,
            }
        ),
        "backgroundSync": _message({}),
    }
)
_apns = _message(
    {
        "headers": _map,
        "payload": _free,
        "fcmOptions": _message(
            {"analyticsLabel": _pattern(LABEL, "not an analytics label"), "image": _string}
        ),
        "liveActivityToken": _string,
    }
)
_webpush = _message(
    {
        "headers": _map,
        "data": _map,
        "notification": _free,
        "fcmOptions": _message(
            {"link": _https, "analyticsLabel": _pattern(LABEL, "not an analytics label")}
        ),
    }
)
_request = _message(
    {
        "validateOnly": _bool,
        "message": _message(
            {
                "token": _string,
                "fid": _string,
                "topic": _pattern(TOPIC, "not a topic name"),
                "condition": _condition,
                "notification": _shown,
                "data": _data,
                "android": _android,
                "androidV2": _android_v2,
                "apns": _apns,
                "webpush": _webpush,
                "fcmOptions": _label,
            }
        ),
    }
)


def violations(body: object, size: int) -> list[Violation]:
    """Every fault of a request body; `size` is its length in bytes as it was sent."""
    found: list[Violation] = []
    _request(body, "", found)
    found = [Violation(one.field.removeprefix("."), one.description) for one in found]
    message = body.get("message") if isinstance(body, dict) else None
    if found or not isinstance(message, dict):
        return found or [Violation("message", "Request must contain a message.")]
    targets = [name for name in TARGETS if message.get(name) is not None]
    if len(targets) != 1:
        told = "Exactly one of token, fid, topic or condition is required"
        return [Violation("message", f"{told}, got {', '.join(targets) or 'none'}.")]
    v2 = message.get("androidV2") or message.get("android_v2")
    if message.get("android") and v2:
        return [Violation("message.android", "android and androidV2 exclude each other.")]
    limit = MAX_BYTES if targets[0] in {"token", "fid"} else MAX_TOPIC_BYTES
    if size > limit and payload_size(message) > limit:
        return [Violation("message", f"Android message is too big, the limit is {limit} bytes")]
    return found


def payload_size(message: Mapping[str, object]) -> int:
    """Bytes that count: compact JSON of what is delivered. Source: 2.5, "how we count"."""
    android = message.get("android")
    delivered: dict[str, object] = {
        name: message[name] for name in ("notification", "data") if message.get(name)
    }
    if isinstance(android, dict):
        delivered["android"] = {
            name: value for name, value in android.items() if name not in {"ttl", "priority"}
        }
    text = json.dumps(delivered, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))
