"""Lists of people and devices for other systems: /lists/1/. As the segments API in all else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from django.db import transaction
from django.db.models import Count, Prefetch
from pydantic import Field

from api.endpoint import (
    ApiRequest,
    Json,
    Refusal,
    Schema,
    Text100,
    Text256,
    elsewhere,
    endpoint,
    reading,
)
from api.segments import FAMILY, LARGEST, page_of, time_of
from campaigns import listing, membership
from campaigns.errors import ListError, ListInUseError, NameTakenError
from campaigns.membership import Meant
from campaigns.models import ListMember, StaticList
from devices.models import Identity, Person

MOST_NAMES = 10_000  # of one call
NAMES = {  # of our keys, as this API writes them
    "external_id": "externalIds",
    "phone": "phones",
    "email": "emails",
    membership.REGISTRATION: "registrationIds",
}
Names = Annotated[list[Text256], Field(max_length=MOST_NAMES)]


class ListBody(Schema):
    name: Text100 = Field(min_length=1)
    doNotContact: bool | None = None  # noqa: N815 - left out: as it is


class MembersBody(Schema):
    externalIds: Names = []  # noqa: N815
    phones: Names = []
    emails: Names = []
    registrationIds: Names = []  # noqa: N815


def _create(request: ApiRequest, body: ListBody) -> Json:
    """POST /lists/1/lists: an empty list."""
    with _refusing(), transaction.atomic():
        created = listing.create(request.application, request.author, body.name)
        _refuse_contact(request, created, body)
    return list_json(created, 0, 0)


def _refuse_contact(request: ApiRequest, static: StaticList, body: ListBody) -> None:
    if body.doNotContact is None:
        return
    try:
        listing.refuse_contact(static, request.author, refused=body.doNotContact)
    except ListError as fault:
        raise Refusal(409, "DO_NOT_CONTACT", str(fault)) from fault


def _list(request: ApiRequest) -> Json:
    """GET /lists/1/lists?after=&limit=, in the order of their numbers."""
    after, limit = page_of(request)
    lists = StaticList.objects.filter(application=request.application, pk__gt=after)
    shown = list(lists.order_by("pk")[: limit + 1])
    sizes = _sizes(shown[:limit])
    return {
        "lists": [list_json(each, *sizes.get(each.pk, (0, 0))) for each in shown[:limit]],
        "next": shown[limit - 1].pk if len(shown) > limit else None,
    }


def _sizes(lists: list[StaticList]) -> dict[int, tuple[int, int]]:
    counted = ListMember.objects.filter(list__in=lists).order_by().values_list("list")
    rows = counted.annotate(people=Count("person"), devices=Count("registration"))
    return {pk: (people, devices) for pk, people, devices in rows}


def _read(request: ApiRequest, number: int) -> Json:
    return _sized(_found(request, number))


def _rename(request: ApiRequest, body: ListBody, number: int) -> Json:
    """PUT …/{id}: another name; and whether nobody on it gets anything."""
    found = _found(request, number)
    with _refusing(), transaction.atomic():
        renamed = listing.rename(found, request.author, body.name)
        _refuse_contact(request, renamed, body)
    return _sized(renamed)


def _sized(found: StaticList) -> Json:
    return list_json(found, *_sizes([found]).get(found.pk, (0, 0)))


def _delete(request: ApiRequest, number: int) -> None:
    """DELETE …/{id}: refused while a campaign or a segment names it."""
    with _refusing():
        listing.delete(_found(request, number), request.author)


def _members(request: ApiRequest, number: int) -> Json:
    """GET …/members?after=&limit=: who is on it, in the order in which they were added."""
    found, (after, limit) = _found(request, number), page_of(request)
    identities = Prefetch("person__identities", Identity.objects.order_by("kind", "pk"))
    rows = ListMember.objects.filter(list=found, pk__gt=after).order_by("pk")
    rows = rows.select_related("person", "registration__address").prefetch_related(identities)
    shown = list(rows[: limit + 1])
    return {
        "members": [_member_json(each) for each in shown[:limit]],
        "next": shown[limit - 1].pk if len(shown) > limit else None,
    }


def _add(request: ApiRequest, body: MembersBody, number: int) -> Json:
    """POST …/members: whoever is known is added; names of nobody come back."""
    found = _found(request, number)
    with _refusing():
        meant = _meant(request, body)
        added = listing.add_many(found, request.author, meant.members)
    return {"added": added, "before": len(meant.members) - added, "unknown": _unknown(meant)}


def _remove(request: ApiRequest, body: MembersBody, number: int) -> Json:
    """POST …/members/remove: whoever is on it is taken off."""
    found = _found(request, number)
    with _refusing():
        meant = _meant(request, body)
        removed = listing.remove_many(found, request.author, meant.members)
    return {"removed": removed, "unknown": _unknown(meant)}


def _meant(request: ApiRequest, body: MembersBody) -> Meant:
    names = {key: getattr(body, name) for key, name in NAMES.items()}
    number = sum(map(len, names.values()))
    if not 1 <= number <= MOST_NAMES:
        text = f"{', '.join(NAMES.values())} together should have 1 to {MOST_NAMES} members"
        raise Refusal(400, "BAD_REQUEST", text)
    return membership.meant(request.application, names)


def _unknown(meant: Meant) -> Json:
    return {NAMES[key]: texts for key, texts in meant.unknown.items()}


def _found(request: ApiRequest, number: int) -> StaticList:
    lists = StaticList.objects.select_related("application")
    found = lists.filter(pk=number, application=request.application) if number <= LARGEST else None
    static = found.first() if found is not None else None
    if static is None:
        raise Refusal(404, "NOT_FOUND", f"This application has no list {number}")
    return static


@contextmanager
def _refusing() -> Iterator[None]:
    """Refusals of a change, as this API says them."""
    try:
        yield
    except NameTakenError as fault:
        raise Refusal(409, "NAME_TAKEN", "This application has a list of that name") from fault
    except ListInUseError as fault:
        raise Refusal(409, "IN_USE", str(fault)) from fault
    except ListError as fault:
        raise Refusal(400, "MEMBER", str(fault)) from fault


def list_json(found: StaticList, people: int, devices: int) -> Json:
    return {
        "id": found.pk,
        "name": found.name,
        "people": people,
        "devices": devices,
        "doNotContact": found.do_not_contact,
        "createdAt": time_of(found.created_at),
        "changedAt": time_of(found.changed_at),
    }


def _member_json(member: ListMember) -> Json:
    told: dict[str, Any] = {}
    if member.person is not None:
        told["person"] = _person_json(member.person)
    if member.registration is not None:
        told["registrationId"] = str(member.registration.address.public_id)
    return {**told, "addedAt": time_of(member.added_at)}


def _person_json(person: Person) -> Json:
    """By what a person is known."""
    values: dict[int, list[str]] = {}
    for each in person.identities.all():
        values.setdefault(each.kind, []).append(each.value)
    return {
        "externalId": next(iter(values.get(Identity.Kind.EXTERNAL_ID, ())), None),
        "phones": values.get(Identity.Kind.PHONE, []),
        "emails": values.get(Identity.Kind.EMAIL, []),
    }


lists = endpoint(FAMILY, GET=_list, POST=reading(ListBody, FAMILY)(_create))
one = endpoint(FAMILY, GET=_read, PUT=reading(ListBody, FAMILY)(_rename), DELETE=_delete)
members = endpoint(FAMILY, GET=_members, POST=reading(MembersBody, FAMILY)(_add))
removals = endpoint(FAMILY, POST=reading(MembersBody, FAMILY)(_remove))
nothing = elsewhere(FAMILY)
