"""A row of a CSV file → a device as it should be; what is wrong with it, and the fix."""

import json
import re
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devices import normalizing
from devices.attributes import LARGEST, NAME_LENGTH, SMALLEST, TEXT_LENGTH, Type, is_date
from devices.errors import DeviceError, SubscriptionError
from devices.models import Address, Environment, Identity, Platform, Provider
from devices.personalizing.portrait import MOST_TAGS, TAG_LENGTH, Key
from devices.registering import CLOUDS
from devices.versions import pack_version

MOST_COLUMNS = 500
TEXT = 100  # characters of a system attribute
PERSON_NAME = 255  # characters
_TEXTS = {"manufacturer": TEXT, "model": TEXT, "device_name": TEXT, "application_user_id": 255}

ALIASES = {
    "registration_id": "registrationid pushregistrationid pushregid registration id deviceid",
    "platform": "platform os devicetype",
    "token": "token pushtoken pushservicetoken devicetoken",
    "endpoint": "endpoint pushendpoint",  # of a browser, in place of a token
    "p256dh": "p256dh",
    "auth": "auth authsecret",
    "environment": "environment apnsenvironment",
    "external_id": "externalid externaluserid userid customerid",
    "phone": "phone phonenumber msisdn gsm",
    "email": "email emailaddress mail",
    "app_version": "appversion applicationversion",
    "os_version": "osversion",
    "sdk_version": "sdkversion",
    "language": "language oslanguage locale",
    "manufacturer": "manufacturer devicemanufacturer",
    "model": "model devicemodel",
    "device_name": "devicename",
    "application_user_id": "applicationuserid",
    "timezone": "timezone devicetimezoneoffset timezoneoffset utcoffset",
    "enabled": "enabled registrationenabled regenabled",
    "notifications_enabled": "notificationsenabled optin pushenabled",
    "first_name": "firstname",
    "last_name": "lastname",
    "tags": "tags tag",
}
# What an export tells besides: of ours to know, so an import leaves it out.
EXPORTED = {"primarydevice", "registeredat", "lastcontactat", "closed"}
ATTRIBUTE, SKIP = "attribute", "skip"  # what else a column may become
KNOWN = {alias: name for name, aliases in ALIASES.items() for alias in aliases.split()}
PLATFORMS = {
    "android": Platform.ANDROID, "gcm": Platform.ANDROID, "fcm": Platform.ANDROID,
    "ios": Platform.IOS, "apns": Platform.IOS, "iphone": Platform.IOS,
    "huawei": Platform.HUAWEI, "hms": Platform.HUAWEI, "web": Platform.WEB,
    "harmony": Platform.HUAWEI, "harmonyos": Platform.HUAWEI,
}  # fmt: skip
HARMONY = {"harmony", "harmonyos"}  # HarmonyOS 5, whose tokens are of another kind
YES = {"true", "yes", "1", "y", "on"}
NO = {"false", "no", "0", "n", "off"}
_NUMBER = re.compile(r"-?[0-9]{1,19}(?P<decimals>\.[0-9]{1,12})?")
_EXACT = 16  # characters of a decimal number, its point one of them, that a float keeps


class FileFault(Exception):
    """A file that cannot be read as devices: says where and how to mend it."""


class RowFault(Exception):
    """A row that is left out: the column, and what must be mended."""

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(problem)
        self.column = column


@dataclass(frozen=True, slots=True)
class Column:
    heading: str
    name: str  # one of ALIASES, "" for a custom attribute, or "left out …"


@dataclass(slots=True)
class Wanted:
    """A device as its row says."""

    line: int
    cells: list[str]
    public_id: uuid.UUID | None
    platform: Platform
    provider: Provider
    token: str
    digest: bytes | None
    environment: str  # "": the row does not say
    kind: str
    identities: list[Key]
    registration: dict[str, Any] = field(default_factory=dict)
    address: dict[str, Any] = field(default_factory=dict)
    person: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One kind of file: what its columns may become, and without which it is none."""

    aliases: Mapping[str, str]  # what a column may become → the headings that say so
    exported: Collection[str]  # headings that an import leaves out
    check: Callable[[Collection[str]], None]  # what columns become; raises FileFault

    def suggested(self, heading: str) -> str:
        """What a column becomes by its name alone: one of the aliases, ATTRIBUTE or SKIP."""
        folded = re.sub(r"[\s_\-.]", "", heading).lower()
        known = (name for name, aliases in self.aliases.items() if folded in aliases.split())
        return SKIP if folded in self.exported else next(known, ATTRIBUTE)


def _check_devices(names: Collection[str]) -> None:
    if "platform" not in names:
        raise FileFault(
            "The column “platform” is missing. The first line must name the columns; each device"
            " needs a platform (Android, iOS) and a token."
        )
    if not {"token", "registration_id", "endpoint"} & set(names):
        raise FileFault("The column “token” is missing: a push cannot be sent without it.")


DEVICES = Sheet(ALIASES, EXPORTED, _check_devices)


def header(cells: list[str], mapping: Sequence[str] = (), sheet: Sheet = DEVICES) -> list[Column]:
    """What each column becomes; raises FileFault.

    `mapping` says it for each column: one of the sheet's aliases, ATTRIBUTE or SKIP. Without one,
    a column becomes what its name says.
    """
    _check_size(cells)
    if mapping and len(mapping) != len(cells):
        raise FileFault(f"The file has {len(cells)} columns, its mapping {len(mapping)}.")
    columns: list[Column] = []
    for number, cell in enumerate(cells, 1):
        heading = cell.strip()
        chosen = mapping[number - 1] if mapping else sheet.suggested(heading)
        usable = heading and "\0" not in heading and len(heading) <= NAME_LENGTH
        if not usable and (not mapping or chosen == ATTRIBUTE):
            raise FileFault(f"Column {number} has no usable name in the first line.")
        left_out = f"left out {number}" if chosen == SKIP else chosen
        columns.append(Column(heading, "" if chosen == ATTRIBUTE else left_out))
    names = [column.name or column.heading for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FileFault(f"The column “{twice[0]}” is there twice. Remove or rename one.")
    sheet.check(names)
    return columns


def _check_size(cells: list[str]) -> None:
    if not cells or not any(cell.strip() for cell in cells):
        raise FileFault("The file is empty. Its first line must name the columns.")
    if len(cells) > MOST_COLUMNS:
        raise FileFault(f"The file has {len(cells):,} columns; at most {MOST_COLUMNS} can be read.")


def told(columns: Sequence[Column], cells: Sequence[str]) -> dict[str, str]:
    """What the cells of a row say, by what their columns become; raises RowFault."""
    if len(cells) != len(columns):
        raise RowFault(
            "", f"The row has {len(cells)} cells, the first line names {len(columns)} columns."
        )
    for column, cell in zip(columns, cells, strict=True):
        if "\0" in cell:
            raise RowFault(column.heading, "The cell holds the character NUL. Remove it.")
    return {
        column.name: cell.strip()
        for column, cell in zip(columns, cells, strict=True)
        if column.name
    }


def read(columns: list[Column], cells: list[str], line: int, types: dict[str, Type]) -> Wanted:
    """One device; raises RowFault."""
    said = told(columns, cells)
    platform = PLATFORMS.get(said["platform"].lower())
    if platform is None:
        raise RowFault(
            "platform", "The platform is one of Android, iOS, Huawei, HarmonyOS and Web."
        )
    provider = CLOUDS[platform]
    token = _token(provider, said)
    registration = public_id(said.get("registration_id", ""))
    if not token and registration is None:
        raise RowFault("token", "The row needs a token or a registration ID.")
    wanted = Wanted(
        line=line,
        cells=cells,
        public_id=registration,
        platform=platform,
        provider=provider,
        token=token,
        digest=normalizing.digest(token) if token else None,
        environment=_environment(said.get("environment", "")),
        kind=Address.Kind.HARMONY if said["platform"].lower() in HARMONY else Address.Kind.TOKEN,
        identities=_identities(said),
    )
    _system(wanted, said)
    wanted.tags = tags(said)
    wanted.attributes = custom(columns, cells, types)
    return wanted


def tags(said: Mapping[str, str]) -> list[str]:
    """The tags of a row; raises RowFault."""
    found = sorted({tag.strip() for tag in said.get("tags", "").split("|") if tag.strip()})
    if any(len(tag) > TAG_LENGTH for tag in found):
        raise RowFault("tags", f"A tag has at most {TAG_LENGTH} characters.")
    if len(found) > MOST_TAGS:
        raise RowFault("tags", f"A person has at most {MOST_TAGS} tags.")
    return found


def custom(
    columns: Sequence[Column], cells: Sequence[str], types: Mapping[str, Type]
) -> dict[str, Any]:
    """The custom attributes of a row; raises RowFault."""
    return {
        column.heading: value(column.heading, cell.strip(), types)
        for column, cell in zip(columns, cells, strict=True)
        if not column.name and cell.strip()
    }


def _token(provider: Provider, said: dict[str, str]) -> str:
    """The address of a device: of a browser also in three columns of its own."""
    given = said.get("token", "")
    if provider == Provider.WEBPUSH and not given and said.get("endpoint"):
        keys = {name: said.get(name) for name in ("p256dh", "auth")}
        given = json.dumps({"endpoint": said["endpoint"], "keys": keys})
    try:
        return normalizing.token(provider, given) if given else ""
    except SubscriptionError as fault:
        column = fault.field.removeprefix("keys.")
        column = column if column in said and not said.get("token") else "token"
        raise RowFault(column, f"It should be {fault}.") from None
    except DeviceError as fault:
        raise RowFault("token", f"The token should be {fault}.") from None


def public_id(text: str) -> uuid.UUID | None:
    """A registration id; None where nothing is said. Raises RowFault."""
    if not text:
        return None
    try:
        return uuid.UUID(text)
    except ValueError:
        raise RowFault("registration_id", "A registration ID is a UUID.") from None


def _environment(text: str) -> str:
    if not text or text.lower() in Environment.values:
        return text.lower()
    raise RowFault("environment", "The environment is production or sandbox.")


def _identities(said: dict[str, str]) -> list[Key]:
    """By what the person is known, spelled as everywhere."""
    every = (identity(name, said.get(name, "")) for name in _SPELLED)
    return [found for found in every if found is not None]


def identity(name: str, text: str) -> Key | None:
    """One of them by the name of its column; None where nothing is said. Raises RowFault."""
    kind, spelled, problem = _SPELLED[name]
    if not text:
        return None
    try:
        known = spelled(text)
    except DeviceError:
        raise RowFault(name, problem) from None
    return (kind, known) if known else None


def _phone(text: str) -> str:
    """Digits of a number as people write it: +41 (79) 302-67.27, 0041 79…"""
    digits = re.sub(r"[\s()\-.]", "", text)
    return normalizing.phone(digits.removeprefix("00"))


_SPELLED: dict[str, tuple[int, Callable[[str], str], str]] = {
    "external_id": (
        Identity.Kind.EXTERNAL_ID, normalizing.external_id,
        f"An external ID has at most {normalizing.EXTERNAL_ID_LENGTH} characters.",
    ),
    "phone": (
        Identity.Kind.PHONE, _phone,
        "A phone number has 5 to 15 digits, the first of them of its country code.",
    ),
    "email": (
        Identity.Kind.EMAIL, normalizing.email,
        "An e-mail address looks like name@example.com.",
    ),
}  # fmt: skip


def _flag(said: dict[str, str], name: str) -> bool | None:
    text = said.get(name, "").lower()
    if text in YES:
        return True
    if text in NO:
        return False
    if text:
        raise RowFault(name, "Write true or false.")
    return None


def _system(wanted: Wanted, said: dict[str, str]) -> None:
    """Columns of Registration and Address that the row speaks of; empty cells say nothing."""
    _names(wanted, said)
    row = wanted.registration
    try:
        if said.get("timezone"):
            row["timezone_offset"] = normalizing.timezone_offset(said["timezone"])
    except DeviceError as fault:
        raise RowFault("timezone", f"It should be {fault}.") from None
    for name in ("enabled", "notifications_enabled"):
        flag = _flag(said, name)
        if flag is not None:
            row[name] = flag
    for name in ("first_name", "last_name"):
        if said.get(name):
            if len(said[name]) > PERSON_NAME:
                raise RowFault(name, f"A name has at most {PERSON_NAME} characters.")
            wanted.person[name] = said[name]


def _names(wanted: Wanted, said: dict[str, str]) -> None:
    """Versions, language, and what the device is called."""
    row, address = wanted.registration, wanted.address
    for name in ("app_version", "os_version", "sdk_version"):
        if said.get(name):
            if len(said[name]) > 64:
                raise RowFault(name, "A version has at most 64 characters.")
            row[name], address[name] = pack_version(said[name]), said[name]
    for name, most in _TEXTS.items():
        if said.get(name):
            if len(said[name]) > most:
                raise RowFault(name, f"It has at most {most} characters.")
            (row if name in ("manufacturer", "model") else address)[name] = said[name]
    if said.get("language"):
        row["language"] = normalizing.language(said["language"])
        if len(row["language"]) > 35:
            raise RowFault("language", "A language is a tag such as de or en-GB.")


def guess(text: str) -> Type:
    """The type a cell has by itself; a column keeps that of its first."""
    if text.lower() in ("true", "false"):
        return Type.BOOLEAN
    if _number(text) is not None and not re.fullmatch(r"-?0[0-9]+", text):
        return Type.NUMBER
    return Type.DATE if is_date(text) else Type.TEXT


def value(name: str, text: str, types: Mapping[str, Type]) -> str | float | bool:
    """A cell as the type of its attribute; raises RowFault."""
    wanted = types.get(name) or guess(text)
    if wanted == Type.BOOLEAN:
        if text.lower() in YES | NO:
            return text.lower() in YES
        raise RowFault(name, "This attribute is yes or no: write true or false.")
    if wanted == Type.NUMBER:
        number = _number(text)
        if number is None:
            raise RowFault(name, "This attribute is a number, as in the rows before.")
        return number
    if wanted == Type.DATE and not is_date(text):
        raise RowFault(name, "This attribute is a date: write it like 2026-11-30.")
    if wanted == Type.LIST:
        raise RowFault(name, "This attribute is a list and cannot come from a CSV file.")
    if len(text) > TEXT_LENGTH:
        raise RowFault(name, f"A text has at most {TEXT_LENGTH:,} characters.")
    return text


def _number(text: str) -> int | float | None:
    """A number that is kept exactly as it is written; None for any other text."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    if match["decimals"]:
        return float(text) if len(text) <= _EXACT else None
    whole = int(text)
    return whole if SMALLEST <= whole <= LARGEST else None
