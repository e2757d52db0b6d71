"""What a connection asks of its pool, and tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from providers.http2.window import Window

if TYPE_CHECKING:
    from providers.http2.connection import Connection


class Supply(Protocol):
    """Where a connection gets work and reports to: its pool."""

    def next_window(self) -> Window | None:
        """The one to take requests from; None when nothing waits."""
        ...

    def pump(self) -> None:
        """Give work to whoever has room."""
        ...

    def not_processed(self, window: Window, index: int, reason: str) -> None: ...

    def going(self, connection: Connection) -> None:
        """The connection takes no new streams from now on."""
        ...

    def works(self) -> None:
        """A connection gave its first answer."""
        ...

    def gone(self, connection: Connection) -> None: ...
