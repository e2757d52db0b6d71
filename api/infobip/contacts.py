"""Push contact information: /people/2/contactInformation/push/ (contract/people.md 1 to 6)."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, TypeVar, cast
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from pydantic import Field, ValidationError

from api import keys, limits
from api.auth import find_application
from api.endpoint import (
    ApiRequest,
    Day,
    Family,
    Json,
    Refusal,
    Schema,
    Text50,
    Text255,
    body_of,
    elsewhere,
    endpoint,
    explain,
    method_of,
)
from api.infobip.people import Contacts, contacts_of, registration_json
from api.infobip.violations import EXCEPTIONS, exception_json
from devices import personalizing, registering
from devices.audit import Author
from devices.errors import (
    AlreadyPersonalizedError,
    CustomAttributeError,
    DeviceError,
    EmailError,
    ExternalIdError,
    IdentityTakenError,
    NoIdentityError,
    PhoneError,
    SeveralPeopleError,
    TagError,
    UnknownRegistrationError,
)
from devices.models import ApiKey, Application, Person, Registration
from devices.personalizing import Choice, Described, Identities
from devices.registering import Device
from devices.unsaid import UNSAID

MANAGE = ("people:manage", "mobile-app-messaging:manage")
READ = (*MANAGE, "people:read")
BAD_FIELD = "48025"
NOT_JSON = "48000"
MOST_SHOWN = 100  # registrations of one person, in one answer


class KnownRequest(ApiRequest):
    """A request of a system that is known."""

    author: Author


def error_json(refusal: Refusal) -> Json:
    """The vendor's third body for its own numbers, the usual one for the rest (1)."""
    if refusal.code.isdecimal():
        return {"errorCode": int(refusal.code), "errorMessage": refusal.text}
    code, text = EXCEPTIONS.get(refusal.status, (refusal.code, refusal.text))
    return exception_json(code, text)


def _authorize(request: HttpRequest, *, call: str) -> Application:
    """The application of the header `AppCode`, once the caller is known and may call so often."""
    method = method_of(request)
    scopes = READ if method == "GET" else MANAGE
    author = keys.author_of(request, ApiKey.Family.INFOBIP, scopes)
    limits.take(f"people:{call}:{method}", settings.CONTACT_CALLS_PER_SECOND)
    code = request.headers.get("AppCode", "").strip()
    if not code:
        raise Refusal(400, "48001", "Application code missing")
    application = find_application(code)
    if application is None or not application.enabled:
        raise Refusal(400, "48012", "Push application not found")
    cast("KnownRequest", request).author = author
    return application


def _family(call: str) -> Family:
    return Family(
        authorize=partial(_authorize, call=call),
        error=error_json,
        bad_format=NOT_JSON,
        not_found="NOT_FOUND",
        fault="GENERAL_ERROR",
        headers=dict,
        empty=HTTPStatus.OK,
    )


FAMILY = _family("")

Body = TypeVar("Body", bound=Schema)


def _read(request: HttpRequest, schema: type[Body]) -> Body:
    """The body, read by a schema. Raises Refusal."""
    try:
        return schema.model_validate_json(body_of(request, FAMILY))
    except ValidationError as errors:
        if errors.errors()[0]["type"] == "json_invalid":
            raise Refusal(400, NOT_JSON, "Request body is not valid JSON") from errors
        raise Refusal(400, BAD_FIELD, explain(errors)) from errors


def _find(request: KnownRequest, public_id: str) -> Registration:
    try:
        registration = registering.find(request.application, UUID(public_id))
    except (ValueError, UnknownRegistrationError) as error:
        raise Refusal(400, "48013", "Push registration not found") from error
    registration.application = request.application
    return registration


_REFUSALS: Mapping[type[DeviceError], tuple[str, str]] = {
    UnknownRegistrationError: ("48013", "Push registration not found"),
    AlreadyPersonalizedError: (
        "48020",
        "Installation is not depersonalized. Personalization is prohibited",
    ),
    SeveralPeopleError: ("48021", "Several users satisfy supplied user identity"),
    NoIdentityError: ("48022", "UserIdentity does not have any identity field set"),
    IdentityTakenError: ("48026", "User update violates unique key constraint"),
}


def _refused(error: DeviceError, where: str) -> Refusal:
    """The number of a refusal; `where` custom attributes stand in the body."""
    if type(error) in _REFUSALS:
        return Refusal(400, *_REFUSALS[type(error)])
    match error:
        case PhoneError():
            text = f"Invalid phone number: {error.number} ({error.details})"
            return Refusal(400, "48023", text)
        case EmailError():
            return Refusal(400, "48024", f"Invalid email: {error.email}")
        case CustomAttributeError():
            return Refusal(400, BAD_FIELD, f"{where}.{error}")
        case ExternalIdError():
            return Refusal(400, BAD_FIELD, f"identity.externalId should be {error}")
        case TagError():
            return Refusal(400, BAD_FIELD, f"attributes.tags should be {error}")
    return Refusal(400, BAD_FIELD, str(error))


# ------------------------------------------------------------------- the registration


class SystemData(Schema):
    """Only the switch can be changed; the rest is the device's own word."""

    enabled: bool = Field(True, alias="registrationEnabled")


class Change(Schema):
    """What changes of a registration (4)."""

    primary: bool = Field(False, alias="isPrimary")
    system: SystemData | None = Field(None, alias="systemData")
    additional: dict[str, Any] | None = Field(None, alias="additionalData")


def show(request: KnownRequest, public_id: str) -> Json:
    """GET …/push/{pushRegId} (3)."""
    return registration_json(_find(request, public_id))


def change(request: KnownRequest, public_id: str) -> Json:
    """PATCH …/push/{pushRegId} (4)."""
    registration = _find(request, public_id)
    body = _read(request, Change)
    _check_plain("additionalData", body.additional)
    device = Device(
        enabled=body.system.said("enabled", None) if body.system else UNSAID,
        primary=body.said("primary", None),
        attributes=body.additional or UNSAID,
    )
    if device == Device():
        return registration_json(registration)
    try:
        changed = registering.refresh(
            request.application, registration.address.public_id, device, author=request.author
        )
    except DeviceError as error:
        raise _refused(error, "additionalData") from error
    changed.application = request.application
    return registration_json(changed)


def _check_plain(where: str, values: Mapping[str, Any] | None) -> None:
    """Refuse what is no plain value: the mobile API alone takes some lists."""
    for name, value in (values or {}).items():
        if isinstance(value, list | dict):
            expected = "string, number, boolean or date (YYYY-MM-DD)"
            raise Refusal(400, BAD_FIELD, f"{where}.{name[:100]} should be {expected}")


# ------------------------------------------------------------------- the person


class Identity(Schema):
    external_id: str | None = Field(None, alias="externalId")
    phone: str | None = Field(None, alias="phoneNumber")
    email: str | None = None


class Attributes(Schema):
    """What is applied to the person; `null` clears, tags are added (5)."""

    first_name: Text255 | None = Field(None, alias="firstName")
    last_name: Text255 | None = Field(None, alias="lastName")
    middle_name: Text50 | None = Field(None, alias="middleName")
    birthday: Day | None = None
    gender: Literal["MALE", "FEMALE"] | None = None
    tags: list[str] | None = None
    custom: dict[str, Any] | None = Field(None, alias="customAttributes")

    def described(self) -> Described:
        gender = self.said("gender", "")
        return Described(
            first_name=self.said("first_name", ""),
            last_name=self.said("last_name", ""),
            middle_name=self.said("middle_name", ""),
            birthday=self.said("birthday", None),
            gender=gender if gender is UNSAID else Person.Gender(gender),
            tags=self.said("tags", ()),
            attributes=self.said("custom", None),
            adding=True,
        )


class Personalization(Schema):
    identity: Identity | None = None
    attributes: Attributes | None = None


def personalize(request: KnownRequest, public_id: str) -> Json:
    """POST …/push/{pushRegId}/personalize (5)."""
    registration = _find(request, public_id)
    choice = Choice(
        force=_flag(request, "forceDepersonalize"),
        keep_as_lead=_flag(request, "keepAsLead"),
        primary=_flag(request, "setDeviceAsPrimary"),
    )
    with_push = _flag(request, "returnPush")
    body = _read(request, Personalization)
    identity = body.identity
    if body.attributes is not None:
        _check_plain("attributes.customAttributes", body.attributes.custom)
    try:
        person = personalizing.personalize(
            request.application,
            registration.address.public_id,
            Identities.of(
                external_id=identity.external_id or "",
                phones=[identity.phone] if identity.phone else [],
                emails=[identity.email] if identity.email else [],
            )
            if identity is not None
            else Identities(),
            request.author,
            described=body.attributes.described() if body.attributes else Described(adding=True),
            choice=choice,
        )
    except DeviceError as error:
        raise _refused(error, "attributes.customAttributes") from error
    return _person_json(person, with_push=with_push)


def _flag(request: HttpRequest, name: str) -> bool:
    match request.GET.get(name, "false").lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise Refusal(400, BAD_FIELD, f"{name} should be boolean")


def _person_json(person: Person, *, with_push: bool) -> Json:
    """A person as this family writes it (5.2); what is not known is left out."""
    contacts: Contacts = contacts_of([person])[person.pk]
    information: Json = {
        "phones": [{"number": each} for each in contacts.phones],
        "emails": [{"address": each} for each in contacts.emails],
    }
    if with_push:
        devices = Registration.objects.filter(person=person).order_by("-primary", "-pk")
        related = devices.select_related("address", "application")[:MOST_SHOWN]
        information["push"] = [registration_json(each) for each in related]
    told: Json = {
        "externalId": contacts.external_id,
        "firstName": person.first_name,
        "lastName": person.last_name,
        "middleName": person.middle_name,
        "birthday": person.birthday.isoformat() if person.birthday else "",
        "gender": person.gender,
        "customAttributes": person.attributes,
        "tags": person.tags,
        "contactInformation": {name: value for name, value in information.items() if value},
    }
    return {name: value for name, value in told.items() if value}


def depersonalize(request: KnownRequest, public_id: str) -> None:
    """POST …/push/{pushRegId}/depersonalize (6)."""
    registration = _find(request, public_id)
    try:
        personalizing.depersonalize(
            request.application, registration.address.public_id, request.author
        )
    except DeviceError as error:
        raise _refused(error, "") from error


# ------------------------------------------------------------------- paths

registrations = endpoint(_family("registration"), GET=show, PATCH=change)
personalizations = endpoint(_family("personalize"), POST=personalize)
partings = endpoint(_family("depersonalize"), POST=depersonalize)
nothing = elsewhere(FAMILY)
