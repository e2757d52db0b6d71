"""What the clouds know about devices beyond their seeded behaviour.

Loaded through the control API or learnt: who owns a token, where it belongs, since when
it is gone. Kept in `devices.jsonl`, an append-only file in which the newest line about a
token wins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from simulator.clock import Clock
from simulator.inputs import BadInput, json_list, json_object, number, only, text

KINDS = ("token", "fid", "harmony")
CLOUDS = ("fcm", "apns", "webpush", "hms")


@dataclass(frozen=True, slots=True)
class Device:
    """One address. Empty text means "whatever is asked for"."""

    cloud: str
    token: str  # of a browser its endpoint
    owner: str = ""  # FCM project id, APNs topic, Huawei app id
    environment: str = ""  # APNs: production or sandbox
    kind: str = ""  # FCM: token or fid; Huawei: token or harmony
    installation: str = ""  # FCM: of one installation only the newest address works
    closed_at: float = 0.0  # Unix time of the uninstalling; 0 is installed


class Registry:
    def __init__(self, home: Path, clock: Clock) -> None:
        self._clock = clock
        self._devices: dict[tuple[str, str], Device] = {}
        self._newest: dict[str, str] = {}  # installation → token
        file = home / "devices.jsonl"
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        data = file.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._descriptor, whole)
        for line in data[:whole].splitlines():
            self._learn(Device(**json.loads(line)))

    def find(self, cloud: str, token: str) -> Device | None:
        return self._devices.get((cloud, token)) if self._devices else None

    def add(self, given: Mapping[str, object]) -> int:
        """All of `{"fcm": [{…}], "apns": [{…}], …}` or none. Raises BadInput."""
        only(given, set(CLOUDS))
        devices = [
            _device(cloud, one, f"{cloud}[{place}]")
            for cloud in CLOUDS
            for place, one in enumerate(json_list(given.get(cloud, []), cloud))
        ]
        for device in devices:
            self._learn(device)
        self._store(devices)
        return len(devices)

    def uninstall(self, cloud: str, token: str) -> None:
        known = self.find(cloud, token) or Device(cloud, token)
        if not known.closed_at:
            gone = Device(**{**asdict(known), "closed_at": self._clock.now()})
            self._learn(gone)
            self._store([gone])

    def clear(self) -> None:
        self._devices.clear()
        self._newest.clear()
        os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        os.close(self._descriptor)

    def _learn(self, device: Device) -> None:
        self._devices[device.cloud, device.token] = device
        if device.installation and not device.closed_at:
            before = self._newest.get(device.installation)
            if before not in (None, device.token):
                old = self._devices[device.cloud, str(before)]
                retired = {**asdict(old), "closed_at": self._clock.now()}
                self._devices[device.cloud, old.token] = Device(**retired)
            self._newest[device.installation] = device.token

    def _store(self, devices: list[Device]) -> None:
        lines = "".join(json.dumps(asdict(device)) + "\n" for device in devices)
        data = memoryview(lines.encode())
        while data:
            data = data[os.write(self._descriptor, data) :]


def _device(cloud: str, given: object, field: str) -> Device:
    data = json_object(given, field)
    only(data, {one.name for one in fields(Device)} - {"cloud"}, field)
    told = {
        name: text(value, f"{field}.{name}") for name, value in data.items() if name != "closed_at"
    }
    if "token" not in told:
        raise BadInput(f"{field}.token", "must be a text that is not empty")
    if told.get("kind", "token") not in KINDS:
        raise BadInput(f"{field}.kind", 'must be "token", "fid" or "harmony"')
    if told.get("environment", "production") not in {"production", "sandbox"}:
        raise BadInput(f"{field}.environment", 'must be "production" or "sandbox"')
    closed_at = number(0, 1e11)(data.get("closed_at", 0.0), f"{field}.closed_at")
    return Device(cloud=cloud, closed_at=closed_at, **told)


class PerMinute:
    """Counts by name in the running minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = 0
        self._counts: dict[object, int] = {}

    def add(self, name: object) -> int:
        """Count one more and return how many that makes in this minute."""
        minute = int(self._clock.now() // 60)
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        count = self._counts.get(name, 0) + 1
        self._counts[name] = count
        return count
