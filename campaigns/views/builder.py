"""Build a rule by mouse or by keyboard, and watch its audience grow."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from campaigns import building, rearranging, segmenting, suggesting
from campaigns.building import Node, TooLargeError
from campaigns.errors import CampaignError, NameTakenError, RuleError
from campaigns.models import Campaign, Segment, StaticList
from campaigns.rearranging import Done
from campaigns.targeting import ATTRIBUTE, EVENT, FIELDS, PERSON_ATTRIBUTE, Rule, sentence, to_q
from campaigns.targeting.fields import field_of
from campaigns.targeting.values import RECIPIENT, storable
from campaigns.views.segments import segment_of
from campaigns.views.sizes import size_of
from devices.models import Application, AttributeDefinition, Person, Platform
from devices.permissions import ApplicationRequest, Right, page

FORM = "campaigns/segment_form.html"
NAME_LENGTH = 100
OFFERED = 200  # campaigns, lists, segments to choose from
HAPPENED = ("sent", "received", "seen", "clicked", "session")
OTHERS = ("list", "segment")

Choice = tuple[str, str]  # what is posted, what is read


@dataclass(slots=True)
class Part:
    """A node of the tree with everything its markup needs."""

    node: Node
    place: str  # "1.2", as a person counts
    asked: str = ""  # options of what it asks
    operators: list[Choice] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    values: list[str] = field(default_factory=list)  # as many as there are inputs
    known: str = ""  # id of its suggestions
    event: str = ""  # the name that is typed
    where: str = ""  # conditions on properties, in words
    more: str = ""  # JSON of what is kept without an input
    large: str = ""  # JSON of a list too long to show
    members: list["Part"] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """What the form holds."""

    application: Application
    root: Node
    name: str = ""
    version: int = 1
    segment: Segment | None = None
    attributes: dict[str, AttributeDefinition] = field(default_factory=dict)

    def check(self) -> Rule:
        """The rule, with each fault noted at its node. Incomplete conditions stay in it."""
        rule = building.rule_of(self.root)
        for node in self.root.walk():
            if node.is_group or node.problem:
                continue
            alone = building.rule_of(Node(-1, "all", members=[node]))
            try:
                to_q(alone, self.application)
            except RuleError as fault:
                node.problem = fault.problem[:1].upper() + fault.problem[1:]
        return rule

    @property
    def faults(self) -> list[Node]:
        return [node for node in self.root.walk() if node.problem]


def _types(attributes: dict[str, AttributeDefinition]) -> dict[str, str]:
    return {name: each.type for name, each in attributes.items()}


def _posted(request: ApplicationRequest) -> Draft:
    attributes = suggesting.attributes_of(request.application)
    number = request.POST.get("segment", "")
    segment = None
    if number.isascii() and number.isdigit() and len(number) < 18:
        segment = Segment.objects.filter(pk=int(number), application=request.application).first()
    version = request.POST.get("version", "")
    return Draft(
        application=request.application,
        root=building.posted_tree(request.POST, _types(attributes)),
        name=request.POST.get("name", "").strip(),
        version=int(version) if version.isascii() and version.isdigit() and len(version) < 9 else 0,
        segment=segment,
        attributes=attributes,
    )


# ------------------------------------------------------------------------------------ the pages


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def segment_new(request: ApplicationRequest) -> HttpResponse:
    if request.method == "POST":
        return _save(request, _posted(request))
    root = Node(0, "all", members=[Node(1, building.TEST)])
    attributes = suggesting.attributes_of(request.application)
    return _page(request, Draft(request.application, root, attributes=attributes))


@require_http_methods(["GET", "POST"])
@page(Right.EDIT_CAMPAIGNS)
def segment_edit(request: ApplicationRequest, pk: int) -> HttpResponse:
    segment = segment_of(request, pk)
    if request.method == "POST":
        draft = _posted(request)
        draft.segment = segment
        return _save(request, draft)
    attributes = suggesting.attributes_of(request.application)
    try:
        root = building.tree_of(segment.rule, _types(attributes))
    except TooLargeError as refusal:
        messages.error(request, str(refusal))
        return redirect(segment)
    draft = Draft(
        request.application, root, segment.name, segment.version, segment, attributes=attributes
    )
    return _page(request, draft)


def _save(request: ApplicationRequest, draft: Draft) -> HttpResponse:
    """Keep the rule; or the same page, with what to mend beside each part."""
    fault = ""
    rule = draft.check()
    if not draft.name:
        fault = "Give the segment a name."
    elif len(draft.name) > NAME_LENGTH or not storable(draft.name):
        fault = f"A name has at most {NAME_LENGTH} characters."
    if fault or draft.faults:
        return _builder(request, draft, name_fault=fault, saving=True)
    try:
        if draft.segment is None:
            saved = segmenting.create(request.application, request.user, name=draft.name, rule=rule)
        else:
            saved = segmenting.change(
                draft.segment, request.user, version=draft.version, name=draft.name, rule=rule
            )
    except NameTakenError as refusal:
        return _builder(request, draft, name_fault=str(refusal), saving=True)
    except RuleError as refusal:
        return _builder(request, draft, fault=f"This rule {refusal.problem}", saving=True)
    except CampaignError as refusal:
        return _builder(request, draft, fault=str(refusal), saving=True)
    return HttpResponseClientRedirect(
        reverse("campaigns:segment", args=[request.application.pk, saved.pk])
    )


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def segment_build(request: ApplicationRequest) -> HttpResponse:
    """One action on the tree: add, remove, duplicate, wrap, move, ask something else."""
    draft = _posted(request)
    action, key, index = _action(request)
    return _builder(request, draft, done=rearranging.act(draft.root, action, key, index))


def _action(request: HttpRequest) -> tuple[str, int, int]:
    action, _, rest = request.POST.get("do", "").partition(":")
    numbers = [
        int(part) if part.isascii() and part.isdigit() and len(part) < 7 else -1
        for part in rest.split(":")[:2]
    ]
    key = numbers[0] if numbers else -1
    return action, key, numbers[1] if len(numbers) > 1 else 0


@require_POST
@page(Right.EDIT_CAMPAIGNS)
def segment_count(request: ApplicationRequest) -> HttpResponse:
    """Whom the conditions reach that are complete; asked while somebody types."""
    return render(request, f"{FORM}#segment-live", _live(request, _posted(request)))


def drafted_rule(request: ApplicationRequest) -> Rule:
    """The rule of the form, of those conditions that can be read."""
    draft = _posted(request)
    draft.check()
    return _complete(draft)


# -------------------------------------------------------------------------------------- context


def _page(request: ApplicationRequest, draft: Draft) -> HttpResponse:
    return render(request, FORM, _context(request, draft))


def _builder(request: ApplicationRequest, draft: Draft, **more: Any) -> HttpResponse:
    """The part that changed; the whole page to a click that came before the script."""
    template = f"{FORM}#segment-builder" if request.htmx else FORM
    return render(request, template, _context(request, draft, **more))


def _context(
    request: ApplicationRequest,
    draft: Draft,
    *,
    done: Done | None = None,
    fault: str = "",
    name_fault: str = "",
    saving: bool = False,
) -> dict[str, Any]:
    known: dict[str, tuple[str, list[str]]] = {}
    live = _live(request, draft, saving=saving)
    return {
        "draft": draft,
        "root": _part(draft, draft.root, "", known, _offered(draft)),
        "known": known.values(),
        "done": done or Done(),
        "fault": fault,
        "name_fault": name_fault,
        "recipient": RECIPIENT,
        **live,
    }


def _live(request: ApplicationRequest, draft: Draft, *, saving: bool = False) -> dict[str, Any]:
    draft.check()
    faults = [node for node in draft.faults if saving or any(node.values) or node.typed]
    missing = sum(1 for node in draft.faults if not node.is_group)
    live: dict[str, Any] = {"faults": faults, "missing": missing, "saving": saving}
    rule = _complete(draft)
    live["counted"] = hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()[:16]
    try:
        live["sentence"] = sentence(rule)
        exactly = "exactly" in request.POST
        live["size"] = size_of(draft.application, rule, exactly=exactly)
    except RuleError as problem:
        live["unreadable"] = str(problem)
    return live


def _complete(draft: Draft) -> Rule:
    """The rule of those conditions that can be read."""

    def kept(node: Node) -> Node | None:
        if not node.is_group:
            return None if node.problem else node
        members = [each for each in map(kept, node.members) if each is not None]
        if not members and node is not draft.root:
            return None
        return Node(node.key, node.kind, node.negated, members)

    root = kept(draft.root)
    if root is None or not root.members:
        return {"all": []}
    return building.rule_of(root)


def _fields(draft: Draft) -> list[tuple[str, list[Choice]]]:
    """What can be asked, in groups."""
    about = {name: each for name, each in FIELDS.items() if name not in (*HAPPENED, *OTHERS)}
    people = ("tag", "known", "external_id", "phone", "email")
    of_person = [n for n, each in about.items() if each.of_person or n in people]
    groups = [
        ("Device", [(n, each.label) for n, each in about.items() if n not in of_person]),
        ("Person", [(n, about[n].label) for n in of_person]),
        ("What happened", [*((n, FIELDS[n].label) for n in HAPPENED), (EVENT, "Event of the app")]),
        ("Lists and segments", [(name, FIELDS[name].label) for name in OTHERS]),
    ]
    used = {node.field for node in draft.root.walk() if node.field not in FIELDS}
    for title, prefix in (
        ("Attributes of the device", ATTRIBUTE),
        ("Attributes of the person", PERSON_ATTRIBUTE),
    ):
        names = {name for name in (*draft.attributes, *used) if name.startswith(prefix)}
        if names:
            groups.append((title, [(name, name.removeprefix(prefix)) for name in sorted(names)]))
    return groups


def _offered(draft: Draft) -> SafeString:
    """Options of what can be asked: written once, and not for each condition of a large rule."""
    groups = [
        (title, format_html_join("", '<option value="{}">{}</option>', names))
        for title, names in _fields(draft)
    ]
    return format_html_join("", '<optgroup label="{}">{}</optgroup>', groups)


def _chosen(offered: SafeString, name: str) -> SafeString:
    """The same options, with one of them selected."""
    option = format_html('<option value="{}"', EVENT if name.startswith(EVENT) else name)
    return mark_safe(offered.replace(f"{option}>", f"{option} selected>"))  # noqa: S308 - escaped


def _part(
    draft: Draft,
    node: Node,
    place: str,
    known: dict[str, tuple[str, list[str]]],
    offered: SafeString,
) -> Part:
    part = Part(node, place)
    if node.is_group:
        dotted = f"{place}." if place else ""
        part.members = [
            _part(draft, member, f"{dotted}{number}", known, offered)
            for number, member in enumerate(node.members, start=1)
        ]
        return part
    part.asked = _chosen(offered, node.field)
    part.operators = list(building.operators(node).items())
    part.values = list(node.values)
    if node.input in ("pair", "dates"):
        part.values = [*part.values, "", ""][:2]
    elif node.input not in ("chips", "choices"):
        part.values = [*part.values, ""][:1]
    part.choices = _choices(draft, node)
    if "where" in node.more:
        part.more = json.dumps({"where": node.more["where"]})
    if node.large is not None:
        part.large = json.dumps(node.large)
    if node.field.startswith(EVENT):
        part.event = node.field.removeprefix(EVENT)
        part.known = _suggestions(draft, EVENT, known)
        if node.more.get("where") and part.event and not node.problem:
            said = sentence({"field": node.field, "op": "ever", "where": node.more["where"]})
            part.where = said.partition(" where ")[2]
    elif node.input in ("chips", "one", "pair"):
        part.known = _suggestions(draft, node.field, known)
    return part


def _suggestions(draft: Draft, name: str, known: dict[str, tuple[str, list[str]]]) -> str:
    """The id of the list of suggestions for a field; empty where there are none."""
    if name not in known:
        values = suggesting.values_of(draft.application, name)
        known[name] = (f"known-{len(known)}", values)
    element, values = known[name]
    return element if values else ""


def _choices(draft: Draft, node: Node) -> list[Choice]:
    if node.field_kind == "behaviour":
        campaigns = Campaign.objects.filter(application=draft.application).order_by("-pk")
        return _rows(campaigns.values_list("pk", "name")[:OFFERED], node.more.get("campaign"))
    if node.input == "list":
        lists = StaticList.objects.filter(application=draft.application)
        return _rows(lists.values_list("pk", "name")[:OFFERED], *node.values)
    if node.input == "segment":
        segments = Segment.objects.filter(application=draft.application)
        if draft.segment is not None:
            segments = segments.exclude(pk=draft.segment.pk)
        return _rows(segments.values_list("pk", "name")[:OFFERED], *node.values)
    if node.input in ("choice", "choices"):
        known = field_of(node.field)
        column = known.column if known else ""
        return {
            "platform": [(each.label, each.label) for each in Platform],
            "gender": [(each.value, str(each.label)) for each in Person.Gender if each.value],
            "kind": [(each.value, str(each.label)) for each in Person.Kind],
        }.get(column, [])
    return []


def _rows(rows: Any, *chosen: object) -> list[Choice]:
    """Rows by number and name; one that is chosen and not among them keeps its number."""
    found = [(str(pk), name) for pk, name in rows]
    offered = {pk for pk, _ in found}
    gone = [str(each) for each in chosen if each not in (None, "") and str(each) not in offered]
    return [*found, *((number, f"number {number}") for number in gone)]
