"""The calls of Infobip's people API (contract/people.md)."""

from typing import Any

from api.infobip import contacts, person_data, persons
from api.infobip.people import CLOUD_NAMES, OS_NAMES
from api.openapi.calls import (
    ANY_OBJECT,
    FLAG,
    SWITCH,
    TEXT,
    WHOLE,
    Call,
    Family,
    Parameter,
    Shape,
    Words,
    array,
    exception,
    known,
    one_of,
    only,
    whole,
)

APP_CODE = Parameter(
    "AppCode",
    "The code of the application that the registration belongs to.",
    TEXT,
    "header",
    required=True,
)
_CUSTOM = "By name; each a string, a number, a boolean or a date (YYYY-MM-DD). `null` removes one."
_NAMES = {
    "firstName": "At most 255 characters.",
    "lastName": "At most 255 characters.",
    "middleName": "At most 50 characters.",
    "gender": "MALE or FEMALE.",
}
WORDS: Words = {
    contacts.Change: {
        "isPrimary": "Its person's first device in this application; others cease to be.",
        "systemData": "What the device says of itself; one member can be changed.",
        "additionalData": _CUSTOM,
    },
    contacts.SystemData: {"registrationEnabled": "False: nothing is sent to it."},
    contacts.Personalization: {
        "identity": "By what the person is known.",
        "attributes": "What is noted of the person.",
    },
    contacts.Identity: {
        "externalId": "At most 256 characters; `null` in any case is none.",
        "phoneNumber": "International digits.",
        "email": "Compared in lower case.",
    },
    contacts.Attributes: {
        **_NAMES,
        "birthday": "YYYY-MM-DD.",
        "tags": "Added to those there are.",
        "customAttributes": _CUSTOM,
    },
    person_data.PersonData: {
        **_NAMES,
        "externalId": "At most 256 characters, of one person only.",
        "birthDate": "YYYY-MM-DD.",
        "address": "At most 256 characters.",
        "city": "At most 50 characters.",
        "country": "At most 50 characters.",
        "preferredLanguage": "Such as en or en-GB.",
        "profilePicture": "An address.",
        "type": "LEAD while nobody knows who it is.",
        "tags": "A change adds, anything else replaces.",
        "customAttributes": _CUSTOM,
        "contactInformation": "How the person is reached.",
    },
    person_data.ContactInformation: {
        "phone": "Numbers, of one person only.",
        "email": "Addresses, of one person only.",
        "push": "Cannot be changed here.",
    },
    person_data.Phone: {"number": "International digits."},
    person_data.Email: {"address": "Compared in lower case."},
}

REGISTRATION = only(
    {
        "registrationId": TEXT,
        "applicationId": TEXT,
        "isPrimary": FLAG,
        "systemData": only(
            {"registrationEnabled": FLAG, "notificationsEnabled": FLAG},
            {
                "cloudType": one_of(*CLOUD_NAMES.values()),
                "geofencingSdk": FLAG,
                "os": one_of(*dict.fromkeys(OS_NAMES.values())),
                "deviceSecure": FLAG,
                **dict.fromkeys(
                    (
                        "sdkVersion", "appVersion", "osVersion", "deviceManufacturer",
                        "deviceModel", "osLanguage", "deviceTimezoneOffset", "deviceName",
                    ),
                    TEXT,
                ),
            },
        ),
    },
    {"additionalData": ANY_OBJECT},
)  # fmt: skip
_NUMBERS = array(only({"number": TEXT}))
_ADDRESSES = array(only({"address": TEXT}))
_KNOWN = {
    "externalId": TEXT,
    "firstName": TEXT,
    "lastName": TEXT,
    "middleName": TEXT,
    "gender": one_of("MALE", "FEMALE"),
    "customAttributes": ANY_OBJECT,
    "tags": array(TEXT),
}
_OWNER = only(
    {},
    {
        **_KNOWN,
        "birthday": {"type": "string", "format": "date"},
        "contactInformation": only(
            {}, {"phones": _NUMBERS, "emails": _ADDRESSES, "push": array(REGISTRATION)}
        ),
    },
)
_ERROR: Shape = {
    "anyOf": [only({"errorCode": WHOLE, "errorMessage": TEXT}), exception()],
}
_REGISTRATION_EXAMPLE = {
    "registrationId": "8621824c-86b2-41f7-bf6f-20d3b1426005",
    "applicationId": "753CBCDC1D587223934106E2A2AEDD44",
    "isPrimary": True,
    "additionalData": {"receiveOTP": True},
    "systemData": {
        "cloudType": "GCM",
        "registrationEnabled": True,
        "notificationsEnabled": True,
        "os": "Android",
        "osVersion": "8.0.0",
    },
}
_PATH = "/people/2/contactInformation/push/{pushRegId}"


def _switch(name: str, says: str) -> Parameter:
    return Parameter(name, says, SWITCH)


CONTACTS = Family(
    name="People: devices and their owners",
    says="Read and change what is known of a device, join it to a person and part them. Paths and"
    " bodies of Infobip's contact information API.",
    prefix="Contact",
    security=("apiKey", "basic"),
    error=_ERROR,
    words=WORDS,
    refusals=(400, 401, 403, 405, 429, 500, 503),
    body_refusals=(413,),
    calls=(
        Call(
            method="get",
            path=_PATH,
            title="Read a registration",
            parameters=(APP_CODE,),
            answer=REGISTRATION,
            scopes=contacts.READ,
            limit="50 a second",
            answer_example=_REGISTRATION_EXAMPLE,
        ),
        Call(
            method="patch",
            path=_PATH,
            title="Change a registration",
            says="What is left out stays. One fault, and nothing changes. POST with the header"
            " X-HTTP-Method-Override: PATCH is the same.",
            parameters=(APP_CODE,),
            body=known(contacts.Change),
            answer=REGISTRATION,
            scopes=contacts.MANAGE,
            limit="50 a second",
            example={"isPrimary": True, "additionalData": {"receiveOTP": True}},
            answer_example=_REGISTRATION_EXAMPLE,
        ),
        Call(
            method="post",
            path=f"{_PATH}/personalize",
            title="Join a registration to a person",
            parameters=(
                APP_CODE,
                _switch("forceDepersonalize", "Part it from whoever it belongs to first."),
                _switch("keepAsLead", "A lead stays one."),
                _switch("returnPush", "Answer with the person's registrations."),
                _switch("setDeviceAsPrimary", "Make it the person's first device."),
            ),
            body=known(contacts.Personalization),
            answer=_OWNER,
            scopes=contacts.MANAGE,
            limit="50 a second",
            example={
                "identity": {"externalId": "jdoe", "phoneNumber": "79810000000"},
                "attributes": {"firstName": "John", "tags": ["Pizza"]},
            },
            answer_example={
                "externalId": "jdoe",
                "firstName": "John",
                "tags": ["Pizza"],
                "contactInformation": {"phones": [{"number": "79810000000"}]},
            },
        ),
        Call(
            method="post",
            path=f"{_PATH}/depersonalize",
            title="Part a registration from its person",
            parameters=(APP_CODE,),
            scopes=contacts.MANAGE,
            limit="50 a second",
        ),
    ),
)

# ------------------------------------------------------------------- persons

_CONTACTS = {"phone": _NUMBERS, "email": _ADDRESSES}


def _person(contacts: dict[str, Shape]) -> Shape:
    return only(
        {
            "id": WHOLE,
            "type": one_of("CUSTOMER", "LEAD"),
            "origin": TEXT,
            "modifiedFrom": TEXT,
            "createdAt": TEXT,
            "modifiedAt": TEXT,
        },
        {
            **_KNOWN,
            "birthDate": {"type": "string", "format": "date"},
            "address": TEXT,
            "city": TEXT,
            "country": TEXT,
            "preferredLanguage": TEXT,
            "profilePicture": TEXT,
            "contactInformation": only({}, contacts),
        },
    )


_NEW_PERSON = _person(_CONTACTS)  # who has no device yet
_PERSON = _person({**_CONTACTS, "push": array(REGISTRATION)})
_PERSON_EXAMPLE: dict[str, Any] = {
    "id": 7,
    "externalId": "jdoe",
    "firstName": "John",
    "type": "CUSTOMER",
    "tags": ["Pizza"],
    "contactInformation": {"email": [{"address": "jdoe@example.com"}]},
    "origin": "API",
    "modifiedFrom": "API",
    "createdAt": "2026-01-01T10:00:00",
    "modifiedAt": "2026-01-01T10:00:00",
}
_BODY_EXAMPLE = {
    name: _PERSON_EXAMPLE[name] for name in ("externalId", "firstName", "contactInformation")
}


def _identifier(*, required: bool) -> tuple[Parameter, ...]:
    return (
        Parameter(
            "identifier",
            "Whom is meant.",
            {"type": "string", "pattern": r"^[^\x00]+$"},
            required=required,
        ),
        Parameter(
            "type",
            "What the identifier is.",
            {**one_of("ID", "EXTERNAL_ID", "PHONE", "EMAIL", "PUSH"), "default": "ID"},
        ),
        Parameter("sender", "With type PUSH: an application's code or id. Else ignored.", TEXT),
    )


_ORDERS = one_of(*(f"{name}:{way}" for name in persons.ORDERS for way in ("asc", "desc")))
_WHO = _identifier(required=True)

PERSONS = Family(
    name="People: persons",
    says="People of the account: find, create, replace, change and erase them. Paths and bodies"
    " of Infobip's persons API.",
    prefix="Person",
    security=("apiKey", "basic"),
    error=exception(),
    words=WORDS,
    refusals=(401, 403, 405, 429, 500, 503),
    body_refusals=(400, 404, 413),
    calls=(
        Call(
            method="get",
            path="/people/2/persons",
            title="Find a person, or list all",
            says="With `identifier` one person, without it a page of all.",
            parameters=(
                *_identifier(required=False),
                Parameter("limit", "How many at most.", whole(1, persons.MOST, persons.LIMIT)),
                Parameter("page", "Which page, from 1.", whole(1, persons.MOST_PAGES, 1)),
                Parameter("includeTotalCount", "Also count all.", SWITCH),
                Parameter(
                    "orderBy",
                    "By what, and in which direction.",
                    {**_ORDERS, "default": "modifiedAt:desc"},
                ),
            ),
            answer={
                "anyOf": [
                    _PERSON,
                    only(
                        {
                            "persons": array(_PERSON),
                            "limit": WHOLE,
                            "page": WHOLE,
                            "orderBy": TEXT,
                        },
                        {"totalCount": WHOLE},
                    ),
                ]
            },
            refusals=(400, 404),
            scopes=persons.READ,
            limit="5 a second",
            answer_example=_PERSON_EXAMPLE,
        ),
        Call(
            method="post",
            path="/people/2/persons",
            title="Create a person",
            body=known(person_data.PersonData),
            answer=_NEW_PERSON,
            scopes=persons.MANAGE,
            limit="10 a second",
            example=_BODY_EXAMPLE,
            answer_example=_PERSON_EXAMPLE,
        ),
        Call(
            method="put",
            path="/people/2/persons",
            title="Replace a person",
            says="What is left out is gone; their devices stay.",
            parameters=_WHO,
            body=known(person_data.PersonData),
            answer=_PERSON,
            scopes=persons.MANAGE,
            limit="5 a second",
            example=_BODY_EXAMPLE,
            answer_example=_PERSON_EXAMPLE,
        ),
        Call(
            method="patch",
            path="/people/2/persons",
            title="Change a person",
            says="What is left out stays; tags and contacts are added.",
            parameters=_WHO,
            body=known(person_data.PersonData),
            answer=_PERSON,
            scopes=persons.MANAGE,
            limit="5 a second",
            example={"firstName": "John"},
            answer_example=_PERSON_EXAMPLE,
        ),
        Call(
            method="delete",
            path="/people/2/persons",
            title="Erase a person",
            says="Nothing is left of them; their devices become nobody's.",
            parameters=_WHO,
            refusals=(400, 404),
            scopes=persons.MANAGE,
            limit="5 a second",
        ),
    ),
)
