"""Why not? A part of the pages of a person and of a device."""

from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET

from campaigns import flows, whynot
from campaigns.models import Bulk
from campaigns.views.campaigns import address_of, campaign_of
from campaigns.whynot import Gate, Passage
from devices import finding
from devices.models import Person, Registration
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import page_or_partial, searched

CAMPAIGNS = 30  # the newest, to choose from
DEVICES = 10  # of a person


@dataclass(frozen=True, slots=True)
class Way:
    """From a campaign to one device."""

    device: Registration
    gates: list[Gate]
    later: list[Gate]  # the other steps of its scenario

    @property
    def arrived(self) -> bool:
        return self.gates[-2].passage is Passage.PASSED


@require_GET
@page(Right.SEE_DEVICES)
def person_why_not(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Why a campaign did not reach each device of a person."""
    person = get_object_or_404(Person, pk=pk)
    devices = Registration.objects.filter(person=person, application=request.application)
    return _answer(request, list(devices.order_by("-primary", "-pk")[:DEVICES]))


@require_GET
@page(Right.SEE_DEVICES)
def device_why_not(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Why a campaign did not reach a device."""
    return _answer(
        request, [get_object_or_404(Registration, pk=pk, application=request.application)]
    )


def _answer(request: ApplicationRequest, devices: list[Registration]) -> HttpResponse:
    launched = Bulk.objects.filter(
        Q(frozen_at__isnull=False) | Q(status__in=Bulk.UNFINISHED),
        application=request.application,
        origin=Bulk.Origin.CAMPAIGN,
        campaign__isnull=False,
        step=0,
    ).select_related("campaign", "application", "flow")
    bulks = list(launched.order_by("-pk")[:CAMPAIGNS])
    chosen = next((each for each in bulks if str(each.pk) == request.GET.get("bulk")), None)
    context = {
        "bulks": bulks,
        "chosen": chosen,
        "ways": [_way(chosen, each) for each in devices] if chosen else [],
        "several": len(devices) > 1,
    }
    return render(request, "campaigns/_why_not.html", context)


def _way(bulk: Bulk, device: Registration) -> Way:
    return Way(device, whynot.gates(bulk, device), whynot.later_steps(bulk, device))


@require_GET
@page(Right.SEE_DEVICES)
def campaign_why_not(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Why a campaign did not reach a device, or those of a person, that somebody names."""
    campaign = campaign_of(request, pk)
    bulk = flows.latest([campaign]).get(campaign.pk)
    if bulk is None:
        return redirect(address_of(request, campaign))
    typed = searched(request)[:4096]
    number = request.GET.get("device", "")
    devices: list[Registration] = []
    if number.isascii() and number.isdecimal() and len(number) < 18:
        known = Registration.objects.filter(application=request.application, pk=int(number))
        devices = list(known.select_related("person", "application"))
    elif typed:
        devices = finding.devices_meant(request.application, typed, most=DEVICES + 1)
    context = {
        "campaign": campaign,
        "typed": typed,
        "asked": bool(typed or number),
        "ways": [_way(bulk, each) for each in devices[:DEVICES]],
        "more": len(devices) > DEVICES,
        "several": True,
    }
    return page_or_partial(request, "campaigns/campaign_why_not.html", "ways", context)
