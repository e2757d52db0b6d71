"""What goes into a push provider and what comes out of it, in no vendor's words."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

JSON: TypeAlias = (
    bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None  # a JSON value
)


class Verdict(StrEnum):
    """The one thing every hand-over ends in. Source: contract/providers.md 1.1."""

    ACCEPTED = "accepted"  # the cloud took it; not delivered yet
    UNREGISTERED = "unregistered"  # this address will never work
    REJECTED = "rejected"  # this notification is wrong, whoever gets it
    TRY_LATER = "try_later"  # the cloud answered "not now"; it did not take it
    MISCONFIGURED = "misconfigured"  # our credential or settings are wrong
    NOT_SENT = "not_sent"  # provably never processed: may be repeated at once
    UNKNOWN = "unknown"  # bytes left us, no answer came: never repeated unasked


class Scope(StrEnum):
    """Whom a TRY_LATER concerns."""

    DEVICE = "device"
    ACCOUNT = "account"  # the credential
    SERVICE = "service"  # the cloud as a whole


class Cause(IntEnum):
    """Our neutral class of a failure; what statistics and APIs group by.

    Source: the rows of contract/providers.md 9.1. Stored: never renumber.
    """

    NONE = 0
    UNINSTALLED = 1
    MISMATCHED_SENDER = 2
    MALFORMED_TOKEN = 3
    PAYLOAD_REFUSED = 4
    TOO_LARGE = 5
    CLOUD_ERROR = 6
    CLOUD_UNAVAILABLE = 7
    CREDENTIAL_REFUSED = 8
    NO_ANSWER = 9
    NOT_SENT = 10
    INTERNAL = 11
    NUMBER_REFUSED = 31  # no text message can reach it
    OPTED_OUT = 32
    UNDELIVERABLE = 33  # the operator, not the gateway, gave up
    ACCOUNT_REFUSED = 34  # credit, sender or route of our gateway account
    NOT_IN_TIME = 35
    NEVER_LEARNED = 36
    NOTIFICATIONS_OFF = 41  # what Huawei's receipts tell of a device
    DORMANT = 42
    REPLACED = 43  # by a newer message, before it was shown
    LIMITED = 44  # the cloud lets no more through to this device


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one hand-over."""

    verdict: Verdict
    provider_id: str = ""  # the cloud's own id of an accepted message
    reason: str = ""  # the provider's own word, "BadDeviceToken", or "connection closed"
    status: int = 0  # HTTP status; 0 when there was no answer
    cause: Cause = Cause.NONE
    since: datetime | None = None  # APNs 410: when the token stopped working
    scope: Scope = Scope.DEVICE
    retry_after: float | None = None  # seconds, without jitter; doubled with each try …
    asked: bool = False  # … unless the cloud itself named the time …
    retry_after_again: float | None = None  # … or wants this from the second try on
    may_have_sent: bool = False  # a refusal that may have been delivered: 2.7
    remedy: str = ""  # what an administrator should do, in one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class CarouselItem:
    """One picture of a carousel or a slider, and where a tap on it leads."""

    id: int
    headline: str
    description: str = ""
    image_url: str = ""
    deep_links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushNotification:
    """What one push says, before a token or an id is filled in.

    Source: contract/providers.md 8.1. Empty text means "not given".
    """

    title: str = ""
    text: str = ""
    image_url: str = ""
    sound: str = "default"  # "default", a file of the app with its ending, or "" for none
    vibrate: bool = True
    badge: int | None = None  # None leaves it as it is; 0 clears it
    category: str = ""
    silent: bool = False  # wakes the app, shows nothing
    content_available: bool = False  # iOS: also wakes the app behind what is shown
    in_app_style: Literal["", "MODAL", "BANNER"] = ""  # also shown inside the app, like this
    in_app_expires_in: int | None = None  # seconds after sending; None is never
    in_app_open_title: str = ""  # of the button, MODAL only
    in_app_dismiss_title: str = ""
    inbox_topic: str = ""  # kept in the app's inbox under this topic
    inbox_expires_in: int | None = None  # seconds after sending; None: as long as we keep them
    carousel: tuple[CarouselItem, ...] = ()  # at most 20
    carousel_kind: Literal["carousel", "slider"] = "carousel"
    carousel_url: str = ""  # https, ends where the message id follows; "" and none may be cut out
    deep_link: str = ""
    browser_url: str = ""
    web_view_url: str = ""
    custom_payload: Mapping[str, JSON] = field(default_factory=dict)
    collapse_key: str = ""  # a newer push with this key replaces an unseen one
    replace_twin: bool = False  # repeat policy "when_unsure": a repeat replaces its first copy
    thread_id: str = ""
    channel_id: str = ""
    urgency: Literal["low", "normal", "high"] = "high"
    mutable_content: bool = False
    may_trim: bool = False  # a text that is too long may be cut
    application_name: str = ""  # stands in for a missing title
    sender: str = ""  # who an SMS comes from; "" is the credential's own
    bulk_id: str = ""
    sent_at_ms: int = 0  # Unix time, milliseconds
    display: Literal["sdk", "system"] = "sdk"  # who draws it on Android: 2.4
    dialect: Literal["infobip", "own"] = "own"  # which SDK reads it: 8.5
    tracked: bool = True  # the app reports by message id, so each device needs its own: 8.6


class Payload(Protocol):
    """One content, compiled: bytes with gaps for what differs from device to device."""

    def size(self) -> int:
        """Bytes that count against the provider's limit, every gap at its widest."""
        ...


@dataclass(frozen=True, slots=True)
class Addressed:
    """One device of a window: what it gets and where."""

    payload: Payload
    message_id: UUID
    token: str
    token_kind: str = "token"  # or "fid": what FCM registered it as
    ttl: int = 0  # seconds left; 0 is now or never
    environment: str = ""  # APNs: the one stored beside the token; "" is the provider's own


class PushProvider(Protocol):
    """A push cloud and one credential for it."""

    def compile(self, notification: PushNotification) -> Payload:
        """Bytes with gaps for id, token and time to live; once per content.

        Raises PayloadTooLarge, NotPossible.
        """
        ...

    async def send(self, window: Sequence[Addressed]) -> list[Outcome]:
        """One outcome for each of the window, in order; never raises for one of them."""
        ...

    async def test(self) -> Outcome:
        """Whether the credential works: ACCEPTED, with the provider's answer as its reason.

        Reaches no device. Source: contract/providers.md CRED-3.
        """
        ...

    async def close(self) -> None:
        """Let what is on the wire finish, then hang up."""
        ...


class CredentialError(Exception):
    """Credential data that cannot be a credential: names the field and the fix."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class PayloadTooLarge(Exception):
    """A notification that no device could be sent."""

    def __init__(self, size: int, limit: int, field: str = "text") -> None:
        super().__init__(f"The notification takes {size} bytes; at most {limit} are allowed.")
        self.size = size  # bytes
        self.limit = limit  # bytes
        self.field = field  # of PushNotification: what takes most of it


class NotPossible(Exception):
    """A notification that a cloud has no way to carry: names the field and the fix."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field  # of PushNotification


@dataclass(frozen=True)
class Network:
    """Where connections really go.

    With `gateways`, every TCP connection goes to that host and port, while TLS and
    HTTP keep the cloud's name. `ca_file` is trusted beside the system's store.
    """

    gateways: tuple[str, int] | None = None
    ca_file: str | None = None
    proxy: str | None = None  # "http://user:password@host:3128": all connections go through it

    def address(self, host: str, port: int = 443) -> tuple[str, int]:
        return self.gateways or (host, port)

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """For requests with httpx."""
        return self._context()

    @cached_property
    def tls_http2(self) -> ssl.SSLContext:
        """For our own client, which speaks nothing but HTTP/2."""
        context = self._context()
        context.set_alpn_protocols(["h2"])
        return context

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        return context
