"""A draft's delivery → the time its bulk starts; what keeps it from starting; how to say it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from campaigns import winners
from campaigns.errors import IncompleteContentError
from campaigns.models import Bulk, Campaign
from campaigns.timing import FURTHEST_DAYS, Every, Kind, Passed, Timing
from campaigns.wall_clocks import FURTHEST, WESTERNMOST, moment, offset_zone
from devices.zones import zone_of

PASSED_WORDS = {
    Passed.NEXT_DAY: "Send it at that time the next day",
    Passed.NOW: "Send it at once",
    Passed.SKIP: "Leave them out",
}
EVERY_WORDS = {Every.DAY: "Every day", Every.WEEK: "Every week", Every.MONTH: "Every month"}


def earliest() -> datetime:
    """When something that is launched now may start: it is held, to be undone."""
    return timezone.now() + timedelta(seconds=settings.LAUNCH_HOLD_SECONDS)


def starts_at(campaign: Campaign) -> datetime:
    """When the first recipients of a campaign that is launched now have their turn.

    Raises IncompleteContentError when the chosen time has passed, or does not fit the rest.
    """
    timing = Timing.of(campaign.timing)
    begins = timing.begins(earliest())
    if begins is None:
        sentence = {
            Kind.LOCAL: "This time has passed everywhere on Earth: choose a later one.",
            Kind.REPEAT: "It would go out no more times: choose a later end.",
        }.get(timing.kind, f"This time has passed in {timing.zone}: choose a later one.")
        raise IncompleteContentError(
            sentence, field="until" if timing.kind is Kind.REPEAT else "start_date"
        )
    if begins - timezone.now() > timedelta(days=FURTHEST_DAYS):
        raise IncompleteContentError(
            f"That is more than {FURTHEST_DAYS} days ahead: choose an earlier day.",
            field="start_date",
        )
    return begins


def delivery_of(campaign: Campaign) -> dict[str, Any]:
    """What its bulk keeps of how a campaign goes out."""
    delivery: dict[str, Any] = {}
    if campaign.timing:
        delivery["timing"] = campaign.timing
    if campaign.canary:
        delivery["canary"] = campaign.canary
    if wants := winners.of(campaign):
        delivery["winner"] = wants
    if campaign.transactional:
        delivery["transactional"] = True
    return delivery


def written(at: datetime, zone: str) -> str:
    """Tue 24 Nov 2026, 09:00 (Europe/Berlin)."""
    local = at.astimezone(zone_of(zone))
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M} ({zone})"


def sentence(timing: Timing) -> str:
    """When it goes out, in words."""
    if timing.kind is Kind.NOW or timing.day is None or timing.clock is None:
        return "As soon as it is launched"
    day = f"{timing.day:%a} {timing.day.day} {timing.day:%b %Y}"
    if timing.kind is Kind.AT:
        return f"{day}, {timing.clock:%H:%M} ({timing.zone})"
    if timing.kind is Kind.LOCAL:
        return f"{day}, {timing.clock:%H:%M} in each recipient's time"
    said = f"{EVERY_WORDS[timing.every]} at {timing.clock:%H:%M} ({timing.zone}) from {day}"
    if timing.count is not None:
        said += f", {timing.count} times"
    if timing.until is not None:
        said += f", until {timing.until:%a} {timing.until.day} {timing.until:%b %Y}"
    return said


def ends_of_turns(timing: Timing, begins: datetime) -> tuple[datetime, datetime]:
    """When the first and the last recipients have their turn, wherever on Earth they are."""
    if timing.kind is not Kind.LOCAL or timing.day is None or timing.clock is None:
        return begins, begins
    last = moment(timing.day, timing.clock, offset_zone(-WESTERNMOST))
    if timing.passed is Passed.NEXT_DAY and begins > moment(
        timing.day, timing.clock, offset_zone(FURTHEST)
    ):
        last = max(last, begins + timedelta(days=1))
    return begins, last


def shown(bulk: Bulk) -> str:
    """When a launched bulk goes out, in words: of a recurring one, this run."""
    timing = Timing.of(bulk.delivery.get("timing", {}))
    if timing.kind is Kind.REPEAT:
        return written(bulk.starts_at, timing.zone)
    if timing.kind is Kind.NOW:
        return written(bulk.starts_at, "UTC")
    return sentence(timing)


def tomorrow_morning(zone: str) -> Timing:
    """What the composer offers before anybody has chosen."""
    local = datetime.now(UTC).astimezone(zone_of(zone))
    nine = local.time().replace(hour=9, minute=0, second=0, microsecond=0)
    return replace(Timing(), day=local.date() + timedelta(days=1), clock=nine, zone=zone)
