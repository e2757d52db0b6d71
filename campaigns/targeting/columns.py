"""Tests of columns, tags and identities."""

from django.db.models import Exists, F, OuterRef, Q, UUIDField

from campaigns.errors import RuleError
from campaigns.targeting import values
from campaigns.targeting.context import Context, Test
from campaigns.targeting.days import day_test
from campaigns.targeting.expressions import NOBODY, any_of
from devices.models import Address, Identity, Person, Platform
from devices.versions import pack_version

VERSION_LENGTH = 64  # characters, as Address keeps it


def choice_test(context: Context, test: Test) -> Q:
    choices: dict[str, tuple[str, dict[str, object]]] = {
        "platform": ("a platform", {each.label: each.value for each in Platform}),
        "gender": ("a gender", {each.value: each.value for each in Person.Gender if each.value}),
        "kind": ("a type of person", {each.value: each.value for each in Person.Kind}),
    }
    what, known = choices[test.field.column]
    by_name = {name.lower(): value for name, value in known.items()}
    found = []
    for text in values.texts(test.value, test.place):
        if text.lower() not in by_name:
            raise RuleError(test.place, f"{what} is one of: {', '.join(known)}.")
        found.append(by_name[text.lower()])
    if test.op == "is" and len(found) > 1:
        raise RuleError(test.place, "expected one text, not a list.")
    return Q(**{f"{context.column(test.field)}__in": found})


def text_test(context: Context, test: Test) -> Q:
    column = context.column(test.field)
    if test.op == "not_empty":
        return Q(**{f"{column}__gt": ""})
    if test.op == "in":
        return any_of(F(column), values.texts(test.value, test.place))
    lookup = {"is": "exact", "starts_with": "startswith", "ends_with": "endswith"}
    text = values.text(test.value, test.place)
    return Q(**{f"{column}__{lookup.get(test.op, test.op)}": text})


def version_test(context: Context, test: Test) -> Q:
    """A device that never told its version is neither older nor newer."""
    column = context.column(test.field)
    if test.op == "not_empty":
        return Q(**{f"{column}__gt": 0})
    if test.op == "written":  # 4.10 is 4.10.0, but not written so
        text = values.text(test.value, test.place)
        said = Address.objects.filter(registration=OuterRef("pk"), **{column: text})
        return Q(**{column: pack_version(text)}) & Q(Exists(said))
    if test.op == "between":
        ends = values.pair(test.value, test.place)
        low, high = (_packed(end, f"{test.place}[{n}]") for n, end in enumerate(ends))
        return Q(**{f"{column}__range": (low, high)})
    packed = _packed(test.value, test.place)
    if test.op == "is":
        return Q(**{column: packed})
    condition = Q(**{f"{column}__{test.op}": packed})
    return condition & Q(**{f"{column}__gt": 0}) if test.op in ("lt", "lte") else condition


def _packed(value: object, place: str) -> int:
    packed = pack_version(values.text(value, place)[:VERSION_LENGTH])
    if not packed:
        raise RuleError(place, "expected a version such as 4.10.2.")
    return packed


def number_test(context: Context, test: Test) -> Q:
    column = context.column(test.field)
    if test.op == "not_empty":
        return Q(**{f"{column}__isnull": False})

    def read(value: object, place: str) -> int:
        return values.whole(value, place, least=-32_768, most=32_767, what="a whole number")

    if test.op == "between":
        ends = values.pair(test.value, test.place)
        low, high = (read(end, f"{test.place}[{n}]") for n, end in enumerate(ends))
        return Q(**{f"{column}__range": (low, high)})
    lookup = "exact" if test.op == "is" else test.op
    return Q(**{f"{column}__{lookup}": read(test.value, test.place)})


def flag_test(context: Context, test: Test) -> Q:
    """Whether it is on; the compiler turns it round when `false` is asked."""
    return Q(**{context.column(test.field): True})


def presence_test(context: Context, test: Test) -> Q:
    return Q(**{f"{context.column(test.field)}__isnull": False})


def tags_test(context: Context, test: Test) -> Q:
    column = context.column(test.field)
    if test.op == "not_empty":
        return Q(**{f"{column}__len__gt": 0})
    tags = values.texts(test.value, test.place)
    return Q(**{f"{column}__overlap" if test.op == "has_any" else f"{column}__contains": tags})


def identity_test(context: Context, test: Test) -> Q:
    """Whose person has one of these; spelled as identities are kept."""
    kind = Identity.Kind(int(test.field.column))
    if test.op == "not_empty":
        known = Identity.objects.filter(kind=kind, person=OuterRef("person_id"))
        return Q(Exists(known))
    if test.op == "is":
        texts = [values.text(test.value, test.place)]
    else:
        texts = values.texts(test.value, test.place)
    if kind == Identity.Kind.PHONE:
        texts = [text.removeprefix("+") for text in texts]
    elif kind == Identity.Kind.EMAIL:
        texts = [text.lower() for text in texts]
    people = Identity.objects.filter(any_of(F("value"), texts), kind=kind)
    return Q(person_id__in=people.values("person_id"))


def registration_test(context: Context, test: Test) -> Q:
    """Which devices have these public ids; what cannot be one matches nothing."""
    found = values.registration_ids(test.value, test.place)
    if not found:
        return NOBODY
    addresses = Address.objects.filter(any_of(F("public_id"), found, UUIDField()))
    return Q(pk__in=addresses.values("registration_id"))


def stored_day_test(context: Context, test: Test) -> Q:
    if test.op == "not_empty":
        return Q(**{f"{context.column(test.field)}__isnull": False})
    return day_test(context, test)
