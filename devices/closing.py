"""Close addresses that a cloud called dead, once it can be believed.

Source: contract/providers.md 1.6 (DROP-1 to DROP-6).
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from devices.models import (
    Address,
    Breaker,
    ProviderCredential,
    Registration,
    SuspectAddress,
)

log = logging.getLogger(__name__)

PAGE = 500  # answers
GONE_SHARE = 0.60
MISMATCHED_SHARE = 0.05
# A page that takes longer than this is judged as it stands; then these few are believed too.
PATIENCE = timedelta(seconds=60)
GONE_SLACK = 10
MISMATCHED_SLACK = 3
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class DeadAddress:
    """What a cloud said of the token we sent to."""

    registration_id: int
    token_digest: bytes
    reason: Address.Closed
    answer: str  # the cloud's own word
    since: datetime | None = None  # when it says the token died


def suspect(
    credential: ProviderCredential,
    dead: Sequence[DeadAddress],
    *,
    answers: int,
    strangers: bool = False,
) -> None:
    """Take down what a cloud said in so many answers, and judge the page when it is full.

    Without waiting for that where the devices are `strangers`: the credential has not reached
    any yet, so it is likelier that it is another app's.
    """
    gone = sum(one.reason is Address.Closed.UNINSTALLED for one in dead)
    with transaction.atomic():
        if dead:
            Breaker.objects.bulk_create([Breaker(credential=credential)], ignore_conflicts=True)
        # A page begins with its first dead address: without one there is nothing to judge.
        with connection.cursor() as cursor:
            cursor.execute(
                """
                UPDATE devices_breaker
                SET answers = answers + %s, gone = gone + %s, mismatched = mismatched + %s,
                    began_at = coalesce(began_at, now())
                WHERE credential_id = %s AND (began_at IS NOT NULL OR %s)
                """,
                [answers, gone, len(dead) - gone, credential.pk, bool(dead)],
            )
            if not cursor.rowcount:
                return
        SuspectAddress.objects.bulk_create(
            SuspectAddress(
                breaker_id=credential.pk,
                registration_id=one.registration_id,
                token_digest=one.token_digest,
                reason=one.reason,
                answer=one.answer[:100],
                since=one.since,
            )
            for one in dead
        )
        breaker = Breaker.objects.select_for_update().get(pk=credential.pk)
        if not strangers:
            _judge(breaker)
        elif breaker.tripped_at is None:
            _trip(breaker)


def judge_old_pages() -> None:
    """Judge the pages that did not fill up: from the timetable."""
    old = Breaker.objects.filter(began_at__lte=timezone.now() - PATIENCE, tripped_at=None)
    for pk in list(old.values_list("pk", flat=True)):
        with transaction.atomic():
            breaker = Breaker.objects.select_for_update().filter(pk=pk).first()
            if breaker is not None:
                _judge(breaker)


def believe(breaker: Breaker) -> int:
    """Close what a cloud called dead, as a person decided; how many were closed."""
    with transaction.atomic():
        closed = _close_suspects(Breaker.objects.select_for_update().get(pk=breaker.pk))
        _go_on(breaker)
    return closed


def disbelieve(breaker: Breaker) -> int:
    """Forget what a cloud called dead; how many addresses stay open for it."""
    with transaction.atomic():
        locked = Breaker.objects.select_for_update().get(pk=breaker.pk)
        forgotten, _ = locked.suspects.all().delete()
        _start_anew(locked)
        _go_on(breaker)
    return forgotten


def _go_on(breaker: Breaker) -> None:
    ProviderCredential.objects.filter(pk=breaker.pk).update(paused_at=None, pause_reason="")


def _judge(breaker: Breaker) -> None:
    """Close the page's dead addresses, trip the breaker, or wait for more answers."""
    if breaker.tripped_at is not None or breaker.began_at is None:
        return
    full = breaker.answers >= PAGE
    if not full and timezone.now() - breaker.began_at < PATIENCE:
        return
    gone, mismatched = GONE_SHARE * breaker.answers, MISMATCHED_SHARE * breaker.answers
    if not full:
        gone, mismatched = max(gone, GONE_SLACK), max(mismatched, MISMATCHED_SLACK)
    if breaker.gone <= gone and breaker.mismatched <= mismatched:
        _close_suspects(breaker)
    elif full:
        _trip(breaker)


def _trip(breaker: Breaker) -> None:
    """Close nobody, pause the credential, and ask for a person."""
    now = timezone.now()
    Breaker.objects.filter(pk=breaker.pk).update(tripped_at=now)
    ProviderCredential.objects.filter(pk=breaker.pk).update(
        paused_at=now,
        pause_reason=(
            f"The cloud called {breaker.dead:,} of {breaker.answers:,} addresses dead. That is"
            " usually a wrong environment, bundle id or project: no device was closed."
            " Correct the credential, then say what to do with these addresses."
        ),
    )
    log.error(
        "credential %s: %s of %s addresses called dead at once, sending is paused",
        breaker.pk,
        breaker.dead,
        breaker.answers,
    )


def _start_anew(breaker: Breaker) -> None:
    Breaker.objects.filter(pk=breaker.pk).update(
        answers=0, gone=0, mismatched=0, began_at=None, tripped_at=None
    )


def _close_suspects(breaker: Breaker) -> int:
    """Close addresses and switch their registrations off; how many were closed.

    A token that was refreshed meanwhile, or reported again after the time the cloud gives,
    is left alone (DROP-2, DROP-3). Nothing is deleted: registering the same token again
    opens it (DROP-4).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH dead AS (
                DELETE FROM devices_suspectaddress WHERE breaker_id = %s
                RETURNING registration_id AS id, token_digest AS digest, reason, answer, since
            ),
            locked AS (  -- in the order in which everybody locks addresses
                SELECT a.registration_id AS id FROM devices_address a
                WHERE a.registration_id IN (SELECT id FROM dead)
                ORDER BY a.registration_id FOR UPDATE
            ),
            closed AS (
                UPDATE devices_address a
                SET closed_at = now(), closed_reason = d.reason, closed_answer = d.answer
                FROM dead d JOIN locked l ON l.id = d.id
                WHERE a.registration_id = d.id AND a.token_digest = d.digest
                  AND a.closed_at IS NULL
                  AND (d.since IS NULL OR a.token_changed_at IS NULL
                       OR d.since > a.token_changed_at)
                RETURNING a.registration_id
            )
            UPDATE devices_registration r SET enabled = false
            FROM closed c WHERE r.id = c.registration_id
            """,
            [breaker.pk],
        )
        closed: int = cursor.rowcount
    _start_anew(breaker)
    return closed


def mute(registrations: Iterable[int]) -> int:
    """Note that the owners of these devices switched notifications off; how many were on."""
    rows = Registration.objects.filter(pk__in=sorted(registrations), notifications_enabled=True)
    return rows.update(notifications_enabled=False)


def rest(registrations: Iterable[int]) -> int:
    """Note that nobody has seen these devices for a month; how many we thought to be in use."""
    day = timezone.now().date() - MONTH
    rows = Registration.objects.filter(pk__in=sorted(registrations), last_seen_day__gt=day)
    return rows.update(last_seen_day=day)
