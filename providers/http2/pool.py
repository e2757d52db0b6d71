"""The connections of one credential, and the windows of requests they work through."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections import deque
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from providers.base import Network
from providers.http2 import churn
from providers.http2.connection import Connection
from providers.http2.messages import Limits, NotSent, Request, Result
from providers.http2.window import Window

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0  # seconds between two connect attempts
START_WITHIN = 10.0  # seconds a request may wait for a stream

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = (
    WeakKeyDictionary()  # host → whose turn it is to connect (H2-13)
)


class Pool:
    """Connections to one host. Used from one event loop; made anywhere.

    Opens a connection when requests wait and all streams are busy, replaces one that
    goes away, and waits longer and longer between attempts that fail.
    """

    def __init__(
        self, network: Network, host: str, port: int = 443, *, limits: Limits | None = None
    ) -> None:
        self.queue: deque[Window] = deque()
        self.opened = 0  # connections so far
        self._network = network
        self._host = host
        self._port = port
        self._limits = limits or Limits()
        self._connections: list[Connection] = []  # that take requests
        self._leaving: set[Connection] = set()  # that finish what they have
        self._connecting: asyncio.Task[None] | None = None
        self._attempt_at = 0.0  # loop time of the next connect attempt
        self._failures = 0  # in a row
        self._trouble = ""  # why the last connection failed
        self._pump_planned = False
        self._closed = False
        self._emptied: asyncio.Event | None = None
        self._churn = churn.watch(host, self)

    async def send_many(
        self, requests: Sequence[Request], *, start_within: float = START_WITHIN
    ) -> list[Result]:
        """One result per request, in order.

        What no stream was free for within `start_within` seconds is NotSent; so it ends
        after that and the limit for an answer at the latest. A request the server
        provably did not process is repeated within that time. When cancelled, requests
        that left already are on their own.
        """
        if not requests:
            return []
        loop = asyncio.get_running_loop()
        window = Window(requests, loop.time() + start_within, loop.create_future())
        timer = loop.call_later(start_within, self._start_is_over, window)
        self.queue.append(window)
        self._plan_pump(loop)
        try:
            await window.finished
        finally:
            timer.cancel()
            window.waiting.clear()
        return [result for result in window.results if result is not None]

    def renew(self) -> None:
        """Use fresh connections from now on; the old ones finish what they have."""
        for connection in list(self._connections):
            connection.drain()

    async def close(self) -> None:
        """Let what is on the wire finish, for the drain limit at most; refuse the rest."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        self._refuse_waiting(NotSent("the pool is closed"))
        self._emptied = asyncio.Event()
        self.renew()
        if self._leaving:
            try:
                async with asyncio.timeout(self._limits.drain):
                    await self._emptied.wait()
            except TimeoutError:
                for connection in list(self._leaving):
                    connection.close()

    def sizes(self) -> tuple[int, int]:
        """Connections, and requests on them that wait for their answer."""
        connections = [*tuple(self._connections), *tuple(self._leaving)]
        return len(connections), sum(connection.in_flight for connection in connections)

    # What connections ask and tell

    def next_window(self) -> Window | None:
        queue = self.queue
        while queue:
            if queue[0].waiting:
                return queue[0]
            queue.popleft()
        return None

    def pump(self) -> None:
        """Give work to whoever has room, and open a connection when nobody has."""
        self._pump_planned = False
        for connection in tuple(self._connections):
            connection.pump()
        self._grow()

    def not_processed(self, window: Window, index: int, reason: str) -> None:
        """Repeat it, if time and patience are left."""
        repeats = window.repeats.get(index, 0)
        late = asyncio.get_running_loop().time() >= window.start_by
        if late or self._closed or repeats >= self._limits.repeats or window.finished.done():
            window.settle(index, NotSent(reason))
            return
        window.repeats[index] = repeats + 1
        if not window.waiting and window not in self.queue:
            self.queue.appendleft(window)
        window.waiting.append(index)

    def going(self, connection: Connection) -> None:
        self._connections.remove(connection)
        self._leaving.add(connection)
        self._churn.goaways += connection.sent_away
        self._grow()

    def works(self) -> None:
        self._failures = 0
        self._trouble = ""

    def gone(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        elif connection in self._leaving:
            self._leaving.remove(connection)
        else:  # it never got here: whoever tried to connect knows
            return
        self._churn.lost += connection.lost
        if connection.useless:
            self._failed(connection.ended)
        if self._emptied is not None and not self._leaving:
            self._emptied.set()
        self._plan_pump(asyncio.get_running_loop())

    # Waiting windows

    def _plan_pump(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once per turn of the loop, so that all windows of a turn leave together."""
        if not self._pump_planned:
            self._pump_planned = True
            loop.call_soon(self.pump)

    def _start_is_over(self, window: Window) -> None:
        window.give_up(NotSent(self._trouble or "no stream became free in time"))

    def _refuse_waiting(self, result: NotSent) -> None:
        while (window := self.next_window()) is not None:
            window.give_up(result)

    # Connections

    def _grow(self) -> None:
        if self._connecting is not None:
            return
        if self._closed:
            self._refuse_waiting(NotSent("the pool is closed"))
            return
        if not self._wants_connection():
            return
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def _wants_connection(self) -> bool:
        if not self._connections:
            replaces = any(connection.in_flight for connection in self._leaving)
            return replaces or self.next_window() is not None
        if len(self._connections) >= self._limits.connections:
            return False
        busy = all(connection.full for connection in self._connections)
        return busy and self.next_window() is not None

    async def _connect(self) -> None:
        """Try until somebody takes requests or nobody waits any longer."""
        loop = asyncio.get_running_loop()
        try:
            while self._wants_connection():
                pause = self._attempt_at - loop.time()
                if pause > 0:
                    self._refuse_hopeless(loop)
                    await asyncio.sleep(min(pause, 1))
                    continue
                async with _turns.setdefault(loop, {}).setdefault(self._host, asyncio.Lock()):
                    await self._attempt(loop)
        finally:
            self._connecting = None
            if not self._closed:
                self._plan_pump(loop)

    async def _attempt(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            connection = await self._open(loop)
        except (OSError, TimeoutError, ssl.CertificateError) as error:
            self._failed(f"cannot connect: {_explain(error)}")
        except Exception as error:  # a fault of ours must not try again without a pause either
            log.exception("%s: connecting failed", self._host)
            self._failed(f"cannot connect: {type(error).__name__}")
        else:
            self.opened += 1
            self._churn.opened += 1
            self._connections.append(connection)
            self.pump()

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Connection:
        address, port = self._network.address(self._host, self._port)
        connection = Connection(self, self._limits)
        async with asyncio.timeout(self._limits.connect):
            await loop.create_connection(
                lambda: connection,
                address,
                port,
                ssl=self._network.tls_http2,
                server_hostname=self._host,
                ssl_handshake_timeout=self._limits.connect,
                ssl_shutdown_timeout=1,
            )
        if connection.ended:
            raise ConnectionError(connection.ended)
        return connection

    def _failed(self, trouble: str) -> None:
        """Wait before the next attempt: 1, 2, 4 … 60 seconds, less up to a half."""
        if self._trouble != trouble:
            log.warning("%s: %s", self._host, trouble)
        self._trouble = trouble
        pause = min(LONGEST_PAUSE, self._limits.backoff * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._attempt_at = asyncio.get_running_loop().time() + pause * random.uniform(0.5, 1)  # noqa: S311

    def _refuse_hopeless(self, loop: asyncio.AbstractEventLoop) -> None:
        """Windows whose time ends before the next attempt need not wait for it."""
        if self._connections:
            return
        result = NotSent(self._trouble, retry_after=self._attempt_at - loop.time())
        for window in tuple(self.queue):
            if window.start_by <= self._attempt_at:
                window.give_up(result)


def _explain(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return str(error) or "the connection broke in the handshake"
