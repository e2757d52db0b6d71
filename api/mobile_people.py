"""Who uses an app with Infobip's SDK: user data, personalize (contract/mobile-sdk.md 3)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from api.endpoint import (
    ApiRequest,
    Day,
    Json,
    Refusal,
    Schema,
    Text,
    Text50,
    Text255,
    endpoint,
    reading,
)
from api.mobile import (
    APP,
    BAD_FORMAT,
    FAMILY,
    Installation,
    caller_of,
    device_of,
    flag,
    instance_json,
    path_id,
    refused,
)
from devices import normalizing, personalizing, registering
from devices.errors import (
    AlreadyPersonalizedError,
    DeviceError,
    EmailError,
    ExternalIdError,
    IdentityTakenError,
    NoIdentityError,
    PhoneError,
    SeveralPeopleError,
    TagError,
)
from devices.models import Identity, Person, Registration
from devices.personalizing import MOST_CONTACTS, Choice, Described, Identities
from devices.registering import Device
from devices.unsaid import UNSAID

MOST_INSTANCES = 100  # of one person, in one answer
GENDERS = {"Male": Person.Gender.MALE, "Female": Person.Gender.FEMALE}
GENDER_NAMES = {gender: name for name, gender in GENDERS.items()}


class Phone(Schema):
    number: Text


class Email(Schema):
    address: Text


Phones = Annotated[list[Phone], Field(max_length=MOST_CONTACTS)]
Emails = Annotated[list[Email], Field(max_length=MOST_CONTACTS)]


class UserIdentity(Schema):
    """By what a person is known: at least one of these."""

    external_id: str | None = Field(None, alias="externalUserId")
    phones: Phones | None = None
    emails: Emails | None = None

    def identities(self) -> Identities:
        """Raises ExternalIdError, PhoneError, EmailError."""
        return Identities.of(
            external_id=self.external_id or "",
            phones=[each.number for each in self.phones or ()],
            emails=[each.address for each in self.emails or ()],
        )


class UserAttributes(Schema):
    """What a person is like; `null` clears a member, one that is left out stays."""

    first_name: Text255 | None = Field(None, alias="firstName")
    last_name: Text255 | None = Field(None, alias="lastName")
    middle_name: Text50 | None = Field(None, alias="middleName")
    gender: Literal["Male", "Female"] | None = None
    birthday: Day | None = None
    tags: list[str] | None = None
    attributes: dict[str, Any] | None = Field(None, alias="customAttributes")

    def described(self) -> Described:
        """Lists take the place of those there are."""
        gender = self.said("gender", "")
        return Described(
            first_name=self.said("first_name", ""),
            last_name=self.said("last_name", ""),
            middle_name=self.said("middle_name", ""),
            gender=gender if gender is UNSAID else GENDERS.get(gender, Person.Gender.UNKNOWN),
            birthday=self.said("birthday", None),
            tags=self.said("tags", ()),
            attributes=self.said("attributes", None),
        )


class Personalization(Schema):
    """Who uses the device from now on (3.1)."""

    identity: UserIdentity | None = Field(None, alias="userIdentity")
    attributes: UserAttributes | None = Field(None, alias="userAttributes")


class UserData(UserAttributes):
    """What changes of the person who uses the device (3.4)."""

    external_id: str | None = Field(None, alias="externalUserId")
    phones: Phones | None = None
    emails: Emails | None = None

    def described(self) -> Described:
        external_id, phones = self.said("external_id", ""), self.said("phones", ())
        emails = self.said("emails", ())
        return replace(
            super().described(),
            external_id=external_id
            if external_id is UNSAID
            else normalizing.external_id(external_id),
            phones=phones
            if phones is UNSAID
            else [normalizing.phone(each.number) for each in phones],
            emails=emails
            if emails is UNSAID
            else [normalizing.email(each.address) for each in emails],
        )


class Session(Schema):
    """That the app was in use, and what its device is like by now (3.6)."""

    system: Installation | None = Field(None, alias="systemData")


def user_json(person: Person | None, instances: Sequence[Json] | None = None) -> Json:
    """A person as the SDK reads it (3.3); what is not known is left out."""
    person = person or Person()
    known: dict[int, list[str]] = {}
    for kind, value in person.identities.values_list("kind", "value") if person.pk else ():
        known.setdefault(kind, []).append(value)
    told: Json = {
        "externalUserId": next(iter(known.get(Identity.Kind.EXTERNAL_ID, ())), ""),
        "firstName": person.first_name,
        "middleName": person.middle_name,
        "lastName": person.last_name,
        "gender": GENDER_NAMES.get(Person.Gender(person.gender), ""),
        "birthday": person.birthday.isoformat() if person.birthday else "",
        "type": person.kind,
        "phones": _contacts("number", known.get(Identity.Kind.PHONE, ())),
        "emails": _contacts("address", known.get(Identity.Kind.EMAIL, ())),
        "tags": person.tags,
        "customAttributes": person.attributes,
        "instances": instances,
    }
    return {name: value for name, value in told.items() if value}


def _contacts(name: str, values: Iterable[str]) -> list[Json]:
    return [{name: value, "preferred": False} for value in values]


_REFUSALS: dict[type[DeviceError], tuple[str, str]] = {
    NoIdentityError: (
        "USER_IDENTITY_INVALID",
        "UserIdentity does not have any identity field set",
    ),
    AlreadyPersonalizedError: (
        "PERSONALIZATION_IMPOSSIBLE",
        "Installation is not depersonalized. Personalization is prohibited",
    ),
    SeveralPeopleError: (
        "AMBIGUOUS_PERSONALIZE_CANDIDATES",
        "Several users satisfy supplied user identity",
    ),
    IdentityTakenError: ("USER_MERGE_INTERRUPTED", "User update violates unique key constraint"),
}


def _refused(error: DeviceError) -> Refusal:
    """What the SDK knows a refusal by (1.3)."""
    if type(error) in _REFUSALS:
        return Refusal(400, *_REFUSALS[type(error)])
    match error:
        case PhoneError():
            text = f"Invalid phone number: {error.number} ({error.details})"
            return Refusal(400, "PHONE_INVALID", text)
        case EmailError():
            return Refusal(400, "EMAIL_INVALID", f"Invalid email: {error.email}")
        case ExternalIdError():
            return Refusal(400, BAD_FORMAT, f"externalUserId should be {error}")
        case TagError():
            return Refusal(400, BAD_FORMAT, f"tags should be {error}")
    return refused(error)


def _check_writable(request: ApiRequest) -> None:
    """See that apps may say anything about people here."""
    if not request.application.user_data_from_apps:
        raise Refusal(403, "USER_DATA_RESTRICTED", "User update access is restricted")


def _personalize(
    request: ApiRequest, body: Personalization, public_id: str, choice: Choice
) -> Person:
    described = Described(adding=True)
    identity = body.identity
    if body.attributes is not None and body.attributes.model_fields_set:
        _check_writable(request)
        described = replace(body.attributes.described(), adding=True)
    try:
        return personalizing.personalize(
            request.application,
            path_id(public_id),
            identity.identities() if identity else Identities(),
            APP,
            described=described,
            choice=choice,
        )
    except DeviceError as error:
        raise _refused(error) from error


@reading(Personalization, FAMILY)
def personalize(request: ApiRequest, body: Personalization, public_id: str) -> Json:
    """POST /mobile/1/appinstance/{pushRegId}/personalize (3.1)."""
    choice = Choice(
        force=flag(request, "forceDepersonalize"),
        keep_as_lead=flag(request, "keepAsLead"),
        primary=flag(request, "setDeviceAsPrimary"),
    )
    return user_json(_personalize(request, body, public_id, choice))


@reading(Personalization, FAMILY)
def repersonalize(request: ApiRequest, body: Personalization, public_id: str) -> Json:
    """POST …/repersonalize: after the server lost the registration (3.2)."""
    _personalize(request, body, public_id, Choice(force=True))
    return {}


def depersonalize(request: ApiRequest, public_id: str) -> Json:
    """POST …/depersonalize, also of another device of the same person (3.5)."""
    try:
        personalizing.depersonalize(
            request.application, path_id(public_id), APP, caller=caller_of(request)
        )
    except DeviceError as error:
        raise _refused(error) from error
    return {}


def show(request: ApiRequest, public_id: str) -> Json:
    """GET …/user (3.3)."""
    try:
        registration = registering.find(request.application, path_id(public_id))
    except DeviceError as error:
        raise _refused(error) from error
    if not flag(request, "ri"):
        return user_json(registration.person)
    tokens = flag(request, "rt")
    instances = [instance_json(each, with_token=tokens) for each in _instances(registration)]
    return user_json(registration.person, instances)


def _instances(registration: Registration) -> Iterable[Registration]:
    """The devices of its person in this application, the primary one first."""
    if registration.person_id is None:
        return [registration]
    mine = Registration.objects.filter(
        person=registration.person_id, application=registration.application_id
    )
    return mine.select_related("address").order_by("-primary", "-pk")[:MOST_INSTANCES]


@reading(UserData, FAMILY)
def change(request: ApiRequest, body: UserData, public_id: str) -> Json:
    """PATCH …/user (3.4)."""
    _check_writable(request)
    try:
        if body.model_fields_set:
            personalizing.change_owner(
                request.application, path_id(public_id), body.described(), APP
            )
        else:
            registering.find_key(request.application, path_id(public_id))
    except DeviceError as error:
        raise _refused(error) from error
    return {}


@reading(Session, FAMILY)
def session(request: ApiRequest, body: Session, public_id: str) -> Json:
    """POST …/user/events/session: what the system says of the device, and that it is alive."""
    try:
        device = replace(
            device_of(body.system) if body.system else Device(),
            platform=UNSAID, provider=UNSAID, token=UNSAID,
            enabled=UNSAID, primary=UNSAID, attributes=UNSAID,
        )  # fmt: skip
        registering.refresh(
            request.application, path_id(public_id), device, caller=caller_of(request)
        )
    except DeviceError as error:
        raise _refused(error) from error
    return {}


def live_chat(request: ApiRequest, public_id: str) -> Json:
    """GET …/user/livechatinfo: chat is not offered (3.6)."""
    return {"liveChatDestinations": []}


# ------------------------------------------------------------------- paths

repersonalizations = endpoint(FAMILY, POST=repersonalize)
partings = endpoint(FAMILY, POST=depersonalize)
live_chats = endpoint(FAMILY, GET=live_chat)
