"""Webhooks of an application: where they go, what they are told, and every try."""

import json
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import deliveries, outbox, signing
from campaigns.models import (
    Webhook,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEvent,
    WebhookSecret,
    WebhookTarget,
)
from campaigns.models.webhooks import shown
from campaigns.webhook_forms import WebhookForm
from devices import audit
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.masking import mask
from pushadmin.web import newest_first, page_or_partial

TROUBLED = 20  # addresses that are shown as failing
MOST_COUNTED = 1000  # deliveries that were given up
SOON = timedelta(seconds=30)  # its page waits so long for the next try
STATES = {
    "waiting": ("Waiting", WebhookDelivery.State.WAITING),
    "taken": ("Taken", WebhookDelivery.State.TAKEN),
    "given-up": ("Given up", WebhookDelivery.State.GIVEN_UP),
}


def _webhooks(request: ApplicationRequest) -> QuerySet[Webhook]:
    return Webhook.objects.filter(application=request.application)


def _deliveries(request: ApplicationRequest) -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(application=request.application)


def _given_up(request: ApplicationRequest) -> int:
    """Deliveries that were given up; no more than MOST_COUNTED are counted."""
    given_up = _deliveries(request).filter(state=WebhookDelivery.State.GIVEN_UP)
    return given_up[:MOST_COUNTED].count()


def _home(request: ApplicationRequest) -> HttpResponse:
    return redirect("campaigns:webhooks", request.application.pk)


@require_GET
@page(Right.SEE_SETTINGS)
def webhook_list(request: ApplicationRequest) -> HttpResponse:
    webhooks = list(_webhooks(request).order_by("pk"))
    secret = WebhookSecret.objects.filter(application=request.application, ends_at=None)
    context = {
        "rows": list(zip(webhooks, _targets(webhooks), strict=True)),
        "troubled": _troubled(request),
        "secret": secret.defer("data").first(),
        "failed": _given_up(request),
        "may_edit": Right.EDIT_SETTINGS in request.rights,
        "now": timezone.now(),
    }
    return render(request, "campaigns/webhook_list.html", context)


def _targets(webhooks: Iterable[Webhook]) -> list[WebhookTarget | None]:
    """How the address of each has answered lately; None before anything was posted."""
    digests = [deliveries.digest_of(webhook.url) for webhook in webhooks]
    found = {bytes(each.digest): each for each in WebhookTarget.objects.filter(digest__in=digests)}
    return [found.get(digest) for digest in digests]


def _troubled(request: ApplicationRequest) -> list[WebhookTarget]:
    """Addresses that are paused and have something of this application waiting."""
    waiting = _deliveries(request).filter(state=WebhookDelivery.State.WAITING)
    paused = WebhookTarget.objects.filter(paused_until__gt=timezone.now())
    return list(paused.filter(pk__in=waiting.values("target_id")).order_by("url")[:TROUBLED])


@page(Right.EDIT_SETTINGS)
@require_http_methods(["GET", "POST"])
def webhook_new(request: ApplicationRequest) -> HttpResponse:
    return _edit(request, Webhook(application=request.application))


@page(Right.EDIT_SETTINGS)
@require_http_methods(["GET", "POST"])
def webhook_edit(request: ApplicationRequest, pk: int) -> HttpResponse:
    return _edit(request, get_object_or_404(_webhooks(request), pk=pk))


def _edit(request: ApplicationRequest, webhook: Webhook) -> HttpResponse:
    typed = request.POST if request.method == "POST" else None
    form = WebhookForm(typed, webhook=webhook)
    if form.is_bound and form.is_valid():
        before = _facts(webhook) if webhook.pk else None
        webhook.url, webhook.events = form.cleaned_data["url"], form.mask
        with transaction.atomic():
            webhook.save()
            audit.record(
                request.user, "change webhook" if before else "add webhook", webhook,
                before=before, after=_facts(webhook), application=request.application,
                request=request,
            )  # fmt: skip
        outbox.forget()
        messages.success(request, "Saved: it is told of what happens from now on.")
        return _home(request)
    context = {"form": form, "webhook": webhook, "address": shown(webhook.url)}
    status = 422 if form.is_bound else 200
    return render(request, "campaigns/webhook_form.html", context, status=status)


def _facts(webhook: Webhook) -> dict[str, Any]:
    return {"url": shown(webhook.url), "told": webhook.told, "enabled": webhook.enabled}


@page(Right.EDIT_SETTINGS)
@require_POST
def webhook_switch(request: ApplicationRequest, pk: int) -> HttpResponse:
    webhook = get_object_or_404(_webhooks(request), pk=pk)
    enabled = request.POST.get("enabled") == "1"
    if webhook.enabled != enabled:
        before = _facts(webhook)
        webhook.enabled = enabled
        with transaction.atomic():
            webhook.save(update_fields=["enabled"])
            audit.record(
                request.user, "change webhook", webhook, before=before, after=_facts(webhook),
                application=request.application, request=request,
            )  # fmt: skip
        outbox.forget()
    said = "is told again" if enabled else "is told nothing more"
    messages.success(request, f"{webhook} {said}.")
    return _home(request)


@page(Right.EDIT_SETTINGS)
@require_POST
def webhook_remove(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Its deliveries stay in the log, and those on their way go on."""
    webhook = get_object_or_404(_webhooks(request), pk=pk)
    with transaction.atomic():
        audit.record(
            request.user, "remove webhook", webhook, before=_facts(webhook),
            application=request.application, request=request,
        )  # fmt: skip
        webhook.delete()
    outbox.forget()
    messages.success(request, f"{webhook} is removed.")
    return _home(request)


@page(Right.EDIT_SETTINGS)
@require_POST
def webhook_test(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Have a sample posted; the log shows what is answered."""
    webhook = get_object_or_404(_webhooks(request), pk=pk)
    outbox.note_test(webhook)
    address = reverse("campaigns:webhook-log", args=[request.application.pk])
    return redirect(f"{address}?event={WebhookEvent.TEST.value}&waits=1")


@never_cache
@page(Right.EDIT_SETTINGS)
@require_POST
def webhook_secret(request: ApplicationRequest) -> HttpResponse:
    """The only time a secret leaves the server; no address leads here."""
    replaced = WebhookSecret.objects.filter(application=request.application, ends_at=None).exists()
    secret = signing.make_secret(request.user, request.application, request)
    context = {"secret": secret, "replaced": replaced, "ends_at": timezone.now() + signing.GRACE}
    return render(request, "campaigns/webhook_secret.html", context)


# ------------------------------------------------------------------- log


@require_GET
@page(Right.SEE_SETTINGS)
def webhook_log(request: ApplicationRequest) -> HttpResponse:
    """Every delivery, its tries, and when the next one is."""
    rows = _deliveries(request).select_related("target")
    state, event = request.GET.get("state", ""), request.GET.get("event", "")
    if state in STATES:
        rows = rows.filter(state=STATES[state][1])
    if event in {str(value) for value in WebhookEvent.values}:
        rows = rows.filter(event=int(event))
    search = request.GET.get("q", "").strip()
    if search:
        rows = rows.filter(_named(search))
    last = WebhookAttempt.objects.order_by("-pk")
    pager = newest_first(
        request,
        rows.defer("body").prefetch_related(Prefetch("attempts", queryset=last)),
        one="delivery",
        many="deliveries",
    )
    context = {
        "pager": pager,
        "state": state,
        "states": [(key, label) for key, (label, _) in STATES.items()],
        "event": event,
        "events": WebhookEvent.choices,
        "search": search,
        "now": timezone.now(),
        "failed": _given_up(request),
        # A test that was just sent is on its way here.
        "waits": request.GET.get("waits") == "1" and _waits(pager.rows),
    }
    return page_or_partial(request, "campaigns/webhook_log.html", "deliveries", context)


def _named(search: str) -> Q:
    """By its id, or by a part of its address."""
    try:
        return Q(public_id=uuid.UUID(search))
    except ValueError:
        return Q(target__url__icontains=search.replace("\0", ""))


def _waits(rows: Iterable[WebhookDelivery]) -> bool:
    return all(row.state == WebhookDelivery.State.WAITING and not row.tries for row in rows)


@require_GET
@page(Right.SEE_SETTINGS)
def webhook_delivery(request: ApplicationRequest, pk: int) -> HttpResponse:
    """One delivery: what was posted, and each try."""
    delivery = get_object_or_404(_deliveries(request).select_related("target"), pk=pk)
    now = timezone.now()
    context = {
        "delivery": delivery,
        "attempts": delivery.attempts.order_by("-pk"),
        "body": mask(json.dumps(json.loads(delivery.body), indent=2, ensure_ascii=False)),
        "now": now,
        "awaited": _is_tried_soon(delivery, now + SOON),
    }
    return page_or_partial(request, "campaigns/webhook_delivery.html", "delivery", context)


def _is_tried_soon(delivery: WebhookDelivery, before: datetime) -> bool:
    paused_until = delivery.target.paused_until
    if delivery.due_at is None or (paused_until is not None and paused_until > before):
        return False
    return delivery.due_at < before


@page(Right.EDIT_SETTINGS)
@require_POST
def webhook_replay(request: ApplicationRequest, pk: int) -> HttpResponse:
    if not deliveries.replay(request.application.pk, [pk]):
        raise Http404("No delivery of this number.")
    messages.success(request, "It is posted again in a moment, with the same id.")
    return redirect("campaigns:webhook-delivery", request.application.pk, pk)


@page(Right.EDIT_SETTINGS)
@require_POST
def webhook_replay_all(request: ApplicationRequest) -> HttpResponse:
    count = deliveries.replay(request.application.pk)
    said = f"{count:,} deliver{'y is' if count == 1 else 'ies are'} posted again."
    messages.success(request, said if count else "Nothing was given up.")
    return redirect("campaigns:webhook-log", request.application.pk)
