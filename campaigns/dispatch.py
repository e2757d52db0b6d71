"""Chunk → provider → outcomes.

A worker holds several chunks at once, each in a lane of its own: while the window of one is
on the wire, the next of another is loaded, rendered and recorded, so that the wire never
waits for the database, nor the database for the wire.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from django.conf import settings

from campaigns import halting, ledger
from campaigns.lanes import Lane, about, settle
from campaigns.models import Bulk
from providers.base import Outcome

PATIENCE = 2.0  # seconds a worker waits for a chunk that may soon go on, before it ends its task
URGENT_LANES = 32  # chunks of API sends at once: most have a single device
LOOK_UP = 1.0  # seconds, how often a wish to end is looked for


def work(*, seconds: float, urgent: bool = False) -> int:
    """Send what is due until nothing is, or the time is over; devices dealt with.

    Whatever goes wrong with one chunk is raised once the answers of all others are written.
    """
    lanes = _Lanes(urgent=urgent, until=time.monotonic() + seconds)
    while lanes.turn():
        pass
    for lane in lanes.all:
        lane.let_go()
    if lanes.trouble is not None:
        raise lanes.trouble
    return lanes.count


class _Lanes:
    """Everything one process has on the wire."""

    def __init__(self, *, urgent: bool, until: float) -> None:
        self.all = [Lane() for _ in range(URGENT_LANES if urgent else settings.WINDOWS_IN_FLIGHT)]
        self.count = 0  # devices dealt with
        self.trouble: Exception | None = None  # the first
        self._urgent = urgent
        self._until = until  # monotonic
        self._extend_at = time.monotonic() + settings.LEASE_SECONDS / 4

    def turn(self) -> bool:
        """Fill what is free, wait for an answer, record it. False when nothing is left to do."""
        over = self._is_over()
        for lane in self.all:
            if lane.future is None:
                self._guard(lane, Lane.let_go if over else self._fill)
        flying = {lane.future: lane for lane in self.all if lane.future is not None}
        idle = None if self._is_over() else _idle(self.all, self._until)
        if not flying and idle is None:
            return not self._is_over() and any(lane.again for lane in self.all)
        for future in _wait_for(flying, idle):
            self._guard(flying[future], self._land)
        self._extend(flying.values())
        return True

    def _is_over(self) -> bool:
        late = time.monotonic() >= self._until
        return late or self.trouble is not None or halting.is_asked()

    def _fill(self, lane: Lane) -> None:
        """More on the wire, but no more than a kill may leave in doubt."""
        most = settings.WINDOWS_IN_FLIGHT * settings.WINDOW_SIZE
        if lane.window is not None or sum(each.in_flight for each in self.all) < most:
            lane.fill(urgent=self._urgent)
        else:
            lane.soon = 0.0  # an answer makes room, and then every lane looks for work

    def _land(self, lane: Lane) -> None:
        with about(lane.chunk):
            self.count += lane.land()

    def _guard(self, lane: Lane, do: Callable[[Lane], None]) -> None:
        try:
            do(lane)
        except Exception as error:  # noqa: BLE001 - raised by `work`
            self.trouble = self.trouble or error
            lane.abandon()

    def _extend(self, flying: Iterable[Lane]) -> None:
        """Say that we are alive, also while other lanes get their answers."""
        if time.monotonic() >= self._extend_at:
            self._extend_at = time.monotonic() + settings.LEASE_SECONDS / 4
            ledger.extend_leases(lane.chunk for lane in flying if lane.chunk is not None)


def _idle(lanes: Sequence[Lane], until: float) -> float | None:
    """Seconds until a lane has something to do that is not on the wire; None without any.

    What became due while other lanes were filled is to be done at once.
    """
    now = time.monotonic()
    if now >= until:
        return None
    moments = [
        lane.window.leaves_at if lane.window is not None else lane.soon
        for lane in lanes
        if lane.future is None and (lane.window is not None or lane.soon)
    ]
    soon = [moment for moment in moments if moment < min(until, now + PATIENCE)]
    return max(0.0, min(soon) - now) if soon else None


def _wait_for(
    flying: dict[Future[list[list[Outcome]]], Lane], idle: float | None
) -> set[Future[list[list[Outcome]]]]:
    """The windows that came back; none when the time for something else has come first."""
    limit = min(LOOK_UP, settings.LEASE_SECONDS / 4, LOOK_UP if idle is None else idle)
    if flying:
        return wait(flying, timeout=limit, return_when=FIRST_COMPLETED).done
    time.sleep(limit)
    return set()


def settle_abandoned() -> int:
    """Settle the windows of workers that died, whatever state their bulk is in."""
    count = 0
    while (chunk := ledger.claim_abandoned()) is not None:
        bulk = Bulk.objects.select_related("flow").get(pk=chunk.bulk_id)
        with about(chunk):
            settle(bulk, chunk)
        if chunk.cursor >= chunk.size:
            ledger.finish(bulk.pk)
        else:
            ledger.release(chunk)
        count += 1
    return count
