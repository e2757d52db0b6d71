"""What benchmarks print, keep, and put into docs/benchmarks.md.

A benchmark keeps its rows in var/bench/results/NAME.json; the page of the docs is written
from those files, so that it never says what was not measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

TWICE = "twice, and a tenth for the noise of machines"  # about growth
FOLDER = Path(__file__).resolve().parent.parent / "var/bench/results"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. A goal is a bound of it: at least (`floor`) or at most (`ceiling`)."""

    name: str
    value: float
    unit: str  # "messages/s", "x", "ms", "MB"
    note: str = ""  # beside it: CPU seconds, the baseline
    floor: float | None = None
    ceiling: float | None = None

    @property
    def reached(self) -> bool | None:
        """None without a goal."""
        if self.floor is None and self.ceiling is None:
            return None
        above = self.floor is None or self.value >= self.floor
        return above and (self.ceiling is None or self.value <= self.ceiling)

    @property
    def goal(self) -> str:
        if self.floor is not None:
            return f"≥ {figure(self.floor)}"
        return f"≤ {figure(self.ceiling)}" if self.ceiling is not None else ""

    @property
    def mark(self) -> str:
        return {True: "✓", False: "✗", None: ""}[self.reached]


@dataclass(frozen=True, slots=True)
class Table:
    """What one benchmark found."""

    name: str  # of its module
    title: str
    how: str  # the command that repeats it
    rows: Sequence[Row]


def figure(value: float) -> str:
    """A number as people read it: 65,605 · 1.2 · 0.119."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def report(table: Table) -> None:
    """Print a table and keep it."""
    print(f"\n{table.title}  ({table.how})")
    for row in table.rows:
        value = f"{figure(row.value)} {row.unit}"
        print(f"  {row.name:58}{value:>22}  {row.goal:12}{row.mark:2} {row.note}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **asdict(table),
        "rows": [asdict(row) for row in table.rows],
    }
    (FOLDER / f"{table.name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def kept() -> list[tuple[str, Table]]:
    """The tables of the last runs, each with the time it was taken at."""
    found = []
    for file in sorted(FOLDER.glob("*.json")):
        data = json.loads(file.read_text())
        rows = [Row(**row) for row in data["rows"]]
        table = Table(data["name"], data["title"], data["how"], rows)
        found.append((data["taken_at"], table))
    return found
