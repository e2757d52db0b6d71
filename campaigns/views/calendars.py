"""The calendar of what goes out when."""

from datetime import date, timedelta

from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from campaigns import calendars
from campaigns.calendars import Page
from devices.permissions import ApplicationRequest, Right, page
from devices.zones import zone_choices, zone_names, zone_of
from pushadmin.web import page_or_partial

YEARS = (2000, 2999)  # that a calendar is shown of


@require_GET
@page(Right.SEE_CAMPAIGNS)
def calendar(request: ApplicationRequest) -> HttpResponse:
    """A month or a week; the arrows replace the table alone."""
    name = request.GET.get("zone", "")
    if name not in zone_names():
        name = request.application.default_zone
    zone = zone_of(name)
    today = timezone.now().astimezone(zone).date()
    day = _day(request.GET.get("day", ""), today)
    weekly = request.GET.get("view") == "week"
    shown = Page.of(day, weekly=weekly)
    days, complete = calendars.fill(request.application, shown, zone)
    begins = day.replace(day=1)
    context = {
        "days": days,
        "count": sum(len(each.items) for each in days if not each.outside),
        "complete": complete,
        "view": "week" if weekly else "month",
        "day": day,
        "title": _title(shown, day),
        "before": day - timedelta(days=7) if weekly else begins - timedelta(days=1),
        "after": day + timedelta(days=7) if weekly else begins + timedelta(days=31),
        "today": today,
        "zone": name,
        "zones": zone_choices(),
    }
    return page_or_partial(request, "campaigns/calendar.html", "calendar", context)


def _day(text: str, today: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return today
    return day if YEARS[0] <= day.year <= YEARS[1] else today


def _title(shown: Page, day: date) -> str:
    if shown.month is not None:
        return f"{day:%B %Y}"
    last = shown.last
    return f"{shown.first.day} {shown.first:%b} to {last.day} {last:%b %Y}"
