"""What became of requests that were sent together."""

from __future__ import annotations

from collections.abc import Sequence

from providers.http2 import Answer, NoAnswer, NotSent, Result


def only(results: list[Result], kind: type) -> bool:
    return all(type(result) is kind for result in results)


def reasons(results: list[Result]) -> set[str]:
    return {r.reason for r in results if isinstance(r, NotSent | NoAnswer)}


def statuses(results: Sequence[Result]) -> set[int]:
    assert all(isinstance(result, Answer) for result in results), results
    return {result.status for result in results if isinstance(result, Answer)}
