"""What Huawei takes in the body of a push, and the code of everything it does not take.

Source: contract/providers.md 4.3, 4.4, 4.5 and SIM-52.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PARAMETER, STRUCTURE, TTL, COLLAPSE, IMAGE = (
    "80100001", "80100003", "80100004", "80100013", "80100022",
)  # fmt: skip
TOO_LARGE, TOO_MANY_TOKENS, NOT_URGENT, RECEIPT_ADDRESS = (
    "80300008", "80300010", "80300011", "80300013",
)  # fmt: skip
TOO_MANY_TEST_TOKENS = "80300030"
LIMIT = 4096  # bytes without the tokens
MOST_TOKENS, MOST_TEST_TOKENS = 1000, 10
MAX_TTL = 1_296_000  # seconds
DAY = 86_400.0
CATEGORIES = frozenset(
    {"IM", "VOIP", "SUBSCRIPTION", "TRAVEL", "HEALTH", "WORK", "ACCOUNT", "EXPRESS", "FINANCE",
     "DEVICE_REMINDER", "MAIL", "PLAY_VOICE", "MARKETING"}
)  # fmt: skip
PUSH_TYPES = frozenset(["0", "1", "2", "6", "7", "10"])
_TOKENS = re.compile(rb'("token"\s*:\s*\[)[^\]]*(\])')

Check = Callable[[Any, str], None]


class Fault(Exception):
    """Huawei's code, and what is wrong in words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Push:
    """One call, as far as it decides what becomes of it."""

    body: dict[str, Any]  # without its tokens
    tokens: list[str]  # as they stand there; empty for a topic
    data: str = ""  # what the app reads: JSON text
    ttl: float = DAY  # seconds
    group: int = -1  # -1 keeps all, 0 the newest of all, 1 to 100 the newest of a group
    category: str = ""
    bi_tag: str = ""
    receipt_id: str = ""
    urgent: bool = False  # asks for what needs a permission
    for_tests: bool = False
    dry: bool = False
    shown: bool = True  # there is something to see


def read_v1(raw: bytes) -> Push:
    """The body of versions 1 and 2. Raises Fault."""
    body = _body(raw)
    _members(body, "", {"validate_only": _flag, "message": _object})
    message = body.get("message")
    if not isinstance(message, dict):
        raise Fault(STRUCTURE, "message is missing")
    _members(message, "message", _MESSAGE)
    if sum(name in message for name in ("token", "topic", "condition")) != 1:
        raise Fault(STRUCTURE, "exactly one of token, topic and condition is wanted")
    tokens = message.pop("token", [])
    _sized(raw, tokens)
    android = message.get("android", {})
    _members(android, "message.android", _ANDROID)
    outer, inner = message.get("notification"), android.get("notification")
    shown = outer is not None or inner is not None
    _members(outer or {}, "message.notification", _PLAIN)
    if inner is not None:
        _members(inner, "message.android.notification", _NOTIFICATION)
        _styled(inner)
    if shown:
        _shown(outer or {}, inner or {})
    elif not (message.get("data") or android.get("data")):
        raise Fault(STRUCTURE, "there is neither data nor a notification")
    importance = (inner or {}).get("importance")
    return Push(
        body,
        tokens,
        data=android.get("data") or message.get("data", ""),
        ttl=float(android["ttl"][:-1]) if "ttl" in android else DAY,
        group=android.get("collapse_key", -1),
        category=android.get("category", "MARKETING"),
        bi_tag=android.get("bi_tag", ""),
        receipt_id=android.get("receipt_id", ""),
        urgent=android.get("urgency") == "HIGH" or importance == "HIGH",
        for_tests=android.get("target_user_type") == 1,
        dry=body.get("validate_only", False),
        shown=shown,
    )


def read_v3(raw: bytes, push_type: str) -> Push:
    """The body of version 3, of an alert: the only type that is simulated. Raises Fault."""
    if push_type not in PUSH_TYPES:
        raise Fault(PARAMETER, "the header push-type must be 0, 1, 2, 6, 7 or 10")
    if push_type != "0":
        raise Fault(PARAMETER, "only alerts are simulated: push-type 0")
    body = _body(raw)
    _members(body, "", {"payload": _object, "target": _object, "pushOptions": _object})
    payload, target = body.get("payload", {}), body.get("target", {})
    _members(payload, "payload", {"notification": _object})
    _members(target, "target", {"token": _tokens})
    if "notification" not in payload or "token" not in target:
        raise Fault(STRUCTURE, "payload.notification and target.token must be there")
    tokens = target.pop("token")
    _sized(raw, tokens)
    notification, options = payload["notification"], body.get("pushOptions", {})
    _members(notification, "payload.notification", _NOTIFICATION_V3)
    for name in ("category", "title", "body", "clickAction"):
        if name not in notification:
            raise Fault(STRUCTURE, f"payload.notification.{name} is missing")
    _members(options, "pushOptions", _OPTIONS)
    for_tests = options.get("testMessage", False)
    if for_tests and len(tokens) > MOST_TEST_TOKENS:
        raise Fault(TOO_MANY_TEST_TOKENS, f"a test goes to at most {MOST_TEST_TOKENS} tokens")
    return Push(
        body,
        tokens,
        data=json.dumps(notification["clickAction"].get("data", {})),
        ttl=float(options.get("ttl", DAY)),
        group=options.get("collapseKey", -1),
        category=notification["category"],
        bi_tag=options.get("biTag", ""),
        receipt_id=options.get("receiptId", ""),
        for_tests=for_tests,
    )


def _body(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Fault(STRUCTURE, "the body is not a JSON object")
    return body


def _sized(raw: bytes, tokens: list[str]) -> None:
    if len(tokens) > MOST_TOKENS:
        raise Fault(TOO_MANY_TOKENS, f"at most {MOST_TOKENS} tokens a call")
    if len(_TOKENS.sub(rb"\1\2", raw, count=1)) > LIMIT:
        raise Fault(TOO_LARGE, f"at most {LIMIT} bytes beside the tokens")


def _members(given: Mapping[str, Any], where: str, known: Mapping[str, Check]) -> None:
    """Each member by its own rule; one that no manual has is usually misspelled."""
    for name, value in given.items():
        path = f"{where}.{name}" if where else name
        if name not in known:
            raise Fault(STRUCTURE, f"{path} is unknown")
        known[name](value, path)


def _shown(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> None:
    """What a notification cannot be without."""
    for name in ("title", "body"):
        if not (inner.get(name) or outer.get(name)):
            raise Fault(STRUCTURE, f"message.android.notification.{name} is missing")
    if "click_action" not in inner:
        raise Fault(STRUCTURE, "message.android.notification.click_action is missing")


def _styled(notification: Mapping[str, Any]) -> None:
    style = notification.get("style", 0)
    if style == 1 and not (notification.get("big_title") and notification.get("big_body")):
        raise Fault(PARAMETER, "style 1 needs big_title and big_body")
    if style == 3 and not notification.get("inbox_content"):
        raise Fault(PARAMETER, "style 3 needs inbox_content")


# Rules of one value


def _text(longest: int = 4096, code: str = PARAMETER) -> Check:
    """`longest` in bytes."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str) or not value or len(value.encode(errors="replace")) > longest:
            raise Fault(code, f"{path} must be a text of at most {longest} bytes")

    return check


def _whole(low: int, high: int, code: str = PARAMETER) -> Check:
    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Fault(code, f"{path} must be a whole number from {low} to {high}")

    return check


def _one_of(*choices: object) -> Check:
    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or value not in choices:
            raise Fault(PARAMETER, f"{path} must be one of {', '.join(map(str, choices))}")

    return check


def _flag(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise Fault(PARAMETER, f"{path} must be true or false")


def _object(value: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise Fault(STRUCTURE, f"{path} must be an object")


def _list(check: Check, most: int) -> Check:
    def check_all(value: Any, path: str) -> None:
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise Fault(PARAMETER, f"{path} must be a list of 1 to {most}")
        for place, one in enumerate(value):
            check(one, f"{path}[{place}]")

    return check_all


def _tokens(value: Any, path: str) -> None:
    known = isinstance(value, list) and value and all(isinstance(one, str) for one in value)
    if not known:
        raise Fault(STRUCTURE, f"{path} must be a list of texts that is not empty")


def _ttl(value: Any, path: str) -> None:
    known = isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,6}s", value)
    if not known or int(value[:-1]) > MAX_TTL:
        raise Fault(TTL, f'{path} must be seconds from "1s" to "{MAX_TTL}s"')


def _https(code: str) -> Check:
    def check(value: Any, path: str) -> None:
        parts = urlsplit(value) if isinstance(value, str) else None
        if parts is None or parts.scheme != "https" or not parts.hostname:
            raise Fault(code, f"{path} must begin with https://")

    return check


def _sound(value: Any, path: str) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"/raw/[A-Za-z0-9_]+", value):
        raise Fault(PARAMETER, f"{path} must be /raw/ and a name without its ending")


def _vibration(value: Any, path: str) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,9})?", value):
        raise Fault(PARAMETER, f'{path} must be seconds, such as "1.5"')


def _click(value: Any, path: str) -> None:
    _object(value, path)
    _members(
        value, path,
        {"type": _one_of(1, 2, 3), "intent": _intent, "action": _text(), "url": _https(PARAMETER)},
    )  # fmt: skip
    wanted = {1: {"intent", "action"}, 2: {"url"}, 3: set()}.get(value.get("type"))
    if wanted is None:
        raise Fault(PARAMETER, f"{path}.type must be 1, 2 or 3")
    if len(value.keys() & wanted) != bool(wanted) or value.keys() - wanted - {"type"}:
        raise Fault(PARAMETER, f"{path} of type {value['type']} needs {' or '.join(wanted)} alone")


def _intent(value: Any, path: str) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"intent:[^#]*#Intent;.*;end", value):
        raise Fault(PARAMETER, f"{path} must be an Intent URI")


def _badge(value: Any, path: str) -> None:
    _object(value, path)
    _members(
        value, path, {"class": _text(), "add_num": _whole(1, 99), "set_num": _whole(0, 99)}
    )  # fmt: skip
    if "class" not in value:
        raise Fault(PARAMETER, f"{path}.class is missing")


def _button(value: Any, path: str) -> None:
    _object(value, path)
    _members(
        value, path,
        {"name": _text(40), "action_type": _whole(0, 4), "intent_type": _one_of(0, 1),
         "intent": _text(), "data": _text()},
    )  # fmt: skip
    if not {"name", "action_type"} <= value.keys():
        raise Fault(PARAMETER, f"{path} needs name and action_type")


def _click_v3(value: Any, path: str) -> None:
    _object(value, path)
    _members(
        value, path,
        {"actionType": _one_of(0, 1), "action": _text(), "uri": _text(), "data": _object},
    )  # fmt: skip
    if "actionType" not in value:
        raise Fault(PARAMETER, f"{path}.actionType is missing")
    if value["actionType"] == 1 and not value.keys() & {"action", "uri"}:
        raise Fault(PARAMETER, f"{path} needs action or uri")


_MESSAGE: dict[str, Check] = {
    "token": _tokens,
    "topic": _text(),
    "condition": _text(),
    "data": _text(),  # a text, not an object
    "notification": _object,
    "android": _object,
}
_ANDROID: dict[str, Check] = {
    "collapse_key": _whole(-1, 100, COLLAPSE),
    "urgency": _one_of("NORMAL", "HIGH"),
    "ttl": _ttl,
    "category": _one_of(*sorted(CATEGORIES)),
    "bi_tag": _text(64),
    "receipt_id": _text(),
    "target_user_type": _one_of(0, 1),
    "fast_app_target": _one_of(1, 2),
    "data": _text(),
    "notification": _object,
}
_PLAIN: dict[str, Check] = {"title": _text(), "body": _text(), "image": _https(IMAGE)}
_NOTIFICATION: dict[str, Check] = {
    **_PLAIN,
    "click_action": _click,
    "channel_id": _text(),
    "importance": _one_of("LOW", "NORMAL", "HIGH"),
    "notify_id": _whole(0, 2**31 - 1),
    "badge": _badge,
    "style": _one_of(0, 1, 3),
    "big_title": _text(),
    "big_body": _text(),
    "inbox_content": _list(_text(), 5),
    "sound": _sound,
    "default_sound": _flag,
    "vibrate_config": _list(_vibration, 10),
    "use_default_vibrate": _flag,
    "buttons": _list(_button, 3),
    "tag": _text(),
    "group": _text(),
    "foreground_show": _flag,
    "icon": _text(),
    "color": _text(),
    "ticker": _text(),
    "when": _text(),
    "visibility": _text(),
    "light_settings": _object,
    "multi_lang_key": _object,
    "profile_id": _text(),
    # older members, which Huawei's own SDK writes
    "auto_cancel": _flag,
    "auto_clear": _whole(1, 2**31 - 1),
    "notify_summary": _text(),
    "use_default_light": _flag,
    "body_loc_key": _text(),
    "body_loc_args": _list(_text(), 100),
    "title_loc_key": _text(),
    "title_loc_args": _list(_text(), 100),
}
_NOTIFICATION_V3: dict[str, Check] = {
    "category": _one_of(*sorted(CATEGORIES)),
    "title": _text(),
    "body": _text(),
    "clickAction": _click_v3,
    "notifyId": _whole(0, 2**31 - 1),
}
_OPTIONS: dict[str, Check] = {
    "ttl": _whole(1, MAX_TTL, TTL),
    "biTag": _text(64),
    "receiptId": _text(),
    "collapseKey": _whole(-1, 100, COLLAPSE),
    "testMessage": _flag,
}
