"""The operators behind the SMS gateways: what becomes of a text, and who is told.

Source: contract/providers.md 6.3, 6.4 and SIM-66.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Protocol

from simulator.behaviour import Behaviour
from simulator.certificates import write_private
from simulator.inputs import number, only, whole
from simulator.schedule import Delays, Schedule, unit
from simulator.webhooks import Post, Webhooks

MOST_RESULTS = 100  # in one post
STRANGERS = uuid.UUID("0b0f7a3e-9d55-4f3a-8a59-5cf0d3f4a1c7")  # space of ids nobody ever sent


class Fate(Enum):
    """What becomes of a text with its operator."""

    DELIVERED = "delivered"
    ABSENT = "absent"  # the handset is off
    BARRED = "barred"  # nobody has this number any more
    EXPIRED = "expired"  # not within its validity
    UNKNOWN = "unknown"  # the operator never said
    STOPPED = "stopped"  # its owner wants no text messages
    ON_ITS_WAY = "on_its_way"  # not final: the operator has it


@dataclass(frozen=True)
class OperatorSettings:
    speed: float = 1.0  # all delays are divided by it
    seconds: float = 8.0  # median of the delay of a report
    batch: int = MOST_RESULTS
    # shares of the accepted; the rest is delivered
    silent: float = 0.01  # no report ever
    absent: float = 0.03
    barred: float = 0.01
    expired: float = 0.02
    unknown: float = 0.005
    stopped: float = 0.005
    # shares of the reports
    intermediate: float = 0.2  # also say that the operator has it
    repeated: float = 0.05  # come twice
    out_of_order: float = 0.05  # the intermediate one comes last
    strangers: float = 0.01  # come with another one, of an id that nobody sent


FATES = {
    "absent": Fate.ABSENT, "barred": Fate.BARRED, "expired": Fate.EXPIRED,
    "unknown": Fate.UNKNOWN, "stopped": Fate.STOPPED,
}  # fmt: skip
DELAYS = Delays(spread=1.0)  # one in twenty waits five times as long
SHARES = {"silent", *FATES, "intermediate", "repeated", "out_of_order", "strangers"}


class Reporting(Protocol):
    """A gateway that can put what became of texts into its own words."""

    def posts(self, url: str, news: list[News]) -> list[Post]: ...


@dataclass(frozen=True, slots=True)
class Text:
    """A text that a gateway has taken, and where it is to report."""

    gateway: Reporting
    account: str
    url: str
    message_id: str  # ours, or what the gateway gave it
    number: str
    sender: str
    parts: int
    sent_at: float  # Unix time
    draw: int  # 64 random bits
    older: bool = False  # Infobip: it came through version 2


@dataclass(frozen=True, slots=True)
class News:
    text: Text
    fate: Fate
    stranger: bool = False  # of an id that nobody sent


class Operators:
    """Decides what becomes of texts, and when the gateways hear of it."""

    def __init__(self, home: Path, behaviour: Behaviour) -> None:
        self.settings = OperatorSettings()
        self.counts: Counter[str] = Counter()
        self.webhooks = Webhooks(self.counts)
        self._behaviour = behaviour
        self._file = home / "operators.json"
        self._later: Schedule[News] = Schedule(self._tell)
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
        self.counts.clear()
        self.webhooks.clear()
        self.settings = OperatorSettings()
        self._file.unlink(missing_ok=True)

    def take(self, text: Text) -> None:
        """A gateway has accepted a text."""
        settings = self.settings
        fate = self._fate(text)
        if fate is None or not text.url:
            self.counts["never_reported"] += 1
            return
        mishap = self._behaviour.hash("report", text.message_id)
        delay = DELAYS.of(settings.seconds, text.draw >> 8) / settings.speed
        if unit(mishap, 0) < settings.intermediate:
            late = unit(mishap, 16) < settings.out_of_order
            self._later.after(delay * (1.5 if late else 0.3), News(text, Fate.ON_ITS_WAY))
        self._later.after(delay, News(text, fate))
        if unit(mishap, 32) < settings.repeated:
            self._later.after(delay * 1.2, News(text, fate))
        if unit(mishap, 48) < settings.strangers:
            stranger = replace(text, message_id=str(uuid.uuid5(STRANGERS, text.message_id)))
            self._later.after(delay, News(stranger, fate, stranger=True))

    def _fate(self, text: Text) -> Fate | None:
        """None for a text that nobody ever reports."""
        chance = unit(text.draw, 40)
        bound = self.settings.silent
        if chance < bound:
            return None
        for name, fate in FATES.items():
            bound += getattr(self.settings, name)
            if chance < bound:
                return fate
        return Fate.DELIVERED

    def _tell(self, due: list[News]) -> None:
        """Together what goes to one address."""
        by_url: dict[tuple[Reporting, str], list[News]] = {}
        for news in due:
            self.counts[f"fate_{news.fate.value}"] += not news.stranger
            by_url.setdefault((news.text.gateway, news.text.url), []).append(news)
        size = self.settings.batch
        for (gateway, url), found in by_url.items():
            for start in range(0, len(found), size):
                for post in gateway.posts(url, found[start : start + size]):
                    self.webhooks.add(post)


def _changed(settings: OperatorSettings, given: Mapping[str, object]) -> OperatorSettings:
    only(given, set(OperatorSettings.__dataclass_fields__))
    made: dict[str, object] = {}
    for name, value in given.items():
        if name == "batch":
            made[name] = whole(1, MOST_RESULTS)(value, name)
        elif name == "speed":
            made[name] = number(0.01, 1e6)(value, name)
        else:
            made[name] = number(0, 1 if name in SHARES else 86_400)(value, name)
    return replace(settings, **made)  # type: ignore[arg-type]
