"""Which device answers what: drawn from a seed, so that a run can be repeated.

A token nobody ever mentioned is a device too. What it does is a hash of (seed, token);
what happens to one message on its way is a hash of (seed, token, message id).

A token may name its fate, for tests. FCM: it begins with `fate-`, the name, a hyphen and
anything, as in `fate-unregistered-17:APA91b…`; names are the values of Fate with hyphens.
APNs: it begins with `fa7e`, the three hexadecimal digits of MARKS and a fourth, as in
`fa7e4100…`. `-once` after the name, or a fourth digit of 1, means that only the first try
of each message fails.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from statistics import NormalDist

from simulator.clock import Clock
from simulator.exchange import Manners
from simulator.settings import BY_TRY, CloudSettings, Fate

__all__ = ["MARKS", "Behaviour", "Decision", "Fate", "Rule"]

MARKS = {
    "200": Fate.ACCEPTED,
    "51e": Fate.SILENT,
    "410": Fate.UNREGISTERED,
    "41e": Fate.EXPIRED_TOKEN,
    "400": Fate.MALFORMED,
    "40f": Fate.MISMATCHED,
    "429": Fate.BUSY,
    "500": Fate.INTERNAL,
    "502": Fate.BAD_GATEWAY,
    "503": Fate.UNAVAILABLE,
    "50d": Fate.SHUTDOWN,
    "1d1": Fate.IDLE_TIMEOUT,
    "5d3": Fate.UNAVAILABLE_DELIVERED,
    "a0a": Fate.LOST_ANSWER,
    "a0b": Fate.LOST_REQUEST,
    "a0c": Fate.STALLED,
    "a0d": Fate.RESET,
    "a0e": Fate.REFUSED_STREAM,
}
FATE_NAME = re.compile(r"fate-([a-z0-9-]*[a-z0-9])(?=[-:])")
STEPS = 1024  # of the latency's distribution
P99 = NormalDist().inv_cdf(0.99)
REMEMBERED_TRIES = 200_000  # messages whose failed tries are counted; the oldest go first


@dataclass(frozen=True, slots=True)
class Rule:
    """What tokens of a pattern do, before anything else is considered."""

    fate: Fate
    token: str = "*"  # as in file names: * and ?
    cloud: str = ""  # "" is every cloud
    tries: int = 0  # of each message that meet it; 0 is all


@dataclass(slots=True)
class Decision:
    """What becomes of one request."""

    fate: Fate
    draw: int  # 64 bits, the same for every try of this message to this device
    delay: float  # seconds until the answer leaves


@dataclass(slots=True)
class _Tables:
    """Settings, prepared for one look-up per message."""

    devices: list[tuple[int, Fate]]  # upper bounds of 32 bits
    tries: list[tuple[int, Fate]]
    delays: list[float]
    manners: Manners


@dataclass
class Behaviour:
    """Seed, settings and rules; everything random comes from here."""

    clock: Clock
    seed: int = 1
    clouds: dict[str, CloudSettings] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._key = self.seed.to_bytes(16, "big", signed=True)
        self._failed: dict[int, int] = {}  # draw → tries that failed
        self.changed()

    def changed(self) -> None:
        """Prepare again after settings have changed."""
        self._tables = {name: _prepare(one) for name, one in self.clouds.items()}

    def forget(self) -> None:
        self._failed.clear()

    def manners(self, cloud: str) -> Manners:
        return self._tables[cloud].manners

    def hash(self, *words: str) -> int:
        """64 bits that depend on the seed and the words alone."""
        digest = blake2b("\n".join(words).encode(), digest_size=8, key=self._key)
        return int.from_bytes(digest.digest(), "big")

    def decide(self, cloud: str, token: str, message_id: str) -> Decision:
        tables = self._tables[cloud]
        draw = self.hash(token, message_id)
        delays = tables.delays
        delay = delays[draw & (STEPS - 1)] if delays else 0.0
        fate = self._fate(cloud, tables, token, draw)
        return Decision(fate, draw, delay)

    def _fate(self, cloud: str, tables: _Tables, token: str, draw: int) -> Fate:
        for rule in self.rules:
            if rule.cloud in ("", cloud) and fnmatchcase(token, rule.token):
                return self._for_tries(rule.fate, draw, rule.tries)
        marked = _marked(token)
        if marked is not None:
            fate, once = marked
            return self._for_tries(fate, draw, 1 if once else 0)
        settings = self.clouds[cloud]
        if tables.devices:
            fate = _pick(tables.devices, self.hash(token) >> 32)
            if fate is not Fate.ACCEPTED:
                return fate
        if settings.outage is not None and self.clock.now() < settings.outage_until:
            return settings.outage
        if tables.tries:
            fate = _pick(tables.tries, draw >> 32)
            if fate is not Fate.ACCEPTED:
                return self._for_tries(fate, draw, settings.tries)
        return Fate.ACCEPTED

    def _for_tries(self, fate: Fate, draw: int, tries: int) -> Fate:
        """This fate for the first so many tries of a message, then acceptance."""
        if tries == 0 or fate is Fate.ACCEPTED:
            return fate
        failed = self._failed.get(draw, 0)
        if failed >= tries:
            return Fate.ACCEPTED
        self._failed[draw] = failed + 1
        if len(self._failed) > REMEMBERED_TRIES:
            del self._failed[next(iter(self._failed))]
        return fate


def _marked(token: str) -> tuple[Fate, bool] | None:
    if token.startswith("fate-"):
        found = FATE_NAME.match(token)
        name = found.group(1).replace("-", "_") if found else ""
        while name:
            base = name.removesuffix("_once")
            if base in Fate._value2member_map_:
                return Fate(base), base != name
            name = name.rpartition("_")[0]
    elif token.startswith("fa7e"):
        fate = MARKS.get(token[4:7])
        if fate is not None:
            return fate, token[7:8] == "1"
    return None


def _pick(bounds: list[tuple[int, Fate]], draw: int) -> Fate:
    for bound, fate in bounds:
        if draw < bound:
            return fate
    return Fate.ACCEPTED


def _prepare(settings: CloudSettings) -> _Tables:
    by_device = {fate: rate for fate, rate in settings.rates.items() if fate not in BY_TRY}
    by_try = {fate: rate for fate, rate in settings.rates.items() if fate in BY_TRY}
    return _Tables(
        devices=_bounds(by_device),
        tries=_bounds(by_try),
        delays=_delays(settings.latency_ms, settings.latency_p99_ms),
        manners=settings.manners,
    )


def _bounds(rates: Mapping[Fate, float]) -> list[tuple[int, Fate]]:
    bounds, upper = [], 0.0
    for fate, rate in rates.items():
        if rate:
            upper += rate
            bounds.append((round(upper * 2**32), fate))
    return bounds


def _delays(median: float, p99: float) -> list[float]:
    """Quantiles of a log-normal distribution, in seconds; empty when answers come at once."""
    if median <= 0:
        return []
    sigma = math.log(max(p99, median) / median) / P99
    normal = NormalDist()
    return [
        median / 1000 * math.exp(sigma * normal.inv_cdf((step + 0.5) / STEPS))
        for step in range(STEPS)
    ]
