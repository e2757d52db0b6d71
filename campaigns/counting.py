"""How many a rule reaches: an answer while somebody types, and the exact one soon after.

Large applications are asked by their sample. Where it holds too few devices to say, the
audience is small and indexes may count it in time. Which of these it is, is said.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import sqrt
from typing import TypeVar

import redis
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Func, QuerySet
from django.utils import timezone
from psycopg.errors import QueryCanceled

from campaigns import audience, excluding
from campaigns.audience import AudienceSize
from campaigns.excluding import Exclusions, Gate
from campaigns.models import Reason, Sample, SampledRegistration
from campaigns.sampling import DRAWS, KEEP, PROBED, drawn
from campaigns.store import store
from campaigns.targeting import Compiled, Rule, compiled
from devices.models import Application, Platform, Registration

Hits = TypeVar("Hits")

ENOUGH = 400  # hits in a sample: an error of at most 10 %
CONFIDENCE = 1.96  # standard deviations: 95 %
PATIENCE = 75  # milliseconds for an answer while somebody types
LEAST_PATIENCE = 15  # milliseconds for indexes, where the sample said too little
FIRST = 20  # of a hundred sampled devices: asked first, and alone where they took their time
PATIENCE_UNSAMPLED = 2000  # of an application too small for a sample, or too new
GENEROUS = 1.2  # times what the database knows: its figure may be some hours old
PATIENCE_EXACTLY = 20_000  # milliseconds for an exact count; then the estimate stays
EXACT_KEPT = 60  # seconds that an exact count stands for now
ASKED_KEPT = 30  # seconds until a count that nobody answered is asked for again
SLOW_KEPT = 600  # seconds until one that took too long is tried again
LOCK = 0x636F756E  # of advisory locks: "coun"


def sample_of(application: Application) -> Sample | None:
    """The sample that stands for an application now; None of a small one, or a new one."""
    fresh = timezone.now() - 4 * KEEP
    samples = Sample.objects.filter(application=application, sampled__gt=0, built_at__gte=fresh)
    return samples.first()


def live(application: Application, rule: Rule, *, primary_only: bool = False) -> AudienceSize:
    """The best answer that can be had at once. Raises RuleError like to_q."""
    began = time.monotonic()
    exclusions = excluding.of(application.pk)
    known = kept(application, rule, primary_only=primary_only, exclusions=exclusions)
    if known is not None:
        return known
    sample = sample_of(application)
    if sample is None:
        exact = _in_time(application, rule, primary_only, PATIENCE_UNSAMPLED)
        return exact or AudienceSize(0, {}, {}, at_most=_no_more_than(application))

    def left() -> int:
        return max(LEAST_PATIENCE, PATIENCE - round((time.monotonic() - began) * 1000))

    question = compiled(rule, application, sample=True)
    gates = excluding.gates(application, sample=True, exclusions=exclusions)
    estimate = _estimate(sample, question, gates, left(), primary_only=primary_only)
    if estimate is not None and estimate.at_most is None:
        return estimate
    exact = _in_time(application, rule, primary_only, left())
    return exact or estimate or AudienceSize(0, {}, {}, at_most=sample.devices)


def _in_time(
    application: Application, rule: Rule, primary_only: bool, milliseconds: int
) -> AudienceSize | None:
    with suppress(OperationalError), patience(milliseconds):
        return audience.size(application, rule, primary_only=primary_only)
    return None


def _no_more_than(application: Application) -> int:
    """How many devices an application has; with too many to be counted now, how many there are
    in all, as the database knows without looking.
    """
    with suppress(OperationalError), patience(PATIENCE):
        return application.registrations.count()
    with connection.cursor() as cursor:
        table = Registration._meta.db_table
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [table])
        known: float = cursor.fetchone()[0]  # -1: nothing yet
    return round(max(0.0, known) * GENEROUS)


def _estimate(
    sample: Sample,
    question: Compiled,
    gates: Sequence[Gate],
    milliseconds: int,
    *,
    primary_only: bool,
) -> AudienceSize | None:
    """By the sample; `at_most` with too few hits, None when even that took too long."""
    found = by_parts(
        sample,
        SampledRegistration.objects.filter(question.condition, application=sample.application_id),
        lambda rows: audience.count(rows, gates, primary_only=primary_only),
        _sum,
        probes=question.probes or any(gate.probes for gate in gates),
        milliseconds=milliseconds,
    )
    return None if found is None else scaled(found[0], sample.devices, found[1])


def by_parts(
    sample: Sample,
    rows: QuerySet[SampledRegistration],
    count: Callable[[QuerySet[SampledRegistration]], Hits],
    add: Callable[[Hits, Hits], Hits],
    *,
    probes: bool,
    milliseconds: int,
) -> tuple[Hits, int] | None:
    """Count rows of a sample: what was found, and of how many sampled devices; None, too slow.

    A part of it answers first. The rest is asked, too, if that can be expected in time: so a
    rule that is slow to test, or a database that is busy, costs exactness and not patience.
    """
    first = PROBED if probes else FIRST
    hits: Hits | None = None
    with suppress(OperationalError), patience(milliseconds):
        began = time.monotonic()
        hits = count(rows.filter(draw__lt=first))
        took = (time.monotonic() - began) * 1000
        left = milliseconds - took
        if not probes and took * (DRAWS - FIRST) / FIRST <= left:
            _give_up_after(str(max(1, round(left))))
            return add(hits, count(rows.filter(draw__gte=FIRST))), sample.sampled
    return None if hits is None else (hits, drawn(sample.sampled, first))


def _sum(one: AudienceSize, other: AudienceSize) -> AudienceSize:
    platforms = Counter(one.by_platform) + Counter(other.by_platform)
    reasons = Counter(one.left_out) + Counter(other.left_out)
    return AudienceSize(one.total + other.total, dict(platforms), dict(reasons))


def scaled(hits: AudienceSize, devices: int, asked: int) -> AudienceSize:
    scale = devices / max(1, asked)

    def of(number: float) -> int:
        return round(number * scale)

    few = hits.total < ENOUGH
    error = CONFIDENCE * sqrt(hits.total)
    return AudienceSize(
        of(hits.total),
        {platform: of(number) for platform, number in hits.by_platform.items()},
        {reason: of(number) for reason, number in hits.left_out.items()},
        error=0 if few else max(1, of(error)),
        # of no hit at all, more than four expected ones are as unlikely
        at_most=of(hits.total + error + 4) if few else None,
    )


def by_language(
    application: Application, rule: Rule, *, primary_only: bool
) -> dict[str, int] | None:
    """Devices a rule reaches by the language they report, by the sample where there is one.

    None when it took too long.
    """
    sample = Sample.objects.filter(application=application, sampled__gt=0).first()
    scale, rows = 1.0, audience.of(application, rule, primary_only=primary_only)
    if sample is not None:
        question = compiled(rule, application, sample=True)
        rows = audience.reached(
            SampledRegistration.objects.filter(question.condition, application=application),
            excluding.gates(application, sample=True),
            primary_only=primary_only,
        )
        scale = sample.devices / max(1, sample.sampled)
        if question.probes or any(gate.probes for gate in excluding.gates(application)):
            rows = rows.filter(draw__lt=PROBED)
            scale = sample.devices / max(1, sample.probed)
    with suppress(OperationalError), patience(PATIENCE if sample else PATIENCE_UNSAMPLED):
        counted = rows.values_list("language").annotate(devices=Count("pk")).order_by("language")
        return {language: round(devices * scale) for language, devices in counted}
    return None


@contextmanager
def patience(milliseconds: int) -> Iterator[None]:
    """Let Postgres give up after a while: OperationalError."""
    inside = connection.in_atomic_block
    with transaction.atomic():
        before = _timeout() if inside else ""
        _give_up_after(str(max(1, milliseconds)))
        yield
        if inside:  # a transaction around this one goes on with its own
            _give_up_after(before)


def _timeout() -> str:
    """As PostgreSQL writes it: `2s`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        timeout: str = cursor.fetchone()[0]
    return timeout


def _give_up_after(timeout: str) -> None:
    """Milliseconds, where no unit is said; in this transaction alone.

    Nothing is compiled, either: that would take longer than the statement may run.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('jit', 'off', true)",
            [timeout],
        )


def some(application: Application, rule: Rule, *, most: int) -> list[int]:
    """Some devices that a rule reaches. Raises RuleError, and OperationalError inside `patience`.

    By the sample where there is one: a scan for rare members takes long.
    """
    if Sample.objects.filter(application=application, sampled__gt=0).exists():
        condition = compiled(rule, application, sample=True).condition
        sampled = audience.reached(
            SampledRegistration.objects.filter(condition, application=application),
            excluding.gates(application, sample=True),
            primary_only=False,
        )
        found = list(sampled.values_list("id", flat=True)[:most])
        return found or list(audience.of(application, rule).values_list("pk", flat=True)[:most])
    # Of every kind, and the same again while nothing changes: an index gives them platform by
    # platform.
    mixed = audience.of(application, rule).order_by(Func("pk", function="hashint8"))
    return list(mixed.values_list("pk", flat=True)[:most])


# ------------------------------------------------------------ the exact count, a little later


def key_of(
    application: Application,
    rule: Rule,
    *,
    primary_only: bool,
    exclusions: Exclusions | None = None,
) -> str:
    """Where the store keeps what was counted of a rule."""
    excluded = list((excluding.of(application.pk) if exclusions is None else exclusions).rules)
    written = json.dumps([rule, primary_only, excluded], sort_keys=True).encode()
    return f"audience:{application.pk}:{hashlib.sha256(written).hexdigest()}"


def kept(
    application: Application,
    rule: Rule,
    *,
    primary_only: bool,
    exclusions: Exclusions | None = None,
) -> AudienceSize | None:
    """An exact count that was made a moment ago. `exclusions`: those of now, if they are known."""
    key = key_of(application, rule, primary_only=primary_only, exclusions=exclusions)
    with suppress(redis.RedisError):
        found = store().get(key)
        if found:
            platforms, reasons = json.loads(found)
            by_platform = {Platform(int(key)): number for key, number in platforms.items()}
            left_out = {Reason(int(key)): number for key, number in reasons.items()}
            return AudienceSize(sum(by_platform.values()), by_platform, left_out)
    return None


def count_exactly(
    application: Application, rule: Rule, *, primary_only: bool, beside: bool = False
) -> AudienceSize | None:
    """Count as `alone` does, and keep the answer for whoever asks live."""
    return alone(
        key_of(application, rule, primary_only=primary_only),
        lambda: audience.size(application, rule, primary_only=primary_only),
        lambda size: [size.by_platform, size.left_out],
        beside=beside,
    )


def alone(
    key: str, count: Callable[[], Hits], told: Callable[[Hits], object], *, beside: bool = False
) -> Hits | None:
    """Count exactly, one question at a time, and keep under a key what is `told` of the answer.

    Many people may type at once, and what sends and takes receipts needs the same processes and
    the same database. None: somebody else is counting, and whoever waits asks again; or it took
    too long, and nobody asks for a while. `beside`: also while another one runs.
    """
    try:
        with patience(PATIENCE_EXACTLY):
            if not beside and not _is_alone():
                with suppress(redis.RedisError):
                    store().delete(_asked(key))
                return None
            found = count()
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        with suppress(redis.RedisError):
            store().set(_asked(key), "slow", ex=SLOW_KEPT)
        return None
    with suppress(redis.RedisError):
        store().set(key, json.dumps(told(found)), ex=EXACT_KEPT)
    return found


def _is_alone() -> bool:
    """Whether no other exact count runs; held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", [LOCK])
        got: bool = cursor.fetchone()[0]
    return got


def _asked(key: str) -> str:
    return f"{key}:asked"


def may_ask(key: str) -> bool:
    """Whether nobody has asked for an exact count yet; then it is noted as asked for."""
    with suppress(redis.RedisError):
        return bool(store().set(_asked(key), "asked", nx=True, ex=ASKED_KEPT))
    return False


def is_slow(key: str) -> bool:
    """Whether an exact count took too long a while ago."""
    with suppress(redis.RedisError):
        return bool(store().get(_asked(key)) == b"slow")
    return False
