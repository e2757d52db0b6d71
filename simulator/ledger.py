"""What the clouds accepted and refused, written down before the answer leaves.

Two append-only files in the home folder, one JSON object a line: `ledger.jsonl` for
notifications that were accepted, `refused.jsonl` for requests that were not. Lines are
numbered from 1 in each file. Memory holds counts and message ids, pages are read from
the files. A line that a killed process left half written is dropped at the next start:
its answer never left.

Source: contract/providers.md SIM-5; DESIGN.md 3.
"""

from __future__ import annotations

import json
import os
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path

from simulator.clock import Clock

EVERY = 500  # lines from one remembered offset to the next
PAGE = 10_000  # rows, the most of one answer


class Log:
    """Numbered lines in one file."""

    def __init__(self, file: Path) -> None:
        self.count = 0
        self._file = file
        self._offsets = array("q", [0])  # of lines 1, 1 + EVERY, 1 + 2 * EVERY …
        self._ready: list[bytes] = []
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = 0  # bytes, with the lines that are ready to be written

    def lines(self) -> list[bytes]:
        """Every whole line, once, at the start; cuts off a torn last one."""
        with self._file.open("rb") as stored:
            data = stored.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._descriptor, whole)
        lines = data[:whole].splitlines(keepends=True)
        for line in lines:
            self._counted(len(line))
        return lines

    def append(self, line: bytes) -> None:
        self._ready.append(line)
        self._counted(len(line))

    def _counted(self, size: int) -> None:
        self._size += size
        self.count += 1
        if self.count % EVERY == 0:
            self._offsets.append(self._size)

    def flush(self) -> None:
        if self._ready:
            data = memoryview(b"".join(self._ready))
            self._ready.clear()
            while data:
                data = data[os.write(self._descriptor, data) :]

    def page(self, after: int, limit: int) -> bytes:
        """Rows after that number: JSON of "messages", "next" to ask after, and "total"."""
        self.flush()
        after = min(after, self.count)
        with self._file.open("rb") as stored:
            stored.seek(self._offsets[after // EVERY])
            for _ in range(after % EVERY):
                stored.readline()
            rows = [stored.readline() for _ in range(min(limit, self.count - after))]
        listed = b",".join(row.rstrip(b"\n") for row in rows)
        return b'{"messages":[%b],"next":%d,"total":%d}' % (listed, after + len(rows), self.count)

    def clear(self) -> None:
        self._ready.clear()
        os.ftruncate(self._descriptor, 0)
        self.count = self._size = 0
        self._offsets = array("q", [0])

    def close(self) -> None:
        self.flush()
        os.close(self._descriptor)


@dataclass(slots=True)
class Account:
    """The figures of one cloud."""

    accepted: int = 0
    refused: int = 0
    message_ids: set[bytes | str] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)


class Ledger:
    def __init__(self, home: Path, clock: Clock, clouds: tuple[str, ...]) -> None:
        self._clock = clock
        self._clouds = clouds
        self.accounts = {name: Account() for name in clouds}
        self._accepted = Log(home / "ledger.jsonl")
        self._refused = Log(home / "refused.jsonl")
        for line in self._accepted.lines():
            row = json.loads(line)
            account = self.accounts[row["provider"]]
            account.accepted += 1
            if row["message_id"]:
                account.message_ids.add(compact(row["message_id"]))
        for line in self._refused.lines():
            row = json.loads(line)
            self._count_refusal(row["provider"], row["reason"])

    @property
    def accepted_count(self) -> int:
        return self._accepted.count

    def accept(
        self,
        provider: str,
        *,
        application: str,
        token: str,
        message_id: str,
        provider_id: str,
        wire: tuple[int, int],
        answer: str,
        more: Mapping[str, object] | None = None,
    ) -> None:
        """One notification is taken. `wire` is connection and stream; `answer` is what the
        client will see of it, "answered" or the way in which it is lost; `more` is what else
        the row shows."""
        account = self.accounts[provider]
        account.accepted += 1
        if message_id:
            account.message_ids.add(compact(message_id))
        self._accepted.append(
            f'{{"id":{self._accepted.count + 1},"at":{self._clock.now():.3f},'
            f'"provider":"{provider}","verdict":"accepted","message_id":{quoted(message_id)},'
            f'"token":{quoted(token)},"provider_id":{quoted(provider_id)},'
            f'"application":{quoted(application)},"answer":"{answer}",'
            f'"connection":{wire[0]},"stream":{wire[1]}{_rest(more)}}}\n'.encode()
        )

    def refuse(
        self,
        provider: str,
        *,
        token: str,
        message_id: str,
        status: int,
        reason: str,
        wire: tuple[int, int],
    ) -> None:
        self._count_refusal(provider, reason)
        self._refused.append(
            f'{{"id":{self._refused.count + 1},"at":{self._clock.now():.3f},'
            f'"provider":"{provider}","verdict":"refused","status":{status},'
            f'"reason":{quoted(reason)},"message_id":{quoted(message_id)},'
            f'"token":{quoted(token)},'
            f'"connection":{wire[0]},"stream":{wire[1]}}}\n'.encode()
        )

    def _count_refusal(self, provider: str, reason: str) -> None:
        account = self.accounts[provider]
        account.refused += 1
        account.reasons[reason] += 1

    def figures(self) -> dict[str, dict[str, int]]:
        """Per cloud: accepted, distinct message ids among them, refused."""
        return {
            name: {
                "accepted": account.accepted,
                "distinct": len(account.message_ids),
                "refused": account.refused,
            }
            for name, account in self.accounts.items()
        }

    def messages(self, after: int, limit: int) -> bytes:
        return self._accepted.page(after, limit)

    def refusals(self, after: int, limit: int) -> bytes:
        return self._refused.page(after, limit)

    def flush(self) -> None:
        self._accepted.flush()
        self._refused.flush()

    def clear(self) -> None:
        self._accepted.clear()
        self._refused.clear()
        self.accounts = {name: Account() for name in self._clouds}

    def close(self) -> None:
        self._accepted.close()
        self._refused.close()


def _rest(more: Mapping[str, object] | None) -> str:
    return f",{json.dumps(more, separators=(',', ':'))[1:-1]}" if more else ""


def compact(message_id: str) -> bytes | str:
    """A canonical UUID as its 16 bytes, which take half the room; anything else as it is."""
    if len(message_id) == 36 and message_id.count("-") == 4 and message_id.islower():
        try:
            return bytes.fromhex(message_id.replace("-", ""))
        except ValueError:
            return message_id
    return message_id
