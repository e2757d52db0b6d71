"""Merge tags: what a content says to one person. Liquid, of which only harmless parts are left.

A template is at most a field long, has no loops, and no filter that multiplies what it is given;
so rendering ends in microseconds whatever somebody writes.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, ClassVar, NoReturn

from django.db import connection
from django.db.models import Q
from liquid import Environment, Undefined
from liquid.exceptions import LiquidError, UndefinedError
from liquid.filter import string_filter
from liquid.static_analysis import TemplateAnalysis
from liquid.template import BoundTemplate

from devices.models import Platform

FIELDS = ("title", "text", "deep_link", "browser_url")  # of a content, in which tags may stand
CARDS = "carousel"  # the field of a content that holds cards, whose words and links may have tags
PERSON = (
    "first_name", "last_name", "middle_name", "gender", "birthday", "city", "country",
    "preferred_language",
)  # fmt: skip
DEVICE = ("language", "platform", "manufacturer", "model")
ATTRIBUTES = ("person", "device")  # person.tier, device["loyalty points"]
TAGS = frozenset({"if", "unless", "case", "assign", "comment", "#", "raw"})
FILTERS = frozenset(
    {
        "abs", "append", "capitalize", "ceil", "date", "default", "divided_by", "downcase",
        "escape", "floor", "lstrip", "minus", "modulo", "plus", "prepend", "remove", "round",
        "rstrip", "strip", "times", "truncate", "truncatewords", "upcase", "url_encode",
    }
)  # fmt: skip
LINKS = "deep_links"  # of a card: addresses by who opens them
MOST_BYTES = 16_384  # of what a template says: no cloud takes more

Values = Mapping[str, Any]
NOBODY: Values = {"person": {}, "device": {}}  # of whom nothing is known


class MissingValueError(Exception):
    """A value that a content needs is not known of somebody, and there is no fallback."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a template, and where."""

    problem: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.problem} (line {self.line}, column {self.column})"


class _Missing(Undefined):
    """A value nobody knows: it may be tested for, and have a fallback, but not be said."""

    __slots__ = ()

    def __str__(self) -> NoReturn:
        raise UndefinedError(f"{self.name} is not known", token=self.token)


class _Environment(Environment):
    block_nesting_limit: ClassVar[int] = 8
    loop_iteration_limit: ClassVar[int | None] = 1
    local_namespace_limit: ClassVar[int | None] = MOST_BYTES
    output_stream_limit: ClassVar[int | None] = MOST_BYTES


@string_filter
def _date(text: str, form: object = "%-d %B %Y") -> str:
    """A day as it is written: {{ birthday | date: "%-d %B" }}."""
    said = str(form)
    if not re.fullmatch(r"(%-?[aAbBdejmUuwYy%]|[^%]){0,60}", said):
        raise LiquidError("date takes %d %B %Y, %-d %b and the like", token=None)
    try:
        return date.fromisoformat(text[:10]).strftime(said)
    except ValueError:
        return text


def _made() -> _Environment:
    made = _Environment(undefined=_Missing, strict_filters=True)
    for name in set(made.tags) - TAGS - {"illegal", "content", "output", "statement"}:
        if name.isalpha():
            del made.tags[name]
    for name in set(made.filters) - FILTERS:
        del made.filters[name]
    made.filters["date"] = _date
    return made


_ENVIRONMENT = _made()
_ANY_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


@lru_cache(maxsize=2_000)
def _template(text: str) -> BoundTemplate:
    return _ENVIRONMENT.from_string(text)


def has_tags(text: str) -> bool:
    return "{{" in text or "{%" in text


def without_tags(text: str) -> str:
    """A text with a letter in place of each tag: to look at what surrounds them."""
    return _ANY_TAG.sub("x", text)


def fields_with_tags(content: Mapping[str, Any]) -> list[str]:
    fields = [name for name in FIELDS if has_tags(content.get(name) or "")]
    cards = any(has_tags(text) for card in content.get(CARDS, ()) for text in _of_card(card))
    return [*fields, CARDS] if cards else fields


def templates(content: Mapping[str, Any]) -> list[str]:
    """Everything of a content in which tags stand."""
    texts = [content.get(name) or "" for name in FIELDS]
    texts += [text for card in content.get(CARDS, ()) for text in _of_card(card)]
    return [text for text in texts if has_tags(text)]


def _of_card(card: Mapping[str, Any]) -> list[str]:
    return [card.get("headline", ""), card.get("description", ""), *card.get(LINKS, {}).values()]


def marked(content: dict[str, Any]) -> dict[str, Any]:
    """A content as a bulk keeps it: which of its fields are templates.

    What other systems submit is never marked: their braces are braces.
    """
    fields = fields_with_tags(content)
    return {**content, "merge": fields} if fields else content


def merged(content: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """The fields of a content that are templates, as somebody reads them.

    Raises MissingValueError.
    """
    return {
        name: [_card(card, values) for card in content[CARDS]]
        if name == CARDS
        else rendered(content[name], values)
        for name in content.get("merge", ())
    }


def _card(card: Mapping[str, Any], values: Values) -> dict[str, Any]:
    words = {name: rendered(card.get(name, ""), values) for name in ("headline", "description")}
    links = {name: rendered(url, values) for name, url in card.get(LINKS, {}).items()}
    return {**card, **words, LINKS: links}


def rendered(text: str, values: Values) -> str:
    """Raises MissingValueError, also for what cannot be said at all."""
    if not has_tags(text):
        return text
    try:
        return _template(text).render(**values)
    except LiquidError as problem:
        raise MissingValueError(str(problem.message)) from None
    except (ArithmeticError, TypeError, ValueError) as problem:
        raise MissingValueError(str(problem)) from None


# ------------------------------------------------------------------- what is asked for


@dataclass(frozen=True, slots=True, order=True)
class Variable:
    """A value that templates ask for: ("first_name",), ("person", "tier")."""

    path: tuple[str, ...]

    @property
    def name(self) -> str:
        """As people say it."""
        return self.path[-1].replace("_", " ")

    def lacking(self, *, sample: bool) -> Q:
        """The condition on Registration, or on its sample, that somebody has no such value."""
        person = "person_" if sample else "person__"
        root = self.path[0]
        if root in ATTRIBUTES:
            place = "attributes" if root == "device" else f"{person}attributes"
            name = self.path[1]
            known = Q(**{f"{place}__has_key": name}) & ~Q(**{f"{place}__contains": {name: ""}})
            return Q(**{f"{place}__isnull": True}) | ~known
        if root in DEVICE:
            return Q(**{root: ""}) if root != "platform" else Q(pk__isnull=True)
        column = person + root
        empty = Q(**{f"{column}__isnull": True})
        return empty if root == "birthday" else empty | Q(**{column: ""})


def variables(text: str) -> list[Variable]:
    """What a template asks of people and devices. Nothing of one that cannot be read."""
    try:
        analysis = _template(text).analyze()
    except LiquidError:
        return []
    found = set()
    for uses in analysis.globals.values():
        for use in uses:
            path = tuple(str(segment) for segment in use.segments)
            if path[0] in ATTRIBUTES and len(path) > 1:
                found.add(Variable(path[:2]))
            elif path[0] in (*PERSON, *DEVICE):
                found.add(Variable(path[:1]))
    return sorted(found)


def needs(text: str, variable: Variable) -> bool:
    """Whether the text cannot be said to somebody of whom this one value is not known."""
    values = _without(variables(text), variable)
    try:
        rendered(text, values)
    except MissingValueError:
        return True
    return False


def _without(known: Iterable[Variable], missing: Variable) -> Values:
    values: dict[str, Any] = {"person": {}, "device": {}}
    for variable in known:
        if variable == missing:
            continue
        here = values if len(variable.path) == 1 else values[variable.path[0]]
        here[variable.path[-1]] = "x"
    return values


# What the library says of a template, and how we say it to whoever wrote it.
_SAYINGS = [
    (re.compile(r"expected '\}\}', found end of file"), "A {{ has no }} that ends it"),
    (re.compile(r"expected '%\}', found end of file"), "A {% has no %} that ends it"),
    (
        re.compile(r"expected a primitive expression, found end of expression"),
        'Nothing is asked for here: write a name, such as {{ first_name | default: "there" }}',
    ),
    (
        re.compile(r"expected word, found end of expression"),
        'Something has to follow the |, such as default: "there"',
    ),
    (
        re.compile(r"expected end of expression, found \w+"),
        'There is a word too many: a fallback is written | default: "there"',
    ),
    (re.compile(r"expected tag (\w+), found .*"), r"A {% \1 %} is missing"),
    (re.compile(r"unexpected '[“”„‟«»‘’‚]'"), 'Type straight quotes, such as "there"'),
    (re.compile(r"unexpected (?:\"'\"|'\"')"), "A quote is opened and not closed"),
]
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_NO_FALLBACK = re.compile(r"\|\s*default\s*:?\s*(?=\||\}\}|%\})")


def _lone_end(text: str) -> int | None:
    """Where a tag ends that never began: it would be sent to everybody as it stands."""
    outside = _TAG.sub(lambda tag: " " * len(tag[0]), text)
    if "}}" not in outside or "{{" in outside or "{%" in outside:
        return None
    return outside.index("}}")


def mistake(text: str) -> Mistake | None:
    """The first thing that is wrong with a template."""
    if (end := _lone_end(text)) is not None:
        return Mistake("A }} has no {{ before it", *_at(text, end))
    if not has_tags(text):
        return None
    try:
        template = _template(text)
        analysis = template.analyze()
    except LiquidError as problem:
        return _placed(problem, text)
    for name, uses in analysis.globals.items():
        if name in ATTRIBUTES:
            if all(len(use.segments) > 1 for use in uses):
                continue
            problem_is = f"say which attribute, such as {name}.tier"
        elif name in (*PERSON, *DEVICE):
            continue
        else:
            problem_is = f"nobody has a {name}; known are {', '.join((*PERSON, *DEVICE))}"
            problem_is += ", person.… and device.… for attributes"
        return Mistake(problem_is[:1].upper() + problem_is[1:], *_at(text, uses[0].span.index))
    return _mistaken_filter(text, analysis)


def _mistaken_filter(text: str, analysis: TemplateAnalysis) -> Mistake | None:
    for name, spans in analysis.filters.items():
        if name not in FILTERS:
            known = ", ".join(sorted(FILTERS))
            sentence = f"There is no filter {name}; there are {known}"
            return Mistake(sentence, *_at(text, spans[0].index))
    if empty := _NO_FALLBACK.search(text):
        return Mistake('Say what stands instead: default: "there"', *_at(text, empty.start()))
    return None


def _placed(problem: LiquidError, text: str) -> Mistake:
    index = problem.token.start_index if problem.token is not None else 0
    line, column = _at(text, max(index, 0))
    said = str(problem.message or "this cannot be read")
    for pattern, words in _SAYINGS:
        if match := pattern.fullmatch(said):
            said = match.expand(words)
            break
    return Mistake(said[:1].upper() + said[1:], line, column)


def _at(text: str, index: int) -> tuple[int, int]:
    """Line and column of a place, from 1."""
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


# ------------------------------------------------------------------- whose values


_VALUES = f"""
SELECT r.id, r.language, r.platform, r.manufacturer, r.model, r.attributes, p.attributes,
       {", ".join(f"p.{name}" for name in PERSON)}
FROM devices_registration r LEFT JOIN devices_person p ON p.id = r.person_id
WHERE r.id = ANY(%s)
"""  # noqa: S608 - names of columns


# Of several devices the primary one speaks for a person, else the one that was seen last.
_OF_PEOPLE = f"""
SELECT p.id, r.language, r.platform, r.manufacturer, r.model, r.attributes, p.attributes,
       {", ".join(f"p.{name}" for name in PERSON)}
FROM devices_person p LEFT JOIN LATERAL (
    SELECT * FROM devices_registration d
    WHERE d.person_id = p.id AND d.application_id = %s
    ORDER BY d.enabled DESC, d."primary" DESC, d.last_seen_day DESC, d.id DESC
    LIMIT 1
) r ON true
WHERE p.id = ANY(%s)
"""  # noqa: S608 - names of columns


def values_of(registrations: Collection[int]) -> dict[int, Values]:
    """What merge tags can say of devices and whom they belong to. Empty is not known."""
    with connection.cursor() as cursor:
        cursor.execute(_VALUES, [list(registrations)])
        return {row[0]: _values(*row[1:]) for row in cursor.fetchall()}


def values_of_people(application: int, people: Collection[int]) -> dict[int, Values]:
    """Likewise of people, as a text message names them: with the device they use there, if any."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_PEOPLE, [application, list(people)])
        return {row[0]: _values(*row[1:]) for row in cursor.fetchall()}


def _values(
    language: str | None, platform: int | None, manufacturer: str | None, model: str | None,
    device: Any, person: Any, *names: Any,
) -> Values:  # fmt: skip
    told = {
        "language": language,
        "platform": "" if platform is None else Platform(platform).label,
        "manufacturer": manufacturer, "model": model, **dict(zip(PERSON, names, strict=True)),
    }  # fmt: skip
    values = {name: value for name, value in told.items() if value not in ("", None)}
    return {**values, "person": _known(person), "device": _known(device)}


def _known(attributes: Any) -> dict[str, Any]:
    found = _read(attributes)
    return {name: value for name, value in found.items() if value not in ("", None)}


def _read(attributes: Any) -> dict[str, Any]:
    """Attributes as a cursor gives them: text, or NULL without a person."""
    return json.loads(attributes) if isinstance(attributes, str) else attributes or {}


@dataclass(slots=True)
class Lack:
    """How many devices have no such value, and what they read instead."""

    variable: Variable
    devices: int
    stops: bool  # no fallback: they get nothing
