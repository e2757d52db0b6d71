"""Pages of snippets: the short texts that the composer puts into titles and texts."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import snippets
from campaigns.errors import NameTakenError, SnippetError
from campaigns.models import Snippet
from campaigns.template_forms import SnippetForm
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial, searched

FORM = "campaigns/snippet_form.html"


def snippet_of(request: ApplicationRequest, pk: int) -> Snippet:
    found = get_object_or_404(Snippet, pk=pk, application=request.application)
    found.application = request.application
    return found


@require_GET
@page(Right.SEE_CAMPAIGNS)
def snippet_list(request: ApplicationRequest) -> HttpResponse:
    """Snippets, newest first, with their words."""
    found = Snippet.objects.filter(application=request.application).select_related("changed_by")
    search = searched(request)
    if search:
        found = found.filter(name__icontains=search) | found.filter(text__icontains=search)
    pager = newest_first(request, found, one="snippet", many="snippets")
    context = {"pager": pager, "search": search}
    return page_or_partial(request, "campaigns/snippet_list.html", "snippet-table", context)


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def snippet_new(request: ApplicationRequest) -> HttpResponse:
    form = SnippetForm(request.POST) if request.method == "POST" else SnippetForm()
    if form.is_valid():
        try:
            made = snippets.create(request.application, request.user, **form.cleaned_data)
        except NameTakenError as fault:
            form.add_error("name", str(fault))
        else:
            messages.success(request, f"{made.name} is here: look beside titles and texts.")
            return redirect("campaigns:snippets", request.application.pk)
    return render(request, FORM, {"form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def snippet_edit(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Its name and words. What it was put into before stays as it is."""
    snippet = snippet_of(request, pk)
    stored = {"name": snippet.name, "text": snippet.text}
    form = SnippetForm(request.POST) if request.method == "POST" else SnippetForm(initial=stored)
    if form.is_valid():
        try:
            changed = snippets.change(snippet, request.user, **form.cleaned_data)
        except NameTakenError as fault:
            form.add_error("name", str(fault))
        except SnippetError as refusal:
            messages.error(request, str(refusal))
            return redirect("campaigns:snippets", request.application.pk)
        else:
            messages.success(request, f"{changed.name} is saved.")
            return redirect("campaigns:snippets", request.application.pk)
    context = {"form": form, "snippet": snippet}
    return render(request, FORM, context, status=422 if form.errors else 200)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def snippet_delete(request: ApplicationRequest, pk: int) -> HttpResponse:
    snippet = snippet_of(request, pk)
    snippets.delete(snippet, request.user)
    messages.success(request, f"{snippet.name} is deleted.")
    return redirect("campaigns:snippets", request.application.pk)
