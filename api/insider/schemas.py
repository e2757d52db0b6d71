"""A send as Insider's callers write it, and the faults it can have (contract/insider.md 2).

The first fault is the answer, so what a type cannot say is checked in the contract's order.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from api.endpoint import Documented, Refusal, Schema, Text, Text255, Text4000

MOST_NOTIFICATIONS = 20
MOST_ITEMS = 20
MOST_IDENTIFIERS = 20
MOST_ATTRIBUTES = 200
HIGHEST = 2**63 - 1  # of a number that is kept
HIGHEST_BADGE = 2**31 - 1
LONGEST_NUMBER = 10**100

Checked = TypeVar("Checked", bound=Schema)
WEB = ("http://", "https://")
KINDS = ("carousel", "slider")
# Deep links whose address must be a safe one; no URL scheme and no JSON begins like this (2.2).
WEB_LINKS = ("ins_dl_internal", "ins_dl_external")


def invalid_payload() -> Refusal:
    text = "Can't parse payload, check your keys and data types"
    return Refusal(400, "invalid_payload", text)


def _invalid_notifications(text: str) -> Refusal:
    return Refusal(400, "invalid_notifications", text)


# ------------------------------------------------------------------- types


def _web(url: str) -> str:
    """Hosts that no name server knows are fine: the vendor's own samples have some (2.1)."""
    if not any(url.startswith(each) and len(url) > len(each) for each in WEB):
        raise ValueError("address that begins with https://")
    return url


def _plain(value: object) -> object:
    """A text, a number or a boolean; what is kept as JSON has no endless numbers."""
    match value:
        case bool():
            return value
        case str() if "\0" not in value:
            return value
        case int() | float() if -LONGEST_NUMBER < value < LONGEST_NUMBER:
            return value
    raise ValueError("string, number or boolean")


def _as_text(value: object) -> object:
    """Numbers and booleans of deep links become texts (2.2)."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(_plain(value))
    return value


def _no_repeats(items: list["Item"]) -> list["Item"]:
    if len({item.id for item in items}) < len(items):
        raise ValueError("array whose members have ids of their own")
    return items


Web = Annotated[Text, AfterValidator(_web), Documented(pattern=r"^https?://[^\x00]+$")]
Link = Annotated[Text, BeforeValidator(_as_text), Documented(type=["string", "number", "boolean"])]
Links = dict[Text, Link]
Identifier = Annotated[
    Any, AfterValidator(_plain), Documented(type=["string", "number", "boolean"])
]
Whole = Annotated[int, Field(ge=-HIGHEST, le=HIGHEST)]


class Item(Schema):
    """One picture of a carousel or a slider."""

    id: Whole
    headline: Text
    description: Text
    image_url: Web
    deep_links: Links | None = None


class Advanced(Schema):
    kind: Text = Field(alias="advanced_push_type")
    items: Annotated[
        list[Item],
        Field(alias="advanced_push_items", min_length=1, max_length=MOST_ITEMS),
        AfterValidator(_no_repeats),
    ]


class Platform(Schema):
    """What both platforms' blocks may have."""

    sound: Text | None = None
    deep_link: Links | None = None
    thread: Whole | None = Field(None, alias="thread-id")
    thread_too: Whole | None = Field(None, alias="thread_id")

    @property
    def thread_id(self) -> str:
        number = self.thread if self.thread is not None else self.thread_too
        return "" if number is None else str(number)


class Android(Platform):
    channel_id: Whole | None = None


class Ios(Platform):
    badge: Annotated[int, Field(ge=0, le=HIGHEST_BADGE)] | None = None
    content_available: bool | None = Field(None, alias="content-available")
    mutable_content: bool | None = Field(None, alias="mutable-content")
    deliver_silently: bool | None = None


class Notification(Schema):
    """One push to one person."""

    identifiers: dict[Text, Identifier] | None = Field(None, max_length=MOST_IDENTIFIERS)
    advanced: Advanced | None = Field(None, alias="advanced_push_payload")
    camp_id: Whole
    camp_name: Annotated[Text255, Field(min_length=1)]
    title: Annotated[Text255, Field(min_length=1)]
    message: Annotated[Text4000, Field(min_length=1)]
    image_url: Web | None = None
    ttl: Annotated[int, Field(ge=0)] | None = None
    check_optin: bool | None = None
    capped: bool | None = Field(None, alias="GFC_enabled")
    android: Android | None = None
    ios: Ios | None = None

    @property
    def links(self) -> list[Links]:
        """Every deep link object it has, in the order of the body's table."""
        items = self.advanced.items if self.advanced else []
        blocks = [block.deep_link for block in (self.android, self.ios) if block is not None]
        return [each for each in [*(item.deep_links for item in items), *blocks] if each]


class Options(Schema):
    """What a request says beside its notifications."""

    report_attributes: Annotated[list[Text], Field(max_length=MOST_ATTRIBUTES)] | None = None
    wait_for_nothing: bool | None = Field(None, alias="async")


# ------------------------------------------------------------------- order of the checks


def read(schema: type[Checked], value: object) -> Checked:
    """A part of a body. Raises Refusal."""
    try:
        return schema.model_validate(value)
    except ValidationError as errors:
        raise invalid_payload() from errors


def notifications_of(body: Mapping[str, Any]) -> list[Notification]:
    """The notifications of a request, all of them faultless. Raises Refusal for the first fault."""
    given = body.get("notifications")
    if not isinstance(given, list):
        raise invalid_payload()
    if not given:
        raise _invalid_notifications("'notifications' is empty, add some notification objects")
    if len(given) > MOST_NOTIFICATIONS:
        raise _invalid_notifications("'notifications' can't have more than 20 objects")
    return [_checked(each) for each in given]


def _checked(given: object) -> Notification:
    notification = read(Notification, given)
    for check in CHECKS:
        check(notification)
    return notification


def _check_identifiers(notification: Notification) -> None:
    if not notification.identifiers:
        text = "'insider_identifiers' object need to have at least one identifier"
        raise Refusal(400, "empty_insider_identifiers", text)


def _check_kind(notification: Notification) -> None:
    if notification.advanced and notification.advanced.kind.lower() not in KINDS:
        text = "'advanced_push_type' must be either Carousel or Slider"
        raise Refusal(400, "invalid_advanced_push_type", text)


def _check_numbers(notification: Notification) -> None:
    """The quote without a partner is the vendor's."""
    channel = notification.android.channel_id if notification.android else None
    if notification.camp_id <= 0 or (channel is not None and channel <= 0):
        text = "camp_id' and/or 'channel_id' must be greater than zero"
        raise Refusal(400, "negative_integer", text)


def _check_links(notification: Notification) -> None:
    for links in notification.links:
        for name, link in links.items():
            if name == "aps":
                text = "deepLink can't contain 'aps' key"
                raise Refusal(400, "blacklisted_deeplink", text)
            if name in WEB_LINKS and not link.startswith("https://"):
                raise invalid_payload()


CHECKS: tuple[Callable[[Notification], None], ...] = (
    _check_identifiers,
    _check_kind,
    _check_numbers,
    _check_links,
)
