"""What the letters typed into the command palette may mean, and what can be done with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, Model, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from campaigns import scenarios, statistics
from campaigns.models import Bulk, Campaign, Segment, StaticList
from campaigns.statistics import CampaignRow
from campaigns.views.campaigns import address_of, state_of
from devices import finding
from devices.models import Identity, Person
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.templatetags.looks import STATES
from pushadmin.web import searched

MOST = 5  # of a kind; who means another types more
SHORTEST = 2  # letters
LONGEST = 200
# What "pause Friday sale" does, and to campaigns in which state.
VERBS = {"pause": Bulk.Status.SENDING, "resume": Bulk.Status.PAUSED}


@dataclass(frozen=True, slots=True)
class Option:
    """A line of the palette: it leads to `url`, or posts to `act`."""

    label: str
    icon: str
    url: str = ""
    act: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    label: str
    options: Sequence[Option]


@require_GET
@page(Right.SEE_CAMPAIGNS)
def palette(request: ApplicationRequest) -> HttpResponse:
    """Found by name, people and devices by whatever names them; only what the reader may open."""
    typed = searched(request)[:LONGEST]
    groups = list(_groups(request, typed)) if len(typed) >= SHORTEST else []
    context = {"groups": [each for each in groups if each.options]}
    return render(request, "campaigns/_palette_found.html", context)


def _groups(request: ApplicationRequest, typed: str) -> Iterator[Group]:
    application = request.application
    campaigns, meant = _campaigns(request, typed)
    # The first line is what Enter does: a name alone opens, and pauses nothing.
    if Right.LAUNCH_CAMPAIGNS in request.rights and meant:
        yield Group("meant", "Running campaigns", [act for row in meant for act in _acts(row)])
    yield Group("campaigns", "Campaigns", [_campaign(request, row) for row in campaigns])
    if Right.LAUNCH_CAMPAIGNS in request.rights and not meant:
        yield Group("acts", "Running campaigns", [act for row in campaigns for act in _acts(row)])
    segments = Segment.objects.filter(application=application)
    lists = StaticList.objects.filter(application=application)
    named: list[tuple[str, str, str, str, QuerySet[Any]]] = [
        ("segments", "Segments", "filter", "segment", segments),
        ("lists", "Lists", "list-details", "list-detail", lists),
        ("scenarios", "Scenarios", "route", "scenario", scenarios.of(application)),
    ]
    for name, label, icon, where, rows in named:
        fitting: list[Model] = list(rows.filter(name__icontains=typed).order_by("-pk")[:MOST])
        links = [
            Option(str(row), icon, reverse(f"campaigns:{where}", args=[application.pk, row.pk]))
            for row in fitting
        ]
        yield Group(name, label, links)
    if Right.SEE_DEVICES in request.rights:
        yield Group("people", "People", _people(request, typed))
        yield Group("devices", "Devices", _devices(request, typed))


def _campaigns(
    request: ApplicationRequest, typed: str
) -> tuple[list[CampaignRow], list[CampaignRow]]:
    """Those of that name, and those that are to be paused or resumed, as was typed."""
    campaigns = Campaign.objects.filter(application=request.application, archived_at=None)
    verb, _, rest = typed.partition(" ")
    fitting = Q(name__icontains=typed)
    named = list(campaigns.filter(fitting).order_by("-pk")[:MOST])
    meant: list[Campaign] = []
    status = VERBS.get(verb.lower())
    if status is not None:
        running = Bulk.objects.filter(campaign=OuterRef("pk"), status=status)
        meant = list(
            campaigns.filter(Exists(running), name__icontains=rest.strip()).order_by("-pk")[:MOST]
        )
    rows = statistics.campaign_rows([*named, *(each for each in meant if each not in named)])
    known = {row.campaign.pk: row for row in rows}
    return [known[each.pk] for each in named], [known[each.pk] for each in meant]


def _campaign(request: ApplicationRequest, row: CampaignRow) -> Option:
    word = STATES[state_of(row.campaign, row.bulk)][0]
    return Option(row.campaign.name, "send", address_of(request, row.campaign), note=word)


def _acts(row: CampaignRow) -> Iterator[Option]:
    """Pause or resume it, with how many that concerns."""
    campaign, waiting = row.campaign, row.funnel.waiting
    devices = f"{waiting:,} device{'' if waiting == 1 else 's'}"
    keys = [campaign.application_id, campaign.pk]
    if row.bulk is not None and row.bulk.status == Bulk.Status.SENDING:
        act = reverse("campaigns:pause", args=keys)
        yield Option(f"Pause {campaign}", "player-pause", act=act, note=f"{devices} waiting")
    elif row.bulk is not None and row.bulk.status == Bulk.Status.PAUSED:
        act = reverse("campaigns:resume", args=keys)
        yield Option(f"Resume {campaign}", "player-play", act=act, note=f"Sends to {devices}")


def _people(request: ApplicationRequest, typed: str) -> list[Option]:
    found = finding.find_people(request.application, typed).keys
    identities = Prefetch("identities", Identity.objects.order_by("kind", "pk"))
    people = Person.objects.filter(pk__in=found).order_by("-pk").prefetch_related(identities)
    options = []
    for person in people[:MOST] if found else ():
        known = [identity.value for identity in person.identities.all()]
        name = " ".join(filter(None, (person.first_name, person.last_name)))
        label, *rest = [each for each in (name, *known) if each] or [str(person)]
        url = reverse("devices:person", args=[request.application.pk, person.pk])
        options.append(Option(label, "user", url, note=rest[0] if rest else ""))
    return options


def _devices(request: ApplicationRequest, typed: str) -> list[Option]:
    """By what names a device itself: those of a person are on the person's page."""
    return [
        Option(
            device.model or device.manufacturer or device.get_platform_display(),
            "device-mobile",
            reverse("devices:detail", args=[request.application.pk, device.pk]),
            note=str(device.address.public_id),
        )
        for device in finding.devices_named(request.application, typed, most=MOST)
    ]
