"""Which device answers what: drawn from a seed, so that a run can be repeated.

A token that was never seen before is a device too. What it does is a hash of the seed and
the token. Tokens whose text holds one of these words decide their fate themselves, in any
seed (only hexadecimal digits, so that Apple tokens can hold them):

    dead0001    uninstalled: FCM 404 UNREGISTERED, APNs 410
    badc0de1    never existed: FCM 400 on the token, APNs 400 BadDeviceToken
    0b5c0de1    another sender's: FCM 403 SENDER_ID_MISMATCH, APNs DeviceTokenNotForTopic
    b0551e01    busy: "not now" at the first try, taken at the second
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from simulator.exchange import Flavour, Manners


class Fate(Enum):
    FINE = "fine"
    UNINSTALLED = "uninstalled"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"
    BUSY = "busy"


MARKED = {
    "dead0001": Fate.UNINSTALLED,
    "badc0de1": Fate.UNKNOWN,
    "0b5c0de1": Fate.FOREIGN,
    "b0551e01": Fate.BUSY,
}


class BadSetting(Exception):
    """A setting that does not exist or is out of range; the text names it."""


@dataclass(slots=True)
class Dials:
    """How a cloud behaves; shares are 0 to 1."""

    latency_ms: float = 30.0  # median; log-normal, eight times that at the 99th percentile
    unregistered: float = 0.02
    busy: float = 0.003
    unavailable: float = 0.0  # answered 503 without being taken
    lost_answers: float = 0.0  # taken, then the connection is reset
    lost_requests: float = 0.0  # the connection is reset, nothing taken
    resets: float = 0.0  # taken, then RST_STREAM(INTERNAL_ERROR)
    stalls: float = 0.0  # taken, never answered
    outage: bool = False  # 503 for everything
    quota: int = 0  # notifications a second; 0 is no limit
    max_streams: int = 100
    goaway_every: int = 0  # streams
    goaway_seconds: float = 0.0
    goaway_flavour: str = Flavour.POLITE.value
    padding: int = 0
    dribble: bool = False
    window: int = 65535

    def turn(self, settings: dict[str, Any]) -> None:
        """Change some dials; raises BadSetting with nothing changed."""
        known = {each.name: each for each in fields(self)}
        for name, value in settings.items():
            if name not in known:
                raise BadSetting(f"{name}: there is no such dial; there are: {', '.join(known)}")
            _check(name, value, getattr(self, name))
        for name, value in settings.items():
            setattr(self, name, type(getattr(self, name))(value))


SHARES = {
    "unregistered", "busy", "unavailable", "lost_answers", "lost_requests", "resets", "stalls",
}  # fmt: skip


def _check(name: str, value: object, current: object) -> None:
    if isinstance(current, bool):
        if not isinstance(value, bool):
            raise BadSetting(f"{name}: expected true or false")
    elif isinstance(current, str):
        if value not in {flavour.value for flavour in Flavour}:
            raise BadSetting(f"{name}: expected one of {', '.join(f.value for f in Flavour)}")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise BadSetting(f"{name}: expected a number")
    elif name in SHARES and not 0 <= value <= 1:
        raise BadSetting(f"{name}: expected a share from 0 to 1")
    elif not math.isfinite(value) or value < 0:
        raise BadSetting(f"{name}: expected a number that is not negative")


class Behaviour:
    """The dials of each cloud, and the fate of each token."""

    def __init__(self, seed: int, latency_ms: float | None = None) -> None:
        self.seed = seed
        self.dials = {"fcm": Dials(), "apns": Dials(max_streams=1000)}
        if latency_ms is not None:
            for dials in self.dials.values():
                dials.latency_ms = latency_ms
        self._tried: set[str] = set()

    def turn(self, settings: dict[str, Any]) -> None:
        """Turn dials of one cloud ("cloud": "fcm") or of all."""
        settings = dict(settings)
        chosen = settings.pop("cloud", None)
        if chosen is not None and chosen not in self.dials:
            raise BadSetting(f"cloud: expected one of {', '.join(self.dials)}")
        for name in [chosen] if chosen else list(self.dials):
            self.dials[name].turn(settings)

    def manners(self, cloud: str) -> Manners:
        dials = self.dials[cloud]
        return Manners(
            max_streams=dials.max_streams,
            first_streams=1 if cloud == "apns" else 0,
            window=dials.window,
            max_header_list=8000 if cloud == "apns" else 0,
            idle_seconds=3600.0 if cloud == "apns" else 240.0,
            goaway_every=dials.goaway_every,
            goaway_seconds=dials.goaway_seconds,
            goaway_flavour=Flavour(dials.goaway_flavour),
            padding=dials.padding,
            dribble=dials.dribble,
        )

    def fate(self, cloud: str, token: str) -> Fate:
        """What becomes of pushes to a token; a busy one is fine at the second try."""
        fate = next((fate for mark, fate in MARKED.items() if mark in token), None)
        if fate is None:
            dials, drawn = self.dials[cloud], self.chance("fate", token)
            fate = Fate.FINE
            if drawn < dials.unregistered:
                fate = Fate.UNINSTALLED
            elif drawn < dials.unregistered + dials.busy:
                fate = Fate.BUSY
        if fate is Fate.BUSY:
            if token in self._tried:
                return Fate.FINE
            self._tried.add(token)
        return fate

    def chance(self, what: str, token: str) -> float:
        """A number in [0, 1) that is the same for the same seed."""
        drawn = hashlib.blake2b(f"{self.seed}/{what}/{token}".encode(), digest_size=8).digest()
        return int.from_bytes(drawn) / 2**64

    def latency(self, cloud: str, token: str) -> float:
        """Seconds until the answer leaves."""
        median = self.dials[cloud].latency_ms / 1000
        if not median:
            return 0.0
        first, second = self.chance("latency", token), self.chance("latency2", token)
        normal = math.sqrt(-2 * math.log(1 - first)) * math.cos(2 * math.pi * second)
        return median * math.exp(0.89 * normal)  # p99 is eight times the median
