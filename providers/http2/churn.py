"""How connections come and go in this process, by host: for whoever watches it."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakSet


class Sized(Protocol):
    """A pool, as far as it is counted."""

    def sizes(self) -> tuple[int, int]:
        """Connections, and requests on them that wait for their answer."""
        ...


class Churn:
    """What happened to the connections to one host since the process began."""

    def __init__(self) -> None:
        self.opened = 0
        self.goaways = 0  # the server asked us to leave
        self.lost = 0  # ended by neither GOAWAY nor us
        self.pools: WeakSet[Sized] = WeakSet()


@dataclass(frozen=True, slots=True)
class Seen:
    """The churn of one host at one moment."""

    opened: int
    goaways: int
    lost: int
    connections: int
    in_flight: int  # requests that wait for their answer


_lock = threading.Lock()
_hosts: dict[str, Churn] = {}


def watch(host: str, pool: Sized) -> Churn:
    """Where a pool counts; its sizes are asked for as long as it lives."""
    with _lock:
        churn = _hosts.setdefault(host, Churn())
        churn.pools.add(pool)
    return churn


def seen() -> dict[str, Seen]:
    """By host; callable from any thread."""
    with _lock:
        known = {host: (churn, list(churn.pools)) for host, churn in _hosts.items()}
    found = {}
    for host, (churn, pools) in known.items():
        sizes = [pool.sizes() for pool in pools]
        found[host] = Seen(
            opened=churn.opened,
            goaways=churn.goaways,
            lost=churn.lost,
            connections=sum(connections for connections, _ in sizes),
            in_flight=sum(in_flight for _, in_flight in sizes),
        )
    return found


def _forget() -> None:
    """In a child: its parent's connections are not here, and the lock may have been held."""
    global _lock
    _lock = threading.Lock()
    _hosts.clear()


os.register_at_fork(after_in_child=_forget)
