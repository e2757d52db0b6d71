"""What is sent to /push/3/messages (contract/push.md 2.1)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from django.utils import timezone
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.endpoint import (
    NOT_BLANK,
    Documented,
    Schema,
    StoredObject,
    Text,
    Text100,
    Text255,
    Text4000,
)
from campaigns import windows

MOST_MESSAGES = 1000
MOST_DESTINATIONS = 1000  # of one message
FARTHEST = timedelta(days=180)
HIGHEST_BADGE = 2**31 - 1
DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
TAGS = frozenset(
    {"TEXT", "IMAGE", "REGISTRATION", "EXTERNAL_USER_ID", "EMAIL", "PHONE_NUMBER", "MULTIPLE"}
)
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)"
    r"(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)


def fault(member: str, said: str) -> PydanticCustomError:
    """A fault of one member, found while looking at several."""
    return PydanticCustomError("member", "{said}", {"name": member, "said": said})


def read_time(text: object) -> datetime:
    """A date-time with zone `+0000`, `+00:00`, `Z`, or none, which is UTC (1.3)."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be a date-time such as 2026-07-23T12:55:35.086+0000")
    moment, zone = match.groups()
    moment = moment.replace(",", ".")
    whole, dot, fraction = moment.partition(".")
    if zone and zone != "Z" and len(zone) == 3:
        zone += "00"
    try:
        read = datetime.fromisoformat(f"{whole}{dot}{fraction[:6]}{zone or 'Z'}")
        return read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a date-time that exists") from None


def _not_too_far(moment: datetime) -> datetime:
    if moment > timezone.now() + FARTHEST:
        raise ValueError("must be at most 180 days ahead")
    return moment


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise ValueError("must be an absolute URL that begins with http:// or https://")
    return text


def not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


SendTime = Annotated[datetime, BeforeValidator(read_time), AfterValidator(_not_too_far)]
Url = Annotated[
    Text,
    Field(max_length=2048),
    AfterValidator(_url),
    Documented(pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00]+$"),
]
Id = Annotated[Text255, AfterValidator(not_blank), NOT_BLANK]
Whole = Annotated[int, Field(ge=1, le=2**31 - 1)]
Topic = Annotated[Text255, AfterValidator(not_blank), NOT_BLANK]


# ------------------------------------------------------------------- whom


class Named(Schema):
    primary_only: bool | None = Field(None, alias="targetOnlyPrimaryDevices")
    message_id: Text100 | None = Field(None, alias="messageId")


class ToRegistration(Named):
    type: Literal["REGISTRATION"]
    id: Id = Field(alias="pushRegistrationId")


class ToExternalId(Named):
    type: Literal["EXTERNAL_USER_ID"]
    id: Annotated[Text, Field(max_length=256), AfterValidator(not_blank), NOT_BLANK] = Field(
        alias="externalUserId"
    )


class ToEmail(Named):
    type: Literal["EMAIL"]
    id: Id = Field(alias="email")


class ToPhone(Named):
    type: Literal["PHONE_NUMBER"]
    id: Id = Field(alias="phoneNumber")


Leaves = Annotated[list[Any], Field(max_length=1000)]


class ToMany(Schema):
    """Members of the lists are read later: what is wrong in them is a status, no error."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    type: Literal["MULTIPLE"]
    some: Leaves | None = Field(None, alias="$or")
    every: Leaves | None = Field(None, alias="$and")
    primary_only: bool | None = Field(None, alias="targetOnlyPrimaryDevices")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.some and not self.every:
            raise fault("$or", "must not be empty where $and is empty")
        return self

    @property
    def filter(self) -> dict[str, list[Any]]:
        lists = {"$and": self.every, "$or": self.some}
        return {name: leaves for name, leaves in lists.items() if leaves}

    @property
    def has_unknown_operator(self) -> bool:
        return any(name.startswith("$") for name in self.model_extra or {})


Destination = Annotated[
    ToRegistration | ToExternalId | ToEmail | ToPhone | ToMany, Field(discriminator="type")
]


# ------------------------------------------------------------------- what

Title = Annotated[Text, Field(max_length=50)]
Words = Annotated[Text4000, AfterValidator(not_blank), NOT_BLANK]


class TextContent(Schema):
    type: Literal["TEXT"]
    title: Title | None = None
    text: Words


class ImageContent(Schema):
    type: Literal["IMAGE"]
    title: Title | None = None
    text: Words
    url: Url


Content = Annotated[TextContent | ImageContent, Field(discriminator="type")]


# ------------------------------------------------------------------- how


class Validity(Schema):
    """How long it may be tried; negative and short ones get a status."""

    amount: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
    unit: Literal["SECONDS", "MINUTES", "HOURS"] | None = Field(None, alias="timeUnit")

    @property
    def seconds(self) -> int:
        return self.amount * {"SECONDS": 1, "HOURS": 3600}.get(self.unit or "", 60)


class Clock(Schema):
    hour: Annotated[int, Field(ge=0, le=23)]
    minute: Annotated[int, Field(ge=0, le=59)]

    @property
    def minutes(self) -> int:
        return self.hour * 60 + self.minute


class Window(Schema):
    days: Annotated[list[Literal[DAYS]], Field(min_length=1, max_length=100)]  # type: ignore[valid-type]
    start: Clock | None = Field(None, alias="from")
    end: Clock | None = Field(None, alias="to")

    @model_validator(mode="after")
    def _is_long_enough(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise fault("to" if self.end is None else "from", "must not be null")
        ends = self.start and self.end and (self.start.minutes, self.end.minutes)
        if ends and windows.length(*ends) < windows.SHORTEST:
            raise fault("to", "must be at least 1 hour after from")
        return self

    def as_json(self) -> dict[str, Any]:
        """As campaigns.windows reads it."""
        days: dict[str, Any] = {"days": sorted({DAYS.index(day) for day in self.days})}
        if self.start and self.end:
            days |= {"from": self.start.minutes, "to": self.end.minutes}
        return days


class Action(Schema):
    """What a tap does. With one member only it gets a status."""

    resource: Annotated[Text, Field(max_length=2048)] | None = None
    type: Literal["WEB_VIEW_URL", "DEEP_LINK", "OPEN_URL_IN_BROWSER"] | None = None

    @property
    def is_incomplete(self) -> bool:
        return bool(self.resource) != bool(self.type)


class PlatformIds(Schema):
    entity_id: Text255 | None = Field(None, alias="entityId")
    application_id: Text255 | None = Field(None, alias="applicationId")


class Options(Schema):
    platform: PlatformIds | None = None
    validity: Validity | None = Field(None, alias="validityPeriod")
    window: Window | None = Field(None, alias="deliveryTimeWindow")
    sound: bool | None = Field(None, alias="soundEnabled")
    sound_name: Text255 | None = Field(None, alias="soundName")
    vibrate: bool | None = Field(None, alias="vibrationEnabled")
    content_available: bool | None = Field(None, alias="contentAvailable")
    silent: bool | None = Field(None, alias="isSilent")
    badge: Annotated[int, Field(ge=0, le=HIGHEST_BADGE)] | None = None
    category: Text255 | None = None
    mirrored: bool | None = Field(None, alias="showMirroredPush")
    mirrored_style: Literal["MODAL", "BANNER"] | None = Field(None, alias="mirroredPushStyle")
    mirrored_for: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, alias="mirroredPushExpirationPeriod"
    )
    mirrored_unit: Literal["MINUTES", "HOURS"] | None = Field(
        None, alias="mirroredPushExpirationTimeUnit"
    )
    dismiss_title: Text255 | None = Field(None, alias="mirroredPushDismissTitle")
    open_title: Text255 | None = Field(None, alias="mirroredPushOpenTitle")
    action: Action | None = Field(None, alias="onTapButtonAction")
    topic: Topic | None = Field(None, alias="inboxTopic")
    inbox_for: Whole | None = Field(None, alias="inboxMessageExpirationPeriod")
    inbox_unit: Literal["DAYS", "MONTHS"] | None = Field(
        None, alias="inboxMessageExpirationTimeUnit"
    )
    send_at: SendTime | None = Field(None, alias="sendAt")
    custom_payload: StoredObject | None = Field(None, alias="customPayload")
    reference: Text255 | None = Field(None, alias="campaignReferenceId")

    @model_validator(mode="after")
    def _inbox_has_a_topic(self) -> Self:
        if self.inbox_for is not None and self.topic is None:
            raise fault("inboxTopic", "must not be null with inboxMessageExpirationPeriod")
        return self


class Delivery(Schema):
    url: Url | None = None
    intermediate: bool | None = Field(None, alias="intermediateReport")
    notify: bool | None = None


class Webhooks(Schema):
    delivery: Delivery | None = None
    content_type: Literal["application/json", "application/xml"] | None = Field(
        None, alias="contentType"
    )
    callback_data: Text4000 | None = Field(None, alias="callbackData")

    @property
    def stored(self) -> dict[str, Any]:
        """Where reports go; {} for nowhere."""
        wanted = self.delivery
        if wanted is not None and wanted.notify is False:
            return {"notify": False}  # nor is the application's own webhook told
        if wanted is None or not wanted.url:
            return {}
        return {
            "url": wanted.url,
            "intermediate": bool(wanted.intermediate),
            "content_type": self.content_type or "application/json",
        }


class Message(Schema):
    sender: Id
    destinations: Annotated[list[Destination], Field(min_length=1, max_length=MOST_DESTINATIONS)]
    content: Content
    options: Options | None = None
    webhooks: Webhooks | None = None

    @model_validator(mode="before")
    @classmethod
    def _older_names(cls, given: object) -> object:
        """`from` is `sender`; what only `notificationOptions` says counts as well."""
        if not isinstance(given, Mapping):
            return given
        read = dict(given)
        if read.get("sender") is None and read.get("from") is not None:
            read["sender"] = read["from"]
        older, newer = read.get("notificationOptions"), read.get("options")
        if newer is None:
            read["options"] = older
        elif isinstance(older, Mapping) and isinstance(newer, Mapping):
            said = {name: value for name, value in newer.items() if value is not None}
            read["options"] = {**older, **said}
        return read


class SpeedLimit(Schema):
    amount: Whole
    unit: Literal["MINUTE", "HOUR", "DAY"] | None = Field(None, alias="timeUnit")

    @property
    def per_second(self) -> float:
        return self.amount / {"HOUR": 3600, "DAY": 86_400}.get(self.unit or "", 60)


class Schedule(Schema):
    bulk_id: Text100 | None = Field(None, alias="bulkId")
    send_at: SendTime | None = Field(None, alias="sendAt")
    speed: SpeedLimit | None = Field(None, alias="sendingSpeedLimit")


class RequestOptions(Schema):
    schedule: Schedule | None = None


class Request(Schema):
    messages: Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES)]
    options: RequestOptions | None = None
