"""What a request to APNs must look like. Source: contract/providers.md 3.2, 3.4, SIM-44."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SUFFIXES = {
    "alert": "",
    "background": "",
    "mdm": "",
    "voip": ".voip",
    "complication": ".complication",
    "fileprovider": ".pushkit.fileprovider",
    "location": ".location-query",
    "liveactivity": ".push-type.liveactivity",
    "pushtotalk": ".voip-ptt",
    "controls": ".push-type.controls",
    "widgets": ".push-type.widgets",
}
ANY_SUFFIX = tuple(sorted(set(SUFFIXES.values()) - {""}, key=len, reverse=True))
BUNDLE = re.compile(r"[A-Za-z0-9.-]{1,255}")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
EXPIRATION = re.compile(r"\d{1,12}")
MAX_COLLAPSE_ID = 64  # bytes
MAX_PAYLOAD = {"voip": 5120}  # bytes
MAX_PAYLOAD_ELSE = 4096


@dataclass(eq=False)
class Rejected(Exception):
    """Apple's answer when it is not 200."""

    status: int
    reason: str
    timestamp: int = 0  # milliseconds since when the token does not work


def parent_topic(topic: str) -> str:
    """The bundle id inside a topic."""
    for suffix in ANY_SUFFIX:
        if topic.endswith(suffix):
            return topic[: -len(suffix)]
    return topic


def check_topic(headers: Mapping[str, str], allowed: frozenset[str], known: set[str]) -> str:
    """The topic, if it is there, known, allowed to the key and fit for the push type."""
    topic = headers.get("apns-topic", "")
    if not topic:
        raise Rejected(400, "MissingTopic")
    suffix = SUFFIXES.get(headers.get("apns-push-type", "alert"))
    if suffix is None:
        raise Rejected(400, "InvalidPushType")
    bundle = parent_topic(topic)
    if not BUNDLE.fullmatch(topic) or bundle + suffix != topic:
        raise Rejected(400, "BadTopic")
    if allowed and bundle not in allowed:
        raise Rejected(400, "TopicDisallowed" if bundle in known else "BadTopic")
    return topic


def check_headers(headers: Mapping[str, str]) -> None:
    apns_id = headers.get("apns-id")
    if apns_id is not None and not UUID.fullmatch(apns_id):
        raise Rejected(400, "BadMessageId")
    if not EXPIRATION.fullmatch(headers.get("apns-expiration", "0")):
        raise Rejected(400, "BadExpirationDate")
    priority = headers.get("apns-priority", "10")
    background = headers.get("apns-push-type") == "background"
    if priority not in {"10", "5", "1"} or (background and headers.get("apns-priority") == "10"):
        raise Rejected(400, "BadPriority")
    if len(headers.get("apns-collapse-id", "").encode("latin-1")) > MAX_COLLAPSE_ID:
        raise Rejected(400, "BadCollapseId")


def check_payload(headers: Mapping[str, str], body: bytes, payload: Mapping[str, Any]) -> None:
    if len(body) > MAX_PAYLOAD.get(headers.get("apns-push-type", ""), MAX_PAYLOAD_ELSE):
        raise Rejected(413, "PayloadTooLarge")
    if not body or not isinstance(payload.get("aps"), dict):
        raise Rejected(400, "PayloadEmpty")
