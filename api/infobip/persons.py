"""People of the account: /people/2/persons (contract/people.md 7, 8)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace as changed
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest
from pydantic import ValidationError

from api import keys, limits
from api.auth import find_application
from api.endpoint import (
    ApiRequest,
    Family,
    Json,
    Refusal,
    body_of,
    endpoint,
    explain,
    method_of,
)
from api.infobip.people import Contacts, contacts_of, registration_json
from api.infobip.person_data import PersonData
from api.infobip.violations import EXCEPTIONS, exception_json
from devices import personalizing, registering
from devices.audit import Author
from devices.errors import (
    CustomAttributeError,
    DeviceError,
    EmailError,
    ExternalIdError,
    IdentityTakenError,
    PhoneError,
    TagError,
    UnknownPersonError,
    UnknownRegistrationError,
)
from devices.models import ApiKey, Application, Identity, Person, Registration
from devices.unsaid import UNSAID

READ = ("people:read", "people:manage")
MANAGE = ("people:manage",)
BAD_REQUEST, BAD_QUERY, NO_PERSON = "40001", "40019", "40401"
KINDS = {"ID", "EXTERNAL_ID", "PHONE", "EMAIL", "PUSH"}  # of identifiers
TAKEN = {
    Identity.Kind.EXTERNAL_ID: ("40003", "External id belongs to another person"),
    Identity.Kind.PHONE: ("40004", "Phone number belongs to another person"),
    Identity.Kind.EMAIL: ("40005", "E-mail belongs to another person"),
}
MOST_DEVICES = 100  # shown of one person
LIMIT, MOST = 20, 1000  # people of one page
MOST_PAGES = 10**6
ORDERS = {
    "firstName": "first_name",
    "lastName": "last_name",
    "createdAt": "created_at",
    "modifiedAt": "changed_at",
}


class SystemRequest(ApiRequest):
    """A request of a system that is known."""

    author: Author


def error_json(refusal: Refusal) -> Json:
    code, text = refusal.code, refusal.text
    if refusal.status == 429:
        code = "42901"
    elif refusal.status == 500:
        code, text = EXCEPTIONS[500]
    return exception_json(code, text)


def _authorize(request: HttpRequest) -> None:
    """See who calls, and whether so often."""
    method = method_of(request)
    scopes = READ if method == "GET" else MANAGE
    author = keys.author_of(request, ApiKey.Family.INFOBIP, scopes)
    most = settings.PERSON_CREATIONS_PER_SECOND if method == "POST" else (
        settings.PERSON_CALLS_PER_SECOND
    )  # fmt: skip
    limits.take(f"persons:{method}", most)
    cast("SystemRequest", request).author = author


FAMILY = Family(
    authorize=_authorize,
    error=error_json,
    bad_format=BAD_REQUEST,
    not_found="NOT_FOUND",
    fault="GENERAL_ERROR",
    headers=dict,
    empty=HTTPStatus.OK,
)

# ------------------------------------------------------------------- bodies


def _read(request: HttpRequest) -> PersonData:
    try:
        body = PersonData.model_validate_json(body_of(request, FAMILY))
    except ValidationError as errors:
        if errors.errors()[0]["loc"] == ("birthDate",):
            raise Refusal(404, "40407", explain(errors)) from errors
        raise Refusal(400, BAD_REQUEST, explain(errors)) from errors
    if body.contacts is not None and body.contacts.push:
        text = "contactInformation.push cannot be changed here: apps register their devices"
        raise Refusal(400, "40013", text)
    for name, value in (body.custom or {}).items():
        if isinstance(value, list | dict):
            expected = "string, number, boolean or date (YYYY-MM-DD)"
            text = f"customAttributes.{name[:100]} should be {expected}"
            raise Refusal(400, "40007", text)
    return body


def _refused(error: DeviceError) -> Refusal:
    match error:
        case UnknownPersonError() | UnknownRegistrationError():
            return Refusal(404, NO_PERSON, "Person does not exist")
        case IdentityTakenError():
            return Refusal(400, *TAKEN[Identity.Kind(error.kind)])
        case CustomAttributeError():
            return Refusal(400, "40007", f"customAttributes.{error}")
        case PhoneError():
            text = f"Invalid phone number: {error.number} ({error.details})"
        case EmailError():
            text = f"Invalid email: {error.email}"
        case ExternalIdError():
            text = f"externalId should be {error}"
        case TagError():
            text = f"tags should be {error}"
        case _:
            text = str(error)
    return Refusal(400, BAD_REQUEST, text)


# ------------------------------------------------------------------- answers


def people_json(people: Sequence[Person]) -> list[Json]:
    """People as systems read them (7), in three queries; what is not known is left out."""
    contacts, push = contacts_of(people), _devices_of(people)
    return [_person_json(each, contacts[each.pk], push.get(each.pk, [])) for each in people]


def _devices_of(people: Collection[Person]) -> dict[int, list[Json]]:
    devices = (
        Registration.objects.filter(person__in=people)
        .annotate(
            rank=Window(
                RowNumber(),
                partition_by=F("person"),
                order_by=[F("primary").desc(), F("pk").desc()],
            )
        )
        .filter(rank__lte=MOST_DEVICES)
        .select_related("address", "application")
        .order_by("person", "-primary", "-pk")
    )
    found: dict[int, list[Json]] = {}
    for device in devices:
        assert device.person_id is not None
        found.setdefault(device.person_id, []).append(registration_json(device))
    return found


def _person_json(person: Person, contacts: Contacts, push: list[Json]) -> Json:
    information: Json = {
        "phone": [{"number": each} for each in contacts.phones],
        "email": [{"address": each} for each in contacts.emails],
        "push": push,
    }
    told: Mapping[str, Any] = {
        "id": person.pk,
        "externalId": contacts.external_id,
        "firstName": person.first_name,
        "lastName": person.last_name,
        "middleName": person.middle_name,
        "gender": person.gender,
        "birthDate": person.birthday.isoformat() if person.birthday else "",
        "address": person.address,
        "city": person.city,
        "country": person.country,
        "preferredLanguage": person.preferred_language,
        "profilePicture": person.profile_picture,
        "type": person.kind,
        "tags": person.tags,
        "customAttributes": person.attributes,
        "contactInformation": {name: value for name, value in information.items() if value},
        "origin": person.origin,
        "modifiedFrom": person.changed_from,
        "createdAt": _time(person.created_at),
        "modifiedAt": _time(person.changed_at),
    }
    return {name: value for name, value in told.items() if value}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


# ------------------------------------------------------------------- calls


def show(request: SystemRequest) -> Json:
    """GET: one person by an identifier, or a page of all."""
    if "identifier" in request.GET:
        person = Person.objects.filter(pk=_key(request)).first()
        if person is None:
            raise Refusal(404, NO_PERSON, "Person does not exist")
        return people_json([person])[0]
    _kind(request)  # not needed here, but a wrong one is told
    limit = _number(request, "limit", LIMIT, MOST)
    page = _number(request, "page", 1, MOST_PAGES)
    counted = _flag(request, "includeTotalCount")
    order = request.GET.get("orderBy", "modifiedAt:desc")
    name, _, direction = order.partition(":")
    if name not in ORDERS or direction not in {"asc", "desc"}:
        text = f"orderBy should be one of {', '.join(ORDERS)}, followed by :asc or :desc"
        raise Refusal(400, BAD_QUERY, text)
    column = F(ORDERS[name])
    rows = Person.objects.order_by(
        column.desc() if direction == "desc" else column.asc(),
        "-pk" if direction == "desc" else "pk",
    )
    told: Json = {
        "persons": people_json(list(rows[(page - 1) * limit : page * limit])),
        "limit": limit,
        "page": page,
        "orderBy": order,
    }
    if counted:
        told["totalCount"] = Person.objects.count()
    return told


def _number(request: HttpRequest, name: str, usual: int, most: int) -> int:
    text = request.GET.get(name, str(usual))
    if text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most:
        return int(text)
    raise Refusal(400, BAD_QUERY, f"{name} should be integer from 1 to {most}")


def _flag(request: HttpRequest, name: str) -> bool:
    match request.GET.get(name, "false").lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise Refusal(400, BAD_QUERY, f"{name} should be boolean")


def _key(request: HttpRequest) -> int:
    """The person that the query names. Raises Refusal."""
    identifier = request.GET.get("identifier", "")
    if not identifier:
        raise Refusal(400, BAD_QUERY, "identifier should be given")
    pk: int | None
    match _kind(request):
        case "ID":
            known = identifier.isascii() and identifier.isdigit() and len(identifier) <= 18
            pk = int(identifier) if known else None
        case "EXTERNAL_ID":
            pk = _known_by(Identity.Kind.EXTERNAL_ID, identifier)
        case "PHONE":
            pk = _known_by(Identity.Kind.PHONE, identifier.removeprefix("+"))
        case "EMAIL":
            pk = _known_by(Identity.Kind.EMAIL, identifier.lower())
        case _:
            pk = _owner(_sender(request), identifier)
    if pk is None:
        raise Refusal(404, NO_PERSON, "Person does not exist")
    return pk


def _kind(request: HttpRequest) -> str:
    kind = request.GET.get("type", "ID")
    if kind not in KINDS:
        raise Refusal(400, BAD_QUERY, "type should be ID, EXTERNAL_ID, PHONE, EMAIL or PUSH")
    return kind


def _known_by(kind: Identity.Kind, value: str) -> int | None:
    if "\0" in value:
        return None
    found = Identity.objects.filter(kind=kind, value=value).order_by()
    return found.values_list("person_id", flat=True).first()


def _sender(request: HttpRequest) -> Application:
    """The application that `sender` names by its code or its id."""
    sender = request.GET.get("sender", "")
    if not sender:
        raise Refusal(400, BAD_QUERY, "sender should be given where type is PUSH")
    application = find_application(sender)
    if application is None and "\0" not in sender:
        application = Application.objects.filter(application_id=sender.upper()).first()
    if application is None:
        raise Refusal(400, BAD_QUERY, "sender should be an application code or id")
    return application


def _owner(application: Application, identifier: str) -> int | None:
    try:
        return registering.find(application, UUID(identifier)).person_id
    except (ValueError, UnknownRegistrationError):
        return None


def create(request: SystemRequest) -> Json:
    """POST: a new person. They are a customer as soon as something names them."""
    body = _read(request)
    if not body.model_fields_set:
        raise Refusal(400, BAD_REQUEST, "Request body should have a member of a person")
    try:
        described = body.described(adding=False)
        named = any(
            value and value is not UNSAID
            for value in (described.external_id, described.phones, described.emails)
        )
        if body.kind is None and named:
            described = changed(described, kind=Person.Kind.CUSTOMER)
        person = personalizing.create(described, request.author)
    except DeviceError as error:
        raise _refused(error) from error
    return people_json([person])[0]


def replace(request: SystemRequest) -> Json:
    """PUT: the whole person anew; their devices stay."""
    pk, body = _key(request), _read(request)
    try:
        person = personalizing.replace(pk, body.described(adding=False), request.author)
    except DeviceError as error:
        raise _refused(error) from error
    return people_json([person])[0]


def change(request: SystemRequest) -> Json:
    """PATCH: members that are given; tags and contacts are added."""
    pk, body = _key(request), _read(request)
    try:
        person = personalizing.change(pk, body.described(adding=True), request.author)
    except DeviceError as error:
        raise _refused(error) from error
    return people_json([person])[0]


def erase(request: SystemRequest) -> None:
    """DELETE: nothing is left of the person; their devices become anonymous."""
    try:
        personalizing.erase(_key(request), request.author)
    except DeviceError as error:
        raise _refused(error) from error


persons = endpoint(FAMILY, GET=show, POST=create, PUT=replace, PATCH=change, DELETE=erase)
