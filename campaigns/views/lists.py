"""Pages of lists: who was put on them by hand, by file or by another system."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import listing, usage
from campaigns.errors import ListError, ListInUseError, NameTakenError
from campaigns.listing_forms import ListForm, MemberForm, NewListForm
from campaigns.models import ListMember, ListUpload, StaticList
from campaigns.views.sizes import size_of
from campaigns.views.uploads import STATES, receive
from devices import audit, finding
from devices.models import Application, AuditEntry, Identity
from devices.permissions import ApplicationRequest, Right, page
from pushadmin.web import newest_first, page_or_partial, searched

CHANGES = 5  # of the history
FILES = 5  # that were put on it last
DETAIL = "campaigns/list_detail.html"


@dataclass(frozen=True, slots=True)
class Line:
    """A member as its list shows it."""

    member: ListMember
    name: str
    note: str  # by what else it is known
    url: str


def list_of(request: ApplicationRequest, pk: int) -> StaticList:
    found = get_object_or_404(StaticList, pk=pk, application=request.application)
    found.application = request.application
    return found


@require_GET
@page(Right.SEE_CAMPAIGNS)
def list_list(request: ApplicationRequest) -> HttpResponse:
    """Lists, newest first, with how many stand on each."""
    lists = StaticList.objects.filter(application=request.application)
    search = searched(request)
    if search:
        lists = lists.filter(name__icontains=search)
    pager = newest_first(request, lists, one="list", many="lists")
    sizes = _sizes(pager.rows)
    uses = usage.of_lists(request.application)
    context = {
        "pager": pager,
        "lines": [(each, sizes.get(each.pk, (0, 0)), uses.get(each.pk, [])) for each in pager.rows],
        "search": search,
    }
    return page_or_partial(request, "campaigns/list_list.html", "list-table", context)


def _sizes(lists: Any) -> dict[int, tuple[int, int]]:
    """People and devices on each list."""
    counted = (
        ListMember.objects.filter(list__in=list(lists))
        .order_by()
        .values_list("list")
        .annotate(people=Count("person"), devices=Count("registration"))
    )
    return {pk: (people, devices) for pk, people, devices in counted}


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def list_new(request: ApplicationRequest) -> HttpResponse:
    """A name, and perhaps a file of its first members."""
    posted = request.method == "POST"
    form = NewListForm(request.POST, request.FILES) if posted else NewListForm()
    if posted and form.is_valid():
        try:
            made = listing.create(
                request.application,
                audit.author_of(request.user, request),
                form.cleaned_data["name"],
            )
        except NameTakenError as fault:
            form.add_error("name", str(fault))
        else:
            if file := form.cleaned_data["file"]:
                return redirect(receive(request, made, file))
            messages.success(request, f"{made.name} is here. Nobody is on it yet.")
            return redirect(made)
    status = 422 if form.is_bound else 200
    return render(request, "campaigns/list_new.html", {"form": form}, status=status)


@require_GET
@page(Right.SEE_CAMPAIGNS)
def list_detail(request: ApplicationRequest, pk: int) -> HttpResponse:
    """How many stand on it, who they are, what was put on it, what uses it."""
    return _detail(request, list_of(request, pk))


def _detail(
    request: ApplicationRequest,
    shown: StaticList,
    *,
    member_form: MemberForm | None = None,
    list_form: ListForm | None = None,
) -> HttpResponse:
    uploads = ListUpload.objects.filter(list=shown).select_related("run").order_by("-pk")[:FILES]
    people, devices = _sizes([shown]).get(shown.pk, (0, 0))
    context = {
        "list": shown,
        "people": people,
        "devices": devices,
        "size": size_of(request.application, {"field": "list", "op": "in", "value": shown.pk}),
        "used_by": usage.of_lists(request.application).get(shown.pk, []),
        "uploads": [(each, STATES[each.run.status]) for each in uploads],
        "changes": AuditEntry.objects.filter(
            object_type="staticlist", object_id=str(shown.pk), application=request.application
        )[:CHANGES],
        "member_form": member_form or MemberForm(),
        "list_form": list_form or ListForm(initial={"name": shown.name}),
    }
    if Right.SEE_DEVICES in request.rights:
        search = searched(request)[:4096]
        members = _members(request.application, shown, search)
        pager = newest_first(request, members, one="member", many="members")
        context |= {"pager": pager, "search": search, "lines": _lines(shown, pager.rows)}
    if member_form is not None or list_form is not None:
        return render(request, DETAIL, context, status=422)
    return page_or_partial(request, DETAIL, "list-members", context)


def _members(application: Application, shown: StaticList, search: str) -> QuerySet[ListMember]:
    members = ListMember.objects.filter(list=shown).select_related(
        "person", "registration__address"
    )
    members = members.prefetch_related(
        Prefetch("person__identities", Identity.objects.order_by("kind", "pk"))
    )
    if search:
        people = finding.find_people(application, search).keys
        devices = finding.find(application, search).keys
        members = members.filter(Q(person__in=people) | Q(registration__in=devices))
    return members


def _lines(shown: StaticList, members: Any) -> list[Line]:
    lines = []
    for member in members:
        if member.person is not None:
            identities = [each.value for each in member.person.identities.all()]
            name = " ".join(filter(None, (member.person.first_name, member.person.last_name)))
            name = name or (identities.pop(0) if identities else str(member.person))
            url = reverse("devices:person", args=[shown.application_id, member.person_id])
            lines.append(Line(member, name, " · ".join(identities[:3]), url))
        else:
            device = member.registration
            url = reverse("devices:detail", args=[shown.application_id, device.pk])
            name = device.model or device.get_platform_display()
            lines.append(Line(member, name, str(device.address.public_id), url))
    return lines


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def member_add(request: ApplicationRequest, pk: int) -> HttpResponse:
    """Put one person, or one device, on the list."""
    shown, form = list_of(request, pk), MemberForm(request.POST)
    if form.is_valid():
        told = form.cleaned_data
        author = audit.author_of(request.user, request)
        try:
            added = listing.add_one(shown, author, key=told["key"], text=told["text"])
        except ListError as fault:
            form.add_error("text", str(fault))
        else:
            said = "One member more." if added else "That member was on the list already."
            messages.success(request, said)
            return redirect(shown)
    return _detail(request, shown, member_form=form)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def member_remove(request: ApplicationRequest, pk: int, member: int) -> HttpResponse:
    """Take one member off; one who is not there any more is no fault."""
    shown = list_of(request, pk)
    found = ListMember.objects.filter(pk=member, list=shown).first()
    author = audit.author_of(request.user, request)
    if found is not None and listing.take_off(shown, author, found):
        messages.success(request, "One member less.")
    else:
        messages.success(request, "That member was not on the list any more.")
    return redirect(shown)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def list_rename(request: ApplicationRequest, pk: int) -> HttpResponse:
    shown, form = list_of(request, pk), ListForm(request.POST)
    if form.is_valid():
        author = audit.author_of(request.user, request)
        try:
            return redirect(listing.rename(shown, author, form.cleaned_data["name"]))
        except NameTakenError as fault:
            form.add_error("name", str(fault))
    return _detail(request, shown, list_form=form)


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def list_delete(request: ApplicationRequest, pk: int) -> HttpResponse:
    shown = list_of(request, pk)
    try:
        listing.delete(shown, audit.author_of(request.user, request))
    except ListInUseError as refusal:
        messages.error(request, str(refusal))
        return redirect(shown)
    messages.success(request, f"{shown.name} is deleted.")
    return redirect("campaigns:lists", request.application.pk)
