"""Write docs/benchmarks.md from the last runs: `python3 manage.py bench docs`."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from benchmarks.results import figure, kept
from embedded.benching import machine

PAGE = Path(__file__).resolve().parent.parent / "docs/benchmarks.md"
HEAD = """# Benchmarks

What `python3 manage.py bench` measured last, on a machine with {machine}. Every peer really
ran in the same run, in turns with ours, against the same server on the same machine; each
figure is the median of its rounds. Clocks and neighbours change: read ratios before rates.

Repeat all of it with `python3 manage.py bench`, one table with the command beside it. It needs
nothing that the tests do not need; nginx and h2load are fetched if they are not there.
"""


def text() -> str:
    parts = [HEAD.format(machine=_machine())]
    for taken_at, table in kept():
        parts.append(f"\n## {table.title}\n\n`{table.how}`, {taken_at[:10]}\n\n")
        parts.append("| what | measured | goal | | |\n| --- | ---: | ---: | --- | --- |\n")
        for row in table.rows:
            value = f"{figure(row.value)} {row.unit}"
            parts.append(f"| {row.name} | {value} | {row.goal} | {row.mark} | {row.note} |\n")
    return "".join(parts)


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}"
    return f"{machine().removeprefix('on ')}, {memory:.0f} GB, {system}"


def main() -> None:
    PAGE.write_text(text())
    print(f"written: {PAGE.name}")


if __name__ == "__main__":
    main()
