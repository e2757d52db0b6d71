"""What the clouds keep for devices that are offline.

Source: contract/providers.md SIM-37 (FCM) and SIM-49 (APNs); RFC 8030 5.4 (browsers).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

FCM_COLLAPSE_KEYS = 4  # different ones that may wait for one device
FCM_STORED = 100  # then all of them are dropped


@dataclass(frozen=True, slots=True)
class Delivery:
    """One accepted notification on its way to a device."""

    cloud: str
    application: str  # FCM project id, APNs topic, VAPID public key
    token: str
    message_id: str
    draw: int  # 64 random bits of this message on this device
    expires: float  # Unix time; 0 is "now or never"
    collapse_key: str  # of browsers the topic
    reports_delivery: bool  # app code runs on arrival
    visible: bool  # something to see, so somebody may tap it


class Mailbox:
    """Waiting notifications of one device."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: list[Delivery] = []

    def put(self, delivery: Delivery, dropped: Counter[str]) -> None:
        """Store it, and count in `dropped` by reason what will never arrive for it."""
        if not delivery.expires:
            dropped["now_or_never"] += 1
            return
        before = len(self.waiting)
        if delivery.collapse_key:
            self.waiting = [
                one for one in self.waiting if one.collapse_key != delivery.collapse_key
            ]
        dropped["collapsed"] += before - len(self.waiting)
        if delivery.cloud == "apns":
            dropped["replaced"] += len(self.waiting)  # one per topic, and a token has one topic
            self.waiting = [delivery]
            return
        self.waiting.append(delivery)
        if delivery.cloud == "webpush":
            return
        keys = list(dict.fromkeys(one.collapse_key for one in self.waiting if one.collapse_key))
        if len(keys) > FCM_COLLAPSE_KEYS:
            self.waiting = [one for one in self.waiting if one.collapse_key != keys[0]]
            dropped["collapsed"] += 1
        if len(self.waiting) > FCM_STORED:
            dropped["too_many"] += len(self.waiting)
            self.waiting = []

    def take(self, now: float, dropped: Counter[str]) -> list[Delivery]:
        """What arrives now that the device is back."""
        living = [one for one in self.waiting if one.expires > now]
        dropped["expired"] += len(self.waiting) - len(living)
        self.waiting = []
        return living
