"""Pages of templates: what they say, who made them, what was made from them."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from campaigns import templating
from campaigns.card_forms import kind_of
from campaigns.content_forms import where_stored
from campaigns.errors import NameTakenError, TemplateError
from campaigns.models import ContentTemplate
from campaigns.template_forms import TemplateForm
from devices.models import AuditEntry
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial, searched

CHANGES = 5  # of the history
DETAIL = "campaigns/template_detail.html"


@dataclass(frozen=True, slots=True)
class Sketch:
    """A template at a glance: what its default content shows, and what else there is."""

    template: ContentTemplate
    title: str
    text: str
    picture: bool
    facts: list[str]


def sketch(template: ContentTemplate) -> Sketch:
    contents: list[dict[str, Any]] = template.contents
    first = next(each for each in contents if not each["language"] and not each["variant"])
    languages = len({each["language"] for each in contents})
    variants = len({each["variant"] for each in contents})
    facts = [f"{languages} languages"] if languages > 1 else []
    facts += [f"{variants} variants"] if variants > 1 else []
    if kind := kind_of(first["options"]):
        facts.append(f"{kind} of {len(first['options']['carousel'])}")
    facts += ["silent"] if first["options"].get("silent") else []
    picture = bool(first["image_url"] or kind)
    return Sketch(template, first["title"], first["text"], picture, facts)


def template_of(request: ApplicationRequest, pk: int) -> ContentTemplate:
    found = get_object_or_404(
        templating.used(request.application).select_related("created_by", "changed_by"), pk=pk
    )
    found.application = request.application
    return found


@require_GET
@page(Right.SEE_CAMPAIGNS)
def template_list(request: ApplicationRequest) -> HttpResponse:
    """Templates, newest first, as they look on a phone."""
    templates = templating.used(request.application).select_related("changed_by")
    search = searched(request)
    if search:
        templates = templates.filter(name__icontains=search)
    pager = newest_first(request, templates, one="template", many="templates")
    context = {"pager": pager, "lines": [sketch(each) for each in pager.rows], "search": search}
    return page_or_partial(request, "campaigns/template_list.html", "template-cards", context)


@require_GET
@page(Right.SEE_CAMPAIGNS)
def template_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    """All that it says, in each language and variant."""
    return _detail(request, template_of(request, pk))


def _detail(
    request: ApplicationRequest, template: ContentTemplate, form: TemplateForm | None = None
) -> HttpResponse:
    context = {
        "template": template,
        "sketch": sketch(template),
        "contents": [(where_stored(each), each) for each in template.contents],
        "fate": _fate(template),
        "form": form or TemplateForm(initial={"name": template.name}),
        "changes": AuditEntry.objects.filter(
            object_type="contenttemplate",
            object_id=str(template.pk),
            application=request.application,
        )[:CHANGES],
    }
    return render(request, DETAIL, context, status=422 if form else 200)


def _fate(template: ContentTemplate) -> str:
    """What becomes of everything once it is deleted."""
    uses: int = vars(template)["uses"]  # as `templating.used` counts them
    told = "The template is gone for good."
    if uses == 1:
        told += " The campaign made from it keeps what it says."
    elif uses:
        told += f" The {uses:,} campaigns made from it keep what they say."
    return told


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def template_start(request: ApplicationRequest, pk: int) -> HttpResponse:
    """A draft that says what the template does."""
    try:
        campaign = templating.start(template_of(request, pk), request.user)
    except TemplateError as refusal:
        messages.error(request, str(refusal))
        return redirect("campaigns:templates", request.application.pk)
    return redirect("campaigns:edit", request.application.pk, campaign.pk)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def template_rename(request: ApplicationRequest, pk: int) -> HttpResponse:
    template, form = template_of(request, pk), TemplateForm(request.POST)
    if form.is_valid():
        try:
            renamed = templating.rename(template, request.user, form.cleaned_data["name"])
        except NameTakenError as fault:
            form.add_error("name", str(fault))
        except TemplateError as refusal:
            messages.error(request, str(refusal))
            return redirect("campaigns:templates", request.application.pk)
        else:
            messages.success(request, f"It is called {renamed.name} now.")
            return redirect(renamed)
    return _detail(request, template, form)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def template_delete(request: ApplicationRequest, pk: int) -> HttpResponse:
    template = template_of(request, pk)
    templating.delete(template, request.user)
    messages.success(request, f"{template.name} is deleted.")
    return redirect("campaigns:templates", request.application.pk)
