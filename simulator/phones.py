"""Phones that report back through the public device API, as phones do: late, twice, or not.

Source: contract/providers.md SIM-70, SIM-71; contract/mobile-sdk.md 4.2, 4.3.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from simulator.behaviour import Behaviour
from simulator.certificates import write_private
from simulator.clock import Clock
from simulator.inputs import BadInput, json_object, number, only, text, whole
from simulator.mailboxes import Delivery, Mailbox
from simulator.registry import Registry
from simulator.reporter import Report, Reporter
from simulator.schedule import Delays, Schedule, unit

OPENED = 0.2  # share of the notifications that somebody touches in a browser
SILENT_AN_HOUR = 3  # content-available pushes that reach an iPhone
ID_SPACE = uuid.UUID("6f1c0f5e-63a0-4c05-8f0c-4d0f2e7a3b11")  # for ids nobody ever sent


@dataclass(frozen=True)
class PhoneSettings:
    base_url: str = ""  # of the device API; "" and no phone reports
    applications: Mapping[str, str] = field(
        default_factory=dict
    )  # project, topic or VAPID key → code
    connections: int = 4
    speed: float = 1.0  # all delays are divided by it
    delivered: float = 0.92  # share of what reaches a device that is on
    seen: float = 0.40  # share of the delivered; browsers tell it as opened or dismissed
    offline: float = 0.05  # share of devices that are off, for `offline_seconds`
    repeated: float = 0.01
    unknown: float = 0.002  # reports about ids that were never sent
    wrong_clock: float = 0.02
    out_of_order: float = 0.02  # seen comes before delivered
    uninstalled: float = 0.001  # shares of the delivered
    delivered_seconds: float = 1.5  # median
    seen_seconds: float = 20.0  # median
    offline_seconds: float = 300.0  # median


SHARES = {
    "delivered", "seen", "offline", "repeated", "unknown", "wrong_clock", "out_of_order",
    "uninstalled",
}  # fmt: skip
_DELAYS = Delays(spread=1.4)  # a tenth wait six times as long
DELAYS = {"delivered_seconds", "seen_seconds", "offline_seconds"}


class Phones:
    """Decides which phone reports what and when; a Reporter carries it."""

    def __init__(self, home: Path, clock: Clock, behaviour: Behaviour, registry: Registry) -> None:
        self.settings = PhoneSettings()
        self.counts: Counter[str] = Counter()
        self.reporter = Reporter(self.counts)
        self._clock = clock
        self._behaviour = behaviour
        self._registry = registry
        self._file = home / "phones.json"
        self._later: Schedule[Report | str] = Schedule(self._happen)
        self._boxes: dict[str, Mailbox] = {}
        self._silent: dict[str, tuple[int, int]] = {}  # token → hour, how many
        if self._file.exists():
            self.settings = _changed(self.settings, json.loads(self._file.read_text()))

    async def start(self) -> None:
        self._later.start()
        self.reporter.use(self.settings.base_url, self.settings.connections)

    async def stop(self) -> None:
        await self._later.stop()
        await self.reporter.stop()

    def change(self, given: Mapping[str, object]) -> None:
        """Raises BadInput."""
        self.settings = _changed(self.settings, given)
        write_private(self._file, json.dumps(asdict(self.settings), indent=1).encode())
        self.reporter.use(self.settings.base_url, self.settings.connections)

    def shown(self) -> dict[str, object]:
        """The settings, without the codes that are the phones' credentials."""
        return {**asdict(self.settings), "applications": sorted(self.settings.applications)}

    def figures(self) -> dict[str, int]:
        return {**self.counts, "scheduled": len(self._later), "waiting": self.reporter.waiting}

    def clear(self) -> None:
        self._later.clear()
        self._boxes.clear()
        self._silent.clear()
        self.counts.clear()
        self.reporter.clear()

    # ---------------------------------------------------------------------- arrival

    def deliver(self, delivery: Delivery) -> None:
        """A cloud has accepted something for this device."""
        settings = self.settings
        if not settings.base_url:
            return
        if delivery.application not in settings.applications:
            self.counts["application_unknown"] += 1
            return
        token = delivery.token
        box = self._boxes.get(token)
        if box is None and self._share("offline", token) < settings.offline:
            self._boxes[token] = box = Mailbox()
            spread = self._behaviour.hash("offline for", token)
            self._later.after(_DELAYS.of(settings.offline_seconds, spread) / settings.speed, token)
        if box is not None:
            box.put(delivery, self.counts)
        else:
            self._arrive(delivery)

    def _arrive(self, delivery: Delivery) -> None:
        settings = self.settings
        chance = self._behaviour.hash("phone", delivery.message_id, delivery.token)
        if unit(chance, 0) >= settings.delivered or self._too_quiet(delivery):
            self.counts["never_reported"] += 1
            return
        code = settings.applications[delivery.application]
        message_id = delivery.message_id
        arrived = _DELAYS.of(settings.delivered_seconds, chance >> 10) / settings.speed
        tapped = arrived + _DELAYS.of(settings.seen_seconds, chance >> 20) / settings.speed
        mishap = self._behaviour.hash("mishap", message_id, delivery.token)
        is_seen = delivery.visible and unit(chance, 32) < settings.seen
        if is_seen and unit(mishap, 0) < settings.out_of_order:
            arrived = tapped + arrived
        in_browser = delivery.cloud == "webpush"
        if delivery.reports_delivery:
            report = Report("delivered", code, message_id, from_page=in_browser)
            self._later.after(arrived, report)
            if unit(mishap, 16) < settings.repeated:
                self._later.after(2 * arrived, replace(report))
        if is_seen:
            wrong = unit(mishap, 32) < settings.wrong_clock
            ago = (mishap % 10**6) - 5 * 10**5 if wrong else mishap % 3
            kind = "seen"
            if in_browser:
                kind = "opened" if unit(chance, 48) < OPENED else "dismissed"
            self._later.after(tapped, Report(kind, code, message_id, ago, in_browser))
        if unit(mishap, 48) < settings.unknown:
            stranger = str(uuid.uuid5(ID_SPACE, message_id))
            self._later.after(arrived, Report("delivered", code, stranger, from_page=in_browser))
        if unit(self._behaviour.hash("uninstall", message_id), 0) < settings.uninstalled:
            self._registry.uninstall(delivery.cloud, delivery.token)
            self.counts["uninstalled"] += 1

    def _too_quiet(self, delivery: Delivery) -> bool:
        """Apple lets only a few silent pushes an hour through. SIM-49."""
        if delivery.cloud != "apns" or delivery.visible:
            return False
        hour = int(self._clock.now() // 3600)
        last, count = self._silent.get(delivery.token, (hour, 0))
        count = count + 1 if last == hour else 1
        self._silent[delivery.token] = (hour, count)
        return count > SILENT_AN_HOUR

    def _share(self, what: str, token: str) -> float:
        return unit(self._behaviour.hash(what, token), 0)

    def _happen(self, due: list[Report | str]) -> None:
        """Reports are made, and of a token the device comes back."""
        for what in due:
            if isinstance(what, Report):
                self.reporter.add(what)
                continue
            for delivery in self._boxes.pop(what).take(self._clock.now(), self.counts):
                self._arrive(delivery)


def _changed(settings: PhoneSettings, given: Mapping[str, object]) -> PhoneSettings:
    only(given, set(PhoneSettings.__dataclass_fields__) | {"rates"})
    rates = json_object(given.get("rates", {}), "rates")
    only(rates, SHARES | DELAYS | {"speed"}, "rates")
    flat = {**{name: value for name, value in given.items() if name != "rates"}, **rates}
    made: dict[str, object] = {}
    for name, value in flat.items():
        path = f"rates.{name}" if name in rates else name
        if name == "base_url":
            made[name] = "" if value == "" else _base_url(value)
        elif name == "applications":
            told = json_object(value, path)
            made[name] = {one: text(code, f"{path}.{one}") for one, code in told.items()}
        elif name == "connections":
            made[name] = whole(1, 64)(value, path)
        elif name == "speed":
            made[name] = number(0.01, 1e6)(value, path)
        else:
            made[name] = number(0, 1 if name in SHARES else 86_400)(value, path)
    return replace(settings, **made)  # type: ignore[arg-type]


def _base_url(value: object) -> str:
    """Only this machine: the simulator must not be able to reach anybody else."""
    url = text(value, "base_url").rstrip("/")
    parts = urlsplit(url)
    try:
        port = parts.port
        local = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        local, port = False, None
    if parts.scheme != "http" or not local:
        raise BadInput("base_url", "must begin with http:// and name this machine, 127.0.0.1")
    return f"http://{parts.hostname}:{port or 80}{parts.path}"
