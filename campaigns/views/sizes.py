"""How many a rule reaches, for pages that show it while somebody types."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from celery import Task
from django.db import transaction
from django.http import QueryDict

from campaigns import counting, tasks, waterfall
from campaigns.audience import AudienceSize
from campaigns.targeting import Rule
from campaigns.waterfall import Path, Step, Waterfall
from devices.models import Application

OPEN_AT_ONCE = 6  # groups: each is a count of its own
DEEPEST = 5  # steps that a row is moved in
PLACE = re.compile(r"[0-9]{1,2}(\.[0-9]{1,2}){0,9}")


def size_of(
    application: Application, rule: Rule, *, primary_only: bool = False, exactly: bool = False
) -> AudienceSize:
    """The best answer at once. `exactly`: have an estimate replaced by whoever asks next."""
    size = counting.live(application, rule, primary_only=primary_only)
    if exactly and not size.exact:
        key = counting.key_of(application, rule, primary_only=primary_only)
        given = {"application_pk": application.pk, "rule": rule, "primary_only": primary_only}
        return replace(size, stays=not _have_counted(key, tasks.count_audience, given))
    return size


def _have_counted(key: str, task: "Task[..., None]", given: dict[str, Any]) -> bool:
    """Ask a worker for an exact count that nobody has asked for; False where it takes too long."""
    if counting.may_ask(key):
        count = partial(task.apply_async, kwargs=given, expires=30)
        transaction.on_commit(count, robust=True)
        return True
    return not counting.is_slow(key)


@dataclass(frozen=True, slots=True)
class Row:
    """A clause on the page, or what is said before the clauses inside it."""

    path: Path
    step: Step | None = None
    opened: bool = False
    inside: Waterfall | None = None  # of the clauses that follow; None: they take too long

    @property
    def key(self) -> str:
        return ".".join(map(str, self.path))

    @property
    def depth(self) -> int:
        return min(DEEPEST, len(self.path) - (self.step is not None))


@dataclass(frozen=True, slots=True)
class Clauses:
    """A rule clause by clause, with the groups inside it that somebody opened."""

    whole: Waterfall | None  # None: even an estimate takes too long
    rows: list[Row]
    stays: bool  # to count exactly what is estimated takes too long

    @property
    def exact(self) -> bool:
        return (self.whole is not None and self.whole.exact) and all(
            row.inside is not None and row.inside.exact for row in self.rows if row.step is None
        )


def opened_in(asked: QueryDict) -> list[Path]:
    """Groups that a page has open, after the one that was clicked was opened or closed."""
    keys = dict.fromkeys(asked.getlist("open"))
    if toggled := asked.get("toggle"):
        if toggled in keys:
            del keys[toggled]
        else:
            keys[toggled] = None
    paths = [key for key in keys if PLACE.fullmatch(key)][-OPEN_AT_ONCE:]
    return [tuple(map(int, key.split("."))) for key in paths]


def clauses_of(
    application: Application, rule: Rule, opened: Collection[Path], *, exactly: bool = False
) -> Clauses:
    """A rule clause by clause, likewise."""
    counted: list[bool] = []  # whether what is estimated now is counted

    def ask(path: Path) -> Waterfall | None:
        found = waterfall.live(application, rule, path)
        if exactly and (found is None or not found.exact):
            given = {"application_pk": application.pk, "rule": rule, "path": path}
            key = waterfall.key_of(application, rule, path)
            counted.append(_have_counted(key, tasks.count_clauses, given))
        return found

    def rows(of: Waterfall, path: Path) -> Iterator[Row]:
        for number, step in enumerate(of.steps):
            here = (*path, number)
            is_open = step.parts > 0 and here in opened
            yield Row(here, step, opened=is_open)
            if is_open:
                inside = ask(here)
                yield Row(here, inside=inside)
                if inside is not None:
                    yield from rows(inside, here)

    whole = ask(())
    shown = [] if whole is None else list(rows(whole, ()))
    return Clauses(whole, shown, stays=bool(counted) and not any(counted))
