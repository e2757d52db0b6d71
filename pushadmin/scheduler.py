"""Celery beat, of which one at a time works: it holds a lock in the database."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from celery.beat import Scheduler
from django.db import DatabaseError, connection

log = structlog.get_logger(__name__)
LOCK = 0x70757368  # "push": one scheduler per installation
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
RETRY = 5.0  # seconds until a waiting scheduler asks again


class LockedScheduler(Scheduler):
    """Starts what is due while it holds the lock; else waits for whoever holds it to end.

    PostgreSQL frees an advisory lock with its session, so it cannot outlive a killed
    process. Between losing it unnoticed and the next tick another scheduler may start the
    same task: everything in the timetable may be started twice.
    """

    holds_lock = False

    def setup_schedule(self) -> None:
        """All of it is due at once: nobody knows what was missed while nobody was here."""
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at = LONG_AGO
        if path := os.environ.get("READY_FILE"):
            Path(path).touch()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if not self._keeps_lock():
            return RETRY
        return float(super().tick(*args, **kwargs))

    def close(self) -> None:
        super().close()
        connection.close()

    def _keeps_lock(self) -> bool:
        """Whether the lock is ours; asking through its own session shows that this lives."""
        try:
            with connection.cursor() as cursor:
                question = "SELECT 1" if self.holds_lock else "SELECT pg_try_advisory_lock(%s)"
                cursor.execute(question, None if self.holds_lock else [LOCK])
                row = cursor.fetchone()
        except DatabaseError:
            log.warning("the scheduler lost the database, and its lock")
            connection.close()
            self.holds_lock = False
            return False
        if not self.holds_lock and row is not None and row[0]:
            self.holds_lock = True
            log.info("the scheduler holds the lock")
        return self.holds_lock
