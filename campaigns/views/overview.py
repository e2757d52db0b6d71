"""The first page of an application."""

from datetime import date
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from campaigns import scheduling, statistics
from campaigns.models import Bulk, Campaign
from campaigns.statistics import CampaignRow, Overview, Pace
from campaigns.views.campaigns import state_of
from campaigns.views.reports import report_url
from devices.models import Application, Registration
from devices.permissions import ApplicationRequest, Right, page

UNAPPROVED = 5  # shown


@page(Right.SEE_REPORTS)
@require_GET
def overview(request: ApplicationRequest) -> HttpResponse:
    """What can be reached, what was sent, what runs now; while it runs, only that part."""
    application = request.application
    if request.headers.get("HX-Request"):
        context = {"application": application, "running": _paced(statistics.running(application))}
        return render(request, "campaigns/overview.html#running", context)
    numbers = statistics.overview(application)
    latest = Campaign.objects.filter(application=application, launched_at__isnull=False)
    context = {
        "application": application,
        "numbers": numbers,
        "reachable": sum(numbers.reachable.values()),
        "platforms": [
            (platform.value, platform.name.lower(), platform.label, number)
            for platform, number in numbers.reachable.items()
        ],
        "report": report_url(application, numbers.period),
        "days": _days(numbers),
        "sent_by_day": _every_day(numbers, "sent"),
        "seen_by_day": _every_day(numbers, "seen"),
        "running": _paced(numbers.running),
        "planned": [(each, scheduling.shown(each)) for each in statistics.planned(application)],
        "latest": _paced(statistics.campaign_rows(list(latest.order_by("-launched_at")[:5]))),
        "steps": _steps(application),
        "unapproved": _unapproved(application),
    }
    return render(request, "campaigns/overview.html", context)


def _unapproved(application: Application) -> list[Campaign]:
    """Drafts that wait for a second person."""
    if not application.needs_approval:
        return []
    drafts = Campaign.objects.filter(
        application=application, launched_at=None, archived_at=None,
        approvals__approved=None, approvals__isnull=False,
    )  # fmt: skip
    return list(drafts.distinct()[:UNAPPROVED])


def _paced(rows: list[CampaignRow]) -> list[tuple[CampaignRow, str, Pace | None]]:
    """Rows with their state, and how fast each is sent, where it is being sent."""
    return [(row, state_of(row.campaign, row.bulk), _pace(row)) for row in rows]


def _pace(row: CampaignRow) -> Pace | None:
    if row.bulk is None or row.bulk.status != Bulk.Status.SENDING:
        return None
    return statistics.pace(row.bulk, row.funnel)


def _every_day(numbers: Overview, name: str) -> list[int]:
    """A count of each of the last days, oldest first; a day without anything is 0."""
    counted: dict[date, int] = {row.day: getattr(row, name) for row in numbers.days}
    return [counted.get(day, 0) for day in numbers.period.days]


def _days(numbers: Overview) -> dict[str, Any]:
    """The chart of the last days, as static/charts.js reads it."""
    return {
        "kind": "area",
        "label": "Sent, delivered and seen a day, last 30 days",
        "x": {"type": "day", "label": "Day"},
        "points": [day.isoformat() for day in numbers.period.days],
        "series": [
            {"name": label, "colour": name, "values": _every_day(numbers, name)}
            for name, label in (("sent", "Sent"), ("delivered", "Delivered"), ("seen", "Seen"))
        ],
    }


def _steps(application: Application) -> dict[str, bool]:
    """What a new application has done of what comes before its first campaign."""
    return {
        "credential": application.credentials.filter(enabled=True).exists(),
        "devices": Registration.objects.filter(application=application).exists(),
        "campaign": Bulk.objects.filter(
            application=application, origin=Bulk.Origin.CAMPAIGN
        ).exists(),
    }
