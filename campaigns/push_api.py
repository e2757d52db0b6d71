"""Push API campaigns: sends of one `camp_id`, counted and capped (contract/insider.md 5 to 7)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from campaigns import ids
from campaigns.models import Bulk, Message, PushApiCampaign, PushApiSend
from devices.models import Application


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a send says its campaign is."""

    camp_id: int
    name: str
    title: str
    message: str
    image_url: str
    deep_link: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sent:
    """A push that was accepted for one person's device."""

    camp_id: int
    application: Application
    person: int
    message_id: UUID
    counted: bool


def describe(campaigns: Iterable[Described], now: datetime) -> dict[int, int]:
    """Make campaigns of numbers that are new, show the latest send of the others; their keys."""
    latest = {each.camp_id: each for each in campaigns}
    rows = PushApiCampaign.objects.bulk_create(
        [  # in order: two requests cannot deadlock
            PushApiCampaign(
                camp_id=camp_id,
                name=each.name,
                title=each.title,
                message=each.message,
                image_url=each.image_url,
                deep_link=dict(each.deep_link),
                created_at=now,
                last_sent_at=now,
            )
            for camp_id, each in sorted(latest.items())
        ],
        update_conflicts=True,
        unique_fields=["camp_id"],
        update_fields=["name", "title", "message", "image_url", "deep_link", "last_sent_at"],
    )
    return {row.camp_id: row.pk for row in rows}


def record(
    sends: Sequence[Sent], campaigns: Mapping[int, int], bulk_id: str, now: datetime
) -> None:
    """Note what was accepted under a public bulk id; `campaigns` are keys by `camp_id`."""
    bulks = Bulk.objects.filter(bulk_id=bulk_id).values_list("pk", flat=True)
    by_number = {pk % (1 << ids.BULK_BITS): pk for pk in bulks}
    PushApiSend.objects.bulk_create(
        PushApiSend(
            campaign_id=campaigns[each.camp_id],
            application=each.application,
            bulk_id=by_number[ids.bulk_number(each.message_id)],
            person_id=each.person,
            message_id=each.message_id,
            counted=each.counted,
            sent_at=now,
        )
        for each in sends
    )


def counted(people: Collection[int], application: Application, now: datetime) -> dict[int, int]:
    """How many pushes each of these people had of those that count against the cap."""
    assert application.cap_hours is not None
    since = now - timedelta(hours=application.cap_hours)
    found: dict[int, int] = {}
    rows = PushApiSend.objects.filter(
        person__in=people, application=application, counted=True, sent_at__gt=since
    )
    for person in rows.values_list("person_id", flat=True):
        assert person is not None
        found[person] = found.get(person, 0) + 1
    return found


def drop_old() -> int:
    """Forget sends whose messages are no longer kept either."""
    limit = timezone.now() - timedelta(days=settings.MESSAGE_RETENTION_DAYS)
    return PushApiSend.objects.filter(sent_at__lt=limit).delete()[0]


# ------------------------------------------------------------------- numbers


@dataclass(frozen=True, slots=True)
class Totals:
    """A campaign and what became of its sends."""

    campaign: PushApiCampaign
    sent: int
    accepted: int
    delivered: int  # device messages
    opened: int  # people


_TOTALS = """
SELECT s.campaign_id, count(*),
       count(*) FILTER (WHERE m.state BETWEEN %(accepted)s AND %(clicked)s),
       count(*) FILTER (WHERE m.state BETWEEN %(delivered)s AND %(clicked)s),
       count(DISTINCT s.person_id) FILTER (WHERE m.state BETWEEN %(seen)s AND %(clicked)s)
FROM campaigns_pushapisend s
LEFT JOIN campaigns_message m ON m.id = s.message_id AND m.id >= %(from)s
WHERE s.campaign_id = ANY(%(campaigns)s)
  AND (%(application)s::int8 IS NULL OR s.application_id = %(application)s)
GROUP BY s.campaign_id
"""


def totals(
    campaigns: Sequence[PushApiCampaign], application: Application | None = None
) -> list[Totals]:
    """What became of each campaign, in the order given; of one application's sends, or of all."""
    if not campaigns:
        return []
    states = Message.State
    given: dict[str, Any] = {
        name: int(states[name.upper()]) for name in ("accepted", "delivered", "seen", "clicked")
    }
    given["campaigns"] = [each.pk for each in campaigns]
    given["application"] = application.pk if application else None
    # Requests that begin a campaign at the same moment may have begun before it.
    oldest = min(each.created_at for each in campaigns) - timedelta(hours=1)
    given["from"] = ids.lowest_id(oldest)
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, given)
        found = {row[0]: row[1:] for row in cursor.fetchall()}
    return [Totals(each, *found.get(each.pk, (0, 0, 0, 0))) for each in campaigns]
