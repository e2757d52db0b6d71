"""Devices of bulks → chunks, spread over the time in which they may leave."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from math import ceil
from typing import Any

from django.conf import settings

from campaigns import intake, windows


class Spread:
    """Start times of messages, evenly `pace` a second; at once without one."""

    def __init__(self, pace: float | None) -> None:
        self.pace = pace
        self.size = settings.CHUNK_SIZE if pace is None else min(settings.CHUNK_SIZE, ceil(pace))
        self.taken = 0

    @property
    def step(self) -> timedelta:
        """Between two chunks."""
        return timedelta(seconds=self.size / self.pace) if self.pace else timedelta()

    def chunks(self, devices: Mapping[int, int]) -> Iterator[tuple[list[int], int, timedelta]]:
        """Devices of one platform in chunks: their keys, the platform, how long after the start."""
        by_platform: dict[int, list[int]] = {}
        for key in sorted(devices):
            by_platform.setdefault(devices[key], []).append(key)
        for platform, keys in by_platform.items():
            rest = iter(keys)
            while part := list(islice(rest, self.size)):
                after = timedelta(seconds=self.taken / self.pace) if self.pace else timedelta()
                self.taken += len(part)
                yield part, platform, after


@dataclass(slots=True)
class Batch:
    """A bulk that is being filled: no device twice."""

    pk: int
    devices: dict[int, int] = field(default_factory=dict)  # registration → platform


def chunks(
    batches: Sequence[Batch],
    spread: Spread,
    starts_at: datetime,
    window: Mapping[str, Any],
    ttl: int,
) -> list[dict[str, Any]]:
    """Rows of the chunks of bulks: evenly spread over the time in which they may leave."""
    parts = [
        (batch.pk, keys, platform, after)
        for batch in batches
        for keys, platform, after in spread.chunks(batch.devices)
    ]
    end = starts_at + timedelta(seconds=ttl)
    times = windows.fitted((starts_at + after for *_, after in parts), window, end)
    return [
        intake.chunk_row(pk, keys, platform, opens)
        for (pk, keys, platform, _), opens in zip(parts, times, strict=True)
    ]
