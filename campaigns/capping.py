"""The frequency cap: so many pushes for each person in so many hours.

It is one for campaigns and for what Insider's push API sends with the cap on. A push counts
from when it is promised, at its turn; so whoever starts meanwhile, or sends on the day
before, counts it. An application's audiences are frozen one after the other, and callers of
the API wait for them: nobody decides by what is not written yet.

A place is given back where it is known that nobody got the push. What is unknown may have been
shown, and counts: the cap is a promise to the person, not to us.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from campaigns.models import Bulk, CapUse, Message, PushApiSend, Reason
from devices.models import Application, Registration

KIND = 0x0CA9  # of our advisory locks; the other half is the application


def holds(bulk: Bulk) -> bool:
    """Whether the cap holds for a bulk that is being frozen, or was."""
    return bool(bulk.delivery.get("cap"))


def as_json(application: Application) -> dict[str, int] | None:
    """The cap of an application as a bulk keeps it; None without one."""
    if application.cap_count is None or application.cap_hours is None:
        return None
    return {"count": application.cap_count, "hours": application.cap_hours}


def lock(application_id: int) -> None:
    """Until the transaction ends nobody else decides about pushes of this application."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [KIND, application_id])


def share(application_id: int) -> None:
    """Decide beside others who hold the people they ask about, but beside no audience."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [KIND, application_id])


# A push counts in the hours before its turn; what is promised for the hours after it, too: in no
# such time may there be more. Several devices of a person get one push.
JUDGED = f"""
uses AS (
    SELECT owner, bulk_id AS push, at FROM campaigns_capuse
    WHERE application_id = %(application)s
      AND at > %(earliest)s - %(hours)s::interval AND at < %(latest)s + %(hours)s::interval
    UNION ALL
    SELECT person_id, -id, sent_at FROM campaigns_pushapisend
    WHERE application_id = %(application)s AND counted AND person_id IS NOT NULL
      AND sent_at > %(earliest)s - %(hours)s::interval
),
had_enough AS (
    SELECT p.id FROM placed p
    JOIN uses u ON u.owner = p.owner
               AND u.at > p.not_before - %(hours)s::interval
               AND u.at < p.not_before + %(hours)s::interval
    WHERE p.reason IN (0, {int(Reason.WAITING_FOR_DAY)})
    GROUP BY p.id HAVING count(DISTINCT u.push) >= %(most)s
),
judged AS (
    SELECT p.id, p.platform, p.variant, p.zone, p.starts_at, p.not_before, p.owner,
           CASE WHEN h.id IS NULL THEN p.reason ELSE {int(Reason.CAPPED)} END AS reason
    FROM placed p LEFT JOIN had_enough h ON h.id = p.id
),
promised AS (
    INSERT INTO campaigns_capuse (application_id, bulk_id, owner, registration_id, at)
    SELECT %(application)s, %(bulk)s, owner, id, not_before FROM judged
    WHERE reason IN (0, {int(Reason.WAITING_FOR_DAY)})
)
"""  # noqa: S608


def parameters(bulk: Bulk) -> dict[str, Any]:
    """What JUDGED is given."""
    cap = bulk.delivery["cap"]
    return {
        "application": bulk.application_id,
        "hours": f"{cap['hours']} hours",
        "most": cap["count"],
        "earliest": bulk.starts_at,
        # the last turn is two days after the first at most, and a night may follow
        "latest": bulk.starts_at + timedelta(days=3),
    }


# ------------------------------------------------------------------- giving back


def release(bulk: Bulk, devices: Collection[int]) -> None:
    """Nobody got what failed or expired: it does not count."""
    if holds(bulk) and devices:
        CapUse.objects.filter(bulk=bulk, registration_id__in=devices).delete()


# Ends without a sign of the device: the cloud had it, so it may have been shown.
_MAYBE_SHOWN = (Reason.WITHDRAWN, Reason.NOT_IN_TIME, Reason.NEVER_LEARNED)


def release_ended(messages: Collection[UUID]) -> None:
    """Nor does what was accepted or in doubt, and of which a cloud says later that nobody got it.

    Of all these messages, those count on that have not ended, or of which an earlier try may
    have arrived.
    """
    if not messages:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM campaigns_capuse u USING campaigns_message m
            WHERE m.id = ANY(%s) AND m.id BETWEEN %s AND %s
              AND m.state >= %s AND m.reason <> ALL(%s) AND NOT m.repeated
              AND u.bulk_id = m.bulk_id AND u.registration_id = m.registration_id
            """,
            [
                list(messages), min(messages), max(messages), Message.State.FAILED,
                [int(each) for each in _MAYBE_SHOWN],
            ],
        )  # fmt: skip


def release_cancelled(bulk_pk: int) -> None:
    """Nor does what was cancelled before its turn."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM campaigns_capuse u
            USING campaigns_chunk c, unnest(c.recipients[c.cursor + 1 :]) d (id)
            WHERE c.bulk_id = %s AND c.status = 3 AND u.bulk_id = %s AND u.registration_id = d.id
            """,
            [bulk_pk, bulk_pk],
        )


def drop_old() -> int:
    """Forget what is too old to be asked for; how many."""
    limit = timezone.now() - timedelta(days=settings.MESSAGE_RETENTION_DAYS)
    return CapUse.objects.filter(at__lt=limit).delete()[0]


# ------------------------------------------------------------------- asking


def counted(people: Collection[int], application: Application, now: datetime) -> dict[int, int]:
    """How many pushes of campaigns each of these people had or is promised."""
    if application.cap_hours is None:
        return {}
    span = timedelta(hours=application.cap_hours)
    rows = CapUse.objects.filter(
        application=application, owner__in=people, at__gt=now - span, at__lt=now + span
    )
    found: dict[int, int] = {}
    for owner, _ in rows.values_list("owner", "bulk").distinct():
        found[owner] = found.get(owner, 0) + 1
    return found


def full_now(application: Application, devices: Iterable[Any]) -> int:
    """How many of these registrations would be left out now for the cap."""
    cap = as_json(application)
    if cap is None:
        return 0
    query = Registration.objects.filter(pk__in=devices).values("id", "person_id")
    sql, given = query.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH uses AS (
                SELECT owner, bulk_id AS push FROM campaigns_capuse
                WHERE application_id = %s AND at > now() - %s::interval
                UNION ALL
                SELECT person_id, -id FROM campaigns_pushapisend
                WHERE application_id = %s AND counted AND sent_at > now() - %s::interval
            )
            SELECT count(*) FROM ({sql}) d
            WHERE coalesce(d.person_id, -d.id) IN (
                SELECT owner FROM uses GROUP BY owner HAVING count(DISTINCT push) >= %s
            )
            """,  # noqa: S608
            [
                application.pk, f"{cap['hours']} hours", application.pk, f"{cap['hours']} hours",
                *given, cap["count"],
            ],
        )  # fmt: skip
        return int(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Use:
    """A push that counted."""

    name: str
    at: datetime


def uses_before(bulk: Bulk, device: Registration, turn: datetime) -> list[Use]:
    """What counted when a bulk left somebody out, the oldest first."""
    span = timedelta(hours=bulk.delivery["cap"]["hours"])
    owner = device.person_id if device.person_id is not None else -device.pk
    rows = CapUse.objects.filter(
        application=bulk.application_id, owner=owner, at__gt=turn - span, at__lt=turn + span
    ).exclude(bulk=bulk)
    named = rows.values_list("bulk", "bulk__campaign__name", "at").distinct("bulk")
    found = [Use(name or "Campaign", at) for _, name, at in named.order_by("bulk", "at")]
    sends = PushApiSend.objects.filter(
        application=bulk.application_id, person=device.person_id, counted=True,
        sent_at__gt=turn - span, sent_at__lt=turn + span,
    ).select_related("campaign")  # fmt: skip
    if device.person_id is not None:
        found += [Use(each.campaign.name, each.sent_at) for each in sends]
    return sorted(found, key=lambda use: use.at)
