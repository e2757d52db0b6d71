"""What the clouds took: a file that is only appended to, and an index of it in memory.

A line is written before its answer leaves, so that nothing a client was told is missing
after a kill (contract/providers.md SIM-5).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any


class Ledger:
    """Accepted notifications in order, refusals by reason."""

    def __init__(self, file: Path) -> None:
        self.rows: list[dict[str, Any]] = []
        self.refused: dict[str, Counter[str]] = {}
        self._ids: dict[str, set[str]] = {}
        self._accepted: Counter[str] = Counter()
        self._waiting: list[bytes] = []
        self._replay(file)
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _replay(self, file: Path) -> None:
        if not file.exists():
            return
        content = file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):  # killed while writing: that answer never left
            os.truncate(file, len(whole))
        for line in whole.splitlines():
            self._count(json.loads(line))

    def _count(self, row: dict[str, Any]) -> None:
        cloud = row["cloud"]
        if "refused" in row:
            self.refused.setdefault(cloud, Counter())[row["refused"]] += 1
            return
        self.rows.append(row)
        self._accepted[cloud] += 1
        self._ids.setdefault(cloud, set()).add(row["message_id"])

    def write(self, row: dict[str, Any]) -> None:
        """Keep a row; it is in the file after the next commit."""
        self._count(row)
        self._waiting.append(json.dumps(row, separators=(",", ":")).encode() + b"\n")

    def commit(self) -> None:
        if self._waiting:
            waiting, self._waiting = b"".join(self._waiting), []
            os.write(self._file, waiting)

    def accepted(
        self, cloud: str, message_id: str, address: str, now: float, **more: str | int
    ) -> None:
        row = {"cloud": cloud, "message_id": message_id, "address": address, "at": round(now, 3)}
        self.write({**row, **more})

    def refuse(self, cloud: str, reason: str) -> None:
        self.write({"cloud": cloud, "refused": reason})

    def summary(self) -> dict[str, dict[str, Any]]:
        """Per cloud: accepted, distinct message ids, refused, and the refusals by reason."""
        clouds = {"fcm", "apns", *self._accepted, *self.refused}
        return {
            cloud: {
                "accepted": self._accepted[cloud],
                "distinct": len(self._ids.get(cloud, ())),
                "refused": sum(self.refused.get(cloud, Counter()).values()),
                "reasons": dict(self.refused.get(cloud, Counter())),
            }
            for cloud in sorted(clouds)
        }

    def page(self, after: int, limit: int) -> dict[str, Any]:
        """Accepted notifications number `after` + 1 and on."""
        rows = self.rows[after : after + limit]
        return {"messages": rows, "next": after + len(rows), "total": len(self.rows)}

    def reset(self) -> None:
        self.commit()
        os.ftruncate(self._file, 0)
        self.rows.clear()
        self.refused.clear()
        self._ids.clear()
        self._accepted.clear()
