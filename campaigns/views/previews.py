"""What one real recipient of a draft would read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from campaigns import merging, variants
from campaigns.content_forms import ContentForm
from campaigns.forms import ComposerForm
from campaigns.languages import Contents
from campaigns.merging import MissingValueError
from campaigns.models import Campaign
from campaigns.views.campaigns import campaign_of
from devices.models import Registration
from devices.permissions import ApplicationRequest, Right, page


@dataclass(frozen=True, slots=True)
class Shown:
    """What a phone shows of a content."""

    title: str
    text: str
    picture: bool
    kind: str = ""  # carousel or slider
    cards: list[dict[str, str]] = field(default_factory=list)
    style: str = ""  # inside the app: BANNER or MODAL
    open_title: str = ""
    dismiss_title: str = ""


def typed(form: ContentForm) -> dict[str, Any]:
    """What is seen of a content, as providers.base.PushNotification calls it."""
    words: dict[str, Any] = {name: form[name].value() or "" for name in ("title", "text")}
    cards = [
        {name: card[name].value() or "" for name in ("headline", "description")}
        for card in form.cards
    ]
    return words | {merging.CARDS: cards}


def shown(form: ContentForm, said: Mapping[str, Any] | None = None) -> Shown:
    """What is typed, or, with merge tags filled in, what somebody reads."""
    read = typed(form) | dict(said or {})
    return Shown(
        title=read["title"],
        text=read["text"],
        picture=bool(form["image_url"].value() or read[merging.CARDS]),
        kind=form["pictures"].value() or "",
        cards=read[merging.CARDS],
        style=form["in_app_style"].value() or "",
        open_title=form["in_app_open_title"].value() or "",
        dismiss_title=form["in_app_dismiss_title"].value() or "",
    )


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def campaign_preview(request: ApplicationRequest, pk: int) -> HttpResponse:
    """What is typed as somebody reads it: in their language and variant, with their name."""
    campaign = campaign_of(request, pk)
    form = ComposerForm(request.POST, application=request.application, campaign=campaign)
    asked = request.POST.get("preview_as", "")
    device = None
    if asked.isdecimal() and len(asked) < 19:
        own = Registration.objects.filter(application=request.application)
        device = own.filter(pk=int(asked)).first()
    context: dict[str, Any] = {"campaign": campaign, "shown": shown(form)}
    if device is not None:
        context |= _read_by(device, campaign, form)
    return render(request, "campaigns/_preview.html#preview", context)


def _read_by(device: Registration, campaign: Campaign, form: ComposerForm) -> dict[str, Any]:
    split = variants.split_of(campaign.split)
    variant = variants.variant_of(split, seed=variants.seed_of(campaign), registration=device.pk)
    if variant is None:
        return {"not_sent": "They are held out: they get nothing."}
    forms: list[ContentForm] = [form, *form.others]
    places = [{"language": "", "variant": 0}]
    places += [{"language": each.of.language, "variant": each.of.variant} for each in form.others]
    chosen = forms[Contents(places).place(device.language, variant)]
    values = merging.values_of([device.pk]).get(device.pk, merging.NOBODY)
    try:
        said = merging.merged(merging.marked(typed(chosen)), values)
    except MissingValueError as problem:
        return {"not_sent": f"They do not get it: {problem}, and there is no fallback."}
    return {"shown": shown(chosen, said)}
