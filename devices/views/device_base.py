"""The page of an application's device base."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from devices import device_base
from devices.device_base import Base, History
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import address

PERIODS = (7, 30, 90)  # days
USUAL = 30


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a platform's day, as its chart shows it."""

    label: str
    kind: str  # of the chart: those that add up to the whole are stacked
    value: Callable[[Base], float | None]
    unit: str = "devices"


FIGURES = {
    "reachable": Figure("Reachable devices", "area", lambda base: base.reachable),
    "active": Figure("Active devices", "area", lambda base: base.active),
    "opt-in": Figure("Opted in (%)", "line", lambda base: _percent(base.opt_in), "%"),
    "new": Figure("New devices", "bar", lambda base: base.new),
    "lost": Figure("Lost devices", "bar", lambda base: base.lost),
}


def _percent(share: float | None) -> float | None:
    return round(share * 100, 1) if share is not None else None


@page(Right.SEE_REPORTS)
@require_GET
def base(request: ApplicationRequest) -> HttpResponse:
    """Active, reachable, opted in, new and lost: now, by platform, and day by day."""
    asked = request.GET.get("days", "")
    days = next((each for each in PERIODS if str(each) == asked), USUAL)
    figure = FIGURES.get(request.GET.get("show", ""), FIGURES["reachable"])
    history = device_base.history(request.application, days)
    latest = [series[-1] for series in history.platforms.values()]
    rows = [
        (platform, series[-1], Base.sum(series)) for platform, series in history.platforms.items()
    ]
    context = {
        "application": request.application,
        "days": days,
        "periods": [(each, address(request, days=each), each == days) for each in PERIODS],
        "history": history,
        "now": Base.sum(latest),
        "moved": Base.sum(moved for _, _, moved in rows),
        "rows": rows,
        "figure": figure,
        "figures": [
            (address(request, show=name), each.label, each is figure)
            for name, each in FIGURES.items()
        ],
        "by_platform": _by_platform(history, figure),
        "moves": _moves(history),
    }
    return render(request, "devices/device_base.html", context)


def _chart(history: History, kind: str, label: str, series: list[dict[str, Any]]) -> dict[str, Any]:
    """As static/charts.js reads it."""
    return {
        "kind": kind,
        "stacked": kind == "area",
        "label": f"{label}, last {len(history.days)} days",
        "x": {"type": "day", "label": "Day"},
        "points": [day.isoformat() for day in history.days],
        "series": series,
    }


def _by_platform(history: History, figure: Figure) -> dict[str, Any]:
    series = [
        {
            "name": platform.label,
            "colour": platform.name.lower(),
            "values": [figure.value(base) for base in bases],
        }
        for platform, bases in history.platforms.items()
    ]
    chart = _chart(history, figure.kind, f"{figure.label} by platform", series)
    return {**chart, "stacked": figure.kind != "line", "unit": figure.unit}


def _moves(history: History) -> dict[str, Any]:
    totals = [Base.sum(day) for day in zip(*history.platforms.values(), strict=True)]
    series = [
        {"name": "New", "colour": "delivered", "values": [day.new for day in totals]},
        {"name": "Lost", "colour": "failed", "values": [day.lost for day in totals]},
    ]
    return _chart(history, "bar", "New and lost devices a day", series)
