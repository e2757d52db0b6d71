"""Reports: a period by application, campaigns side by side."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from campaigns import periods, statistics
from campaigns.models import Bulk, Campaign
from campaigns.periods import Figures, Period
from campaigns.statistics import CampaignRow
from campaigns.views import report_mails
from campaigns.views.campaigns import state_of
from devices.models import Application
from devices.permissions import ApplicationRequest, Right, applications_with, page
from pushadmin.web import address

USUAL = 30  # days
PRESETS = (7, 30, 90)
SHOWN = 50  # campaigns of a period
COMPARED = 5


@dataclass(frozen=True, slots=True)
class Line:
    """An application in a period."""

    application: Application
    figures: Figures
    url: str  # its own report of the period


# Whoever asks an application to send: what it is called, where its rows are, who may see them.
SOURCES = {
    Bulk.Origin.CAMPAIGN: ("Campaigns", "", Right.SEE_CAMPAIGNS),
    Bulk.Origin.API: ("Push and OMNI API", "campaigns:calls", Right.SEE_SETTINGS),
    Bulk.Origin.INSIDER: ("Insider's push API", "campaigns:push-api", Right.SEE_REPORTS),
}


@require_GET
@page(Right.SEE_REPORTS)
def period_report(request: ApplicationRequest) -> HttpResponse:
    """What was sent in a period: by application, by day, by campaign."""
    period, fault = _period(request)
    applications = applications_with(Right.SEE_REPORTS, request.user)
    counted = periods.by_day(applications, period)
    lines = [
        Line(each, Figures.sum(days), report_url(each, period)) for each, days in counted.items()
    ]
    here = next((days for each, days in counted.items() if each == request.application), [])
    runs = periods.runs(request.application, period, SHOWN + 1)
    context = {
        "period": period,
        "fault": fault,
        "lines": lines,
        "total": Figures.sum(line.figures for line in lines),
        "sources": _sources(request, period),
        "chart": _chart(request.application, period, here) if any(map(_draws, here)) else None,
        "presets": [
            (days, address(request, first=each.first, last=each.last), period == each)
            for days, each in ((days, periods.latest(days)) for days in PRESETS)
        ],
        "rows": statistics.run_rows(runs[:SHOWN]),
        "more": len(runs) > SHOWN,
        "mail_orders": report_mails.orders(request),
        "mail_members": report_mails.whom(request),
    }
    return render(request, "campaigns/period_report.html", context)


def report_url(application: Application, period: Period) -> str:
    days = urlencode({"first": period.first, "last": period.last})
    return f"{reverse('campaigns:reports', args=[application.pk])}?{days}"


def _sources(request: ApplicationRequest, period: Period) -> list[tuple[str, str, Figures]]:
    """What each source is called, the address of its rows, and its figures."""
    found = []
    for origin, figures in periods.by_source(request.application, period).items():
        label, name, right = SOURCES[origin]
        rows = reverse(name, args=[request.application.pk]) if name else "#campaigns"
        found.append((label, rows if right in request.rights else "", figures))
    return found


def _period(request: ApplicationRequest) -> tuple[Period, str]:
    """What was asked for; the usual one and a sentence where that cannot be."""
    usual = periods.latest(USUAL)
    first, last = request.GET.get("first", ""), request.GET.get("last", "")
    if not first and not last:
        return usual, ""
    try:
        asked = Period(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError:
        return usual, "Choose a first and a last day. The last 30 days are shown."
    if asked.last < asked.first:
        return usual, "The last day is before the first. The last 30 days are shown."
    if (asked.last - asked.first).days >= periods.LONGEST or asked.last.year > 9998:
        return usual, "A period has at most 366 days. The last 30 are shown."
    return asked, ""


_DRAWN = (("Sent", "sent"), ("Delivered", "delivered"), ("Seen", "seen"))


def _draws(day: Figures) -> bool:
    """Whether a day has anything to draw."""
    return any(getattr(day, key) for _, key in _DRAWN)


def _chart(application: Application, period: Period, days: list[Figures]) -> dict[str, Any]:
    """As static/charts.js reads it."""
    return {
        "kind": "bar",
        "label": f"Messages of {application} a day",
        "x": {"type": "day", "label": "Day"},
        "points": [day.isoformat() for day in period.days],
        "series": [
            {"name": name, "colour": key, "values": [getattr(day, key) for day in days]}
            for name, key in _DRAWN
        ],
    }


# ------------------------------------------------------------------- side by side


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of the comparison: a number of each campaign, and of what it is a share."""

    term: str
    meaning: str
    numbers: list[tuple[str, int, float | None, str]]  # campaign, number, share, its rows
    css: str = ""


# name, what it means, of what it is a share, the message log's filter, colour
MEASURES = (
    ("Targeted", "Devices in the audience, frozen when sending began.", "targeted", "", None, ""),
    ("Accepted", "The cloud took it; of the sent.", "accepted", "sent", "accepted", "is-accepted"),
    ("Delivered", "The device itself said that it arrived; of the accepted.", "delivered",
     "accepted", "delivered", "is-delivered"),
    ("Seen", "Somebody looked at it; of the delivered.", "seen", "delivered", "seen", "is-seen"),
    ("Tapped", "Somebody tapped it; of the delivered.", "clicked", "delivered", "clicked",
     "is-clicked"),
    ("Failed", "The cloud or the device refused it; of the sent.", "failed", "sent", "failed",
     "is-failed"),
    ("Expired", "Its time was over before it arrived; of the sent.", "expired", "sent", "expired",
     "is-waiting"),
)  # fmt: skip


@require_GET
@page(Right.SEE_REPORTS)
def campaign_compare(request: ApplicationRequest) -> HttpResponse:
    """Up to five campaigns, number beside number."""
    asked = list(
        dict.fromkeys(
            int(text)
            for text in request.GET.getlist("campaign")
            if text.isascii() and text.isdecimal() and len(text) < 18
        )
    )
    launched = Campaign.objects.filter(
        application=request.application, pk__in=asked[:100], launched_at__isnull=False
    )
    known = {each.pk: each for each in launched}
    chosen = [known[pk] for pk in asked if pk in known]
    rows = [row for row in statistics.campaign_rows(chosen[:COMPARED]) if row.bulk is not None]
    context = {
        "rows": [(row, state_of(row.campaign, row.bulk)) for row in rows],
        "measures": [_measure(request, rows, *each) for each in MEASURES],
        "too_many": len(chosen) > COMPARED,
        "most": COMPARED,
    }
    return render(request, "campaigns/campaign_compare.html", context)


def _measure(
    request: ApplicationRequest,
    rows: list[CampaignRow],
    term: str,
    meaning: str,
    name: str,
    whole: str,
    state: str | None,
    css: str,
) -> Measure:
    numbers = []
    for row in rows:
        number = getattr(row.funnel, name)
        of = getattr(row.funnel, whole) if whole else 0
        log = f"{row.campaign.get_absolute_url()}messages/?state={state}" if state else ""
        numbers.append((row.campaign.name, number, number / of if of else None, log))
    return Measure(term, meaning, numbers, css)
