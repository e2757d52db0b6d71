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
from campaigns.models import Bulk, Message, PushApiCampaign, PushApiSend, Reason
from campaigns.statistics import ReasonCount
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


def begin(campaigns: Iterable[Described], now: datetime) -> None:
    """Make campaigns of numbers that are new; nothing was sent, so others show what they did."""
    rows = _rows(campaigns, now)
    PushApiCampaign.objects.bulk_create(rows, ignore_conflicts=True)


def describe(campaigns: Iterable[Described], now: datetime) -> dict[int, int]:
    """Make campaigns of numbers that are new, show the latest send of the others; their keys."""
    rows = PushApiCampaign.objects.bulk_create(
        _rows(campaigns, now),
        update_conflicts=True,
        unique_fields=["camp_id"],
        update_fields=["name", "title", "message", "image_url", "deep_link", "last_sent_at"],
    )
    return {row.camp_id: row.pk for row in rows}


def _rows(campaigns: Iterable[Described], now: datetime) -> list[PushApiCampaign]:
    """The latest of each number, in their order: two requests cannot deadlock."""
    latest = {each.camp_id: each for each in campaigns}
    return [
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
    ]


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
    targeted: int = 0  # targeted = waiting + accepted + failed + expired + unknown
    waiting: int = 0
    accepted: int = 0
    delivered: int = 0  # device messages, of the accepted
    opened: int = 0  # people
    failed: int = 0
    expired: int = 0
    unknown: int = 0


_TOTALS = """
SELECT s.campaign_id, count(*),
       count(*) FILTER (WHERE m.state IS NULL),
       count(*) FILTER (WHERE m.state BETWEEN %(accepted)s AND %(clicked)s),
       count(*) FILTER (WHERE m.state BETWEEN %(delivered)s AND %(clicked)s),
       count(DISTINCT s.person_id) FILTER (WHERE m.state BETWEEN %(seen)s AND %(clicked)s),
       count(*) FILTER (WHERE m.state = %(failed)s),
       count(*) FILTER (WHERE m.state = %(expired)s),
       count(*) FILTER (WHERE m.state = %(unknown)s)
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
    given: dict[str, Any] = {each.name.lower(): int(each) for each in Message.State}
    given["campaigns"] = [each.pk for each in campaigns]
    given["application"] = application.pk if application else None
    given["from"] = _oldest(campaigns)
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, given)
        found = {row[0]: row[1:] for row in cursor.fetchall()}
    return [Totals(each, *found.get(each.pk, ())) for each in campaigns]


_REASONS = """
SELECT m.reason, count(*)
FROM campaigns_pushapisend s
JOIN campaigns_message m ON m.id = s.message_id AND m.id >= %s
WHERE s.campaign_id = %s AND s.application_id = %s AND m.reason <> 0
  AND NOT m.state BETWEEN %s AND %s
GROUP BY m.reason
ORDER BY count(*) DESC, m.reason
"""


def reasons(campaign: PushApiCampaign, application: Application) -> list[ReasonCount]:
    """Why devices did not get it, the most frequent first."""
    accepted, clicked = Message.State.ACCEPTED, Message.State.CLICKED
    with connection.cursor() as cursor:
        cursor.execute(
            _REASONS, [_oldest([campaign]), campaign.pk, application.pk, accepted, clicked]
        )
        return [ReasonCount(Reason(each), count, "failed") for each, count in cursor.fetchall()]


def _oldest(campaigns: Iterable[PushApiCampaign]) -> UUID:
    """An id below those of their messages, so that older days are not looked at.

    Requests that begin a campaign at the same moment may have begun before it.
    """
    return ids.lowest_id(min(each.created_at for each in campaigns) - timedelta(hours=1))
