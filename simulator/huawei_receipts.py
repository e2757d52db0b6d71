"""Huawei's receipts: what became of each push, told to the server that sent it.

Source: contract/providers.md 4.7 and SIM-55.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from functools import partial
from hashlib import sha256
from pathlib import Path

from simulator.behaviour import Behaviour
from simulator.certificates import write_private
from simulator.clock import Clock
from simulator.exchange import Headers
from simulator.huawei_accounts import Callback, HuaweiApp
from simulator.inputs import number, only, whole
from simulator.registry import Registry
from simulator.schedule import Delays, Schedule, unit
from simulator.webhooks import Post, Webhooks

MOST = 100  # receipts in one post
SHORTEST, LONGEST = 0.2, 30.0  # seconds until a receipt, before `speed`
JSON = (("content-type", "application/json"),)


class Result(IntEnum):
    DELIVERED = 0
    REMOVED = 2
    OTHER_USER = 5
    MUTED = 6
    DORMANT = 10
    REPLACED = 15
    KEPT = 27
    DAILY_LIMIT = 102
    BY_RULE = 201
    MARKETING_LIMIT = 256


@dataclass(frozen=True)
class ReceiptSettings:
    speed: float = 1.0  # all delays are divided by it
    seconds: float = 2.0  # median of the delay of a receipt
    kept_seconds: float = 10.0  # how long an app that does not run keeps its messages waiting
    batch: int = MOST
    per_day: int = 3000  # messages of an app to a device
    marketing_per_day: int = 0  # the same in mainland China: 2; 0 is no limit
    # shares of the devices; the others get what is sent to them
    removed: float = 0.005
    other_user: float = 0.001
    muted: float = 0.02
    dormant: float = 0.01
    by_rule: float = 0.002
    kept: float = 0.05  # not running: told at once, and again when it arrives
    # shares of the messages
    silent: float = 0.01  # no receipt ever
    early: float = 0.02  # at once, perhaps before the answer to the push
    repeated: float = 0.03  # come twice
    newer: float = 0.5  # share of the posts in the second format


BY_DEVICE = {
    "removed": Result.REMOVED, "other_user": Result.OTHER_USER, "muted": Result.MUTED,
    "dormant": Result.DORMANT, "by_rule": Result.BY_RULE, "kept": Result.KEPT,
}  # fmt: skip
SHARES = {*BY_DEVICE, "silent", "early", "repeated", "newer"}


@dataclass(slots=True, eq=False)
class Pushed:
    """One message that Huawei has taken for one device."""

    app: HuaweiApp
    token: str
    request_id: str
    bi_tag: str
    receipt_id: str
    category: str
    group: int  # -1: nothing replaces it
    expires: float  # Unix time
    draw: int  # 64 random bits
    arrives: Callable[[], None]  # the phone has it
    is_there: bool = False
    is_replaced: bool = False


@dataclass(frozen=True, slots=True)
class News:
    pushed: Pushed
    result: Result


class HuaweiReceipts:
    """Decides what becomes of a push, tells the phone, and tells the server."""

    def __init__(self, home: Path, clock: Clock, behaviour: Behaviour, registry: Registry) -> None:
        self.settings = ReceiptSettings()
        self.counts: Counter[str] = Counter()
        self.webhooks = Webhooks(self.counts)
        self._clock = clock
        self._behaviour = behaviour
        self._registry = registry
        self._file = home / "receipts.json"
        self._later: Schedule[News] = Schedule(self._tell)
        self._posts = 0
        self._waiting: dict[tuple[str, int], Pushed] = {}  # token and group → the newest
        self._today = 0
        self._sent: Counter[tuple[str, str]] = Counter()  # token, category or "" → of today
        if self._file.exists():
            self.settings = _changed(self.settings, json.loads(self._file.read_text()))

    async def start(self) -> None:
        self._later.start()

    async def stop(self) -> None:
        await self._later.stop()
        await self.webhooks.stop()

    def change(self, given: Mapping[str, object]) -> None:
        """Raises BadInput."""
        self.settings = _changed(self.settings, given)
        write_private(self._file, json.dumps(asdict(self.settings), indent=1).encode())

    def shown(self) -> dict[str, object]:
        return asdict(self.settings)

    def figures(self) -> dict[str, int]:
        return {**self.counts, "scheduled": len(self._later), "waiting": self.webhooks.waiting}

    def clear(self) -> None:
        """Forget what is under way, and how it was set to behave."""
        self._later.clear()
        self._waiting.clear()
        self._sent.clear()
        self.counts.clear()
        self.webhooks.clear()
        self.settings = ReceiptSettings()
        self._file.unlink(missing_ok=True)

    # ----------------------------------------------------------------------- results

    def take(self, pushed: Pushed) -> None:
        """A push was accepted for a device."""
        settings, draw = self.settings, pushed.draw
        result = self._result(pushed)
        delay = _delay(settings.seconds, draw >> 8) / settings.speed
        if unit(draw, 16) < settings.early:
            delay = 0.0
        twice = unit(draw, 32) < settings.repeated
        if result is Result.KEPT:
            self._tell_later(delay, pushed, result)
            self._keep(pushed)
            delay += settings.kept_seconds / settings.speed
            result = Result.DELIVERED
        self._tell_later(delay, pushed, result)
        if twice:
            self._tell_later(delay * 1.2, pushed, result)

    def _result(self, pushed: Pushed) -> Result:
        settings = self.settings
        day = int(self._clock.now() // 86_400)
        if day != self._today:
            self._today = day
            self._sent.clear()
        self._sent[pushed.token, ""] += 1
        self._sent[pushed.token, pushed.category] += 1
        if self._sent[pushed.token, ""] > settings.per_day:
            return Result.DAILY_LIMIT
        marketing = self._sent[pushed.token, "MARKETING"]
        if pushed.category == "MARKETING" and 0 < settings.marketing_per_day < marketing:
            return Result.MARKETING_LIMIT
        chance = unit(self._behaviour.hash("receipt", pushed.token), 0)
        bound = 0.0
        for name, result in BY_DEVICE.items():
            bound += getattr(settings, name)
            if chance < bound:
                return result
        return Result.DELIVERED

    def _keep(self, pushed: Pushed) -> None:
        """What still waits is replaced by the newest of its group."""
        if pushed.group < 0:
            return
        key = pushed.token, pushed.group
        older = self._waiting.get(key)
        if older is not None and not older.is_there:
            older.is_replaced = True
        self._waiting[key] = pushed

    def _tell_later(self, seconds: float, pushed: Pushed, result: Result) -> None:
        self._later.after(seconds, News(pushed, result))

    def _tell(self, due: list[News]) -> None:
        """Together what goes to one address."""
        found: dict[Callback, list[News]] = defaultdict(list)
        for news in due:
            told = self._settled(news)
            if told is None:
                continue
            callback = told.pushed.app.callback(told.pushed.receipt_id)
            if callback is None or unit(told.pushed.draw, 48) < self.settings.silent:
                self.counts["never_told"] += 1
                continue
            self.counts[f"result_{told.result.value}"] += 1
            found[callback].append(told)
        size = self.settings.batch
        for callback, all_news in found.items():
            for start in range(0, len(all_news), size):
                self.webhooks.add(self._post(callback, all_news[start : start + size]))

    def _settled(self, news: News) -> News | None:
        """With what has happened since it was planned; None when there is nothing to tell."""
        pushed = news.pushed
        if news.result is Result.REMOVED:
            self._registry.uninstall("hms", pushed.token)
        if news.result is not Result.DELIVERED:
            return news
        if pushed.is_replaced:
            return News(pushed, Result.REPLACED)
        if not pushed.is_there and self._clock.now() > pushed.expires:
            self.counts["expired"] += 1
            return None
        if not pushed.is_there:
            pushed.is_there = True
            pushed.arrives()
        return news

    def _post(self, callback: Callback, told: list[News]) -> Post:
        self._posts += 1
        drawn = self._behaviour.hash("format", str(self._posts))
        entry = _newer if unit(drawn, 0) < self.settings.newer else _older
        body = json.dumps({"statuses": [entry(news) for news in told]}).encode()
        return Post(
            "receipts", callback.url, JSON, body,
            signed=partial(signature, callback), taken=_is_success,
        )  # fmt: skip


def signature(callback: Callback) -> Headers:
    """For one try. The server that reads it lives in real time, wherever our clock stands."""
    timestamp, nonce = str(int(time.time() * 1000)), secrets.token_hex(16)
    told = (timestamp + nonce + callback.user).encode()
    value = base64.b64encode(hmac.new(callback.key.encode(), told, sha256).digest()).decode()
    return (("x-huawei-callback-id", f"timestamp={timestamp}; nonce={nonce}; value={value}"),)


def _is_success(answer: bytes) -> bool:
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("errno") == 0


def _older(news: News) -> dict[str, object]:
    pushed = news.pushed
    return {
        "biTag": pushed.bi_tag,
        "appid": pushed.app.app_id,
        "token": pushed.token,
        "status": news.result.value,
        "timestamp": int(time.time() * 1000),
        "requestId": pushed.request_id,
    }


def _newer(news: News) -> dict[str, object]:
    pushed = news.pushed
    moment = int(time.time() * 1000)
    return {
        "token": pushed.token,
        "pushType": 0,
        "appPackageName": f"app.{pushed.app.app_id}",
        "biTag": pushed.bi_tag,
        "requestId": pushed.request_id,
        "deliveryStatus": {"result": news.result.value, "timestamp": moment},
    }


def _delay(median: float, bits: int) -> float:
    """Seconds, log-normally distributed within what Huawei takes."""
    if median <= 0:
        return 0.0
    return min(max(_DELAYS.of(median, bits), SHORTEST), LONGEST)


_DELAYS = Delays(spread=1.0)


def _changed(settings: ReceiptSettings, given: Mapping[str, object]) -> ReceiptSettings:
    only(given, set(ReceiptSettings.__dataclass_fields__))
    made: dict[str, object] = {}
    for name, value in given.items():
        if name == "batch":
            made[name] = whole(1, MOST)(value, name)
        elif name in {"per_day", "marketing_per_day"}:
            made[name] = whole(0, 10**9)(value, name)
        elif name == "speed":
            made[name] = number(0.01, 1e6)(value, name)
        else:
            made[name] = number(0, 1 if name in SHARES else 86_400)(value, name)
    return replace(settings, **made)  # type: ignore[arg-type]
