"""What an app or a page with our own receiver calls: /sdk/ (contract/providers.md 7.2).

Web pages of any origin may call it: a caller proves with an application code that stands in
every page anyway, and no cookie is ever looked at.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from pydantic import Field

from api.auth import by_application_code
from api.endpoint import (
    ApiRequest,
    Family,
    Json,
    Refusal,
    Schema,
    Text,
    View,
    elsewhere,
    endpoint,
    reading,
)
from campaigns import reports
from campaigns.models import Message
from devices import registering
from devices.errors import (
    CustomAttributeError,
    DeviceError,
    SubscriptionError,
    UnknownRegistrationError,
)
from devices.models import Address, Platform, Provider, ProviderCredential, Registration
from devices.registering import Device
from devices.unsaid import UNSAID

BAD_FORMAT = "BAD_REQUEST"
MOST_EVENTS = 100
OLDEST = timedelta(days=7)  # whatever is said to be older is as old as that
EASTERNMOST = 14 * 60  # minutes

ANYBODY = {"Access-Control-Allow-Origin": "*"}
PREFLIGHT = {
    **ANYBODY,
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": (
        "authorization, content-encoding, content-type, pushregistrationid"
    ),
    "Access-Control-Max-Age": "86400",  # seconds
}


def _error(refusal: Refusal) -> Json:
    return {"error": {"code": refusal.code, "message": refusal.text}}


FAMILY = Family(
    authorize=by_application_code,
    error=_error,
    bad_format=BAD_FORMAT,
    not_found="NOT_FOUND",
    fault="INTERNAL",
    headers=lambda: ANYBODY,
)


def _for_pages(view: View) -> View:
    """Let pages of other origins call: their browser asks first, without the code."""

    @csrf_exempt
    def answered(request: HttpRequest, **captured: Any) -> HttpResponse:
        if request.method == "OPTIONS":
            return HttpResponse(status=204, headers=PREFLIGHT)
        return view(request, **captured)

    return answered


def _caller(request: ApiRequest) -> UUID | None:
    """The registration id of the header; None where it is none."""
    try:
        return UUID(request.headers.get("pushregistrationid", "").strip())
    except ValueError:
        return None


# ------------------------------------------------------------------- receipts

STATES = {
    "delivered": Message.State.DELIVERED,
    "seen": Message.State.SEEN,
    "dismissed": Message.State.SEEN,  # somebody looked at it, and wiped it away
    "opened": Message.State.CLICKED,
}


class Event(Schema):
    """What became of one message, and how long ago by the device's own clock."""

    id: str
    kind: Literal["delivered", "seen", "opened", "dismissed"]
    ago_ms: int = 0


class Receipts(Schema):
    events: Annotated[list[Event], Field(max_length=MOST_EVENTS)]


@reading(Receipts, FAMILY)
def _take(request: ApiRequest, body: Receipts) -> None:
    """POST /sdk/1/receipts. Messages and registrations that we do not know are passed over."""
    caller, now = _caller(request), timezone.now()
    told = []
    for event in body.events:
        try:
            identifier = UUID(event.id)
        except ValueError:
            continue
        ago = min(timedelta(milliseconds=min(max(event.ago_ms, 0), 10**12)), OLDEST)
        told.append(reports.Receipt(identifier, STATES[event.kind], now - ago))
    reports.take(request.application.pk, _key(request, caller), told)


def _key(request: ApiRequest, caller: UUID | None) -> int | None:
    """The registration that speaks; None also for one that has been deleted since."""
    if caller is None:
        return None
    try:
        return registering.find_key(request.application, caller)
    except UnknownRegistrationError:
        return None


# ------------------------------------------------------------------- subscriptions


class Browser(Schema):
    """A browser that may be pushed to; members that are left out stay as they are."""

    subscription: dict[str, Any] | None
    language: Text | None = None
    timezone_offset: int | None = Field(None, alias="timezoneOffset")  # minutes east of UTC
    browser: Text | None = None
    os: Text | None = None
    os_version: Text | None = Field(None, alias="osVersion")
    app_version: Text | None = Field(None, alias="appVersion")
    sdk_version: Text | None = Field(None, alias="sdkVersion")
    attributes: dict[str, Any] | None = Field(None, alias="customAttributes")


def _device(body: Browser) -> Device:
    offset = body.timezone_offset
    if offset is not None and abs(offset) > EASTERNMOST:
        sentence = f"timezoneOffset should be minutes east of UTC, at most {EASTERNMOST}"
        raise Refusal(400, BAD_FORMAT, sentence)
    said: Mapping[str, Any] = {
        "language": body.language,
        "timezone_offset": offset,
        "model": body.browser,
        "manufacturer": body.os,
        "os_version": body.os_version,
        "app_version": body.app_version,
        "sdk_version": body.sdk_version,
        "attributes": body.attributes,
    }
    known: dict[str, Any] = {
        name: UNSAID if value is None else value for name, value in said.items()
    }
    token = "" if body.subscription is None else json.dumps(body.subscription)
    return Device(
        platform=Platform.WEB,
        provider=Provider.WEBPUSH,
        token=token,
        notifications_enabled=bool(token),
        **known,
    )


@reading(Browser, FAMILY)
def _subscribe(request: ApiRequest, body: Browser) -> Json:
    """POST /sdk/1/subscriptions: register a browser, or refresh what is known of it.

    The header pushregistrationid names the registration of an earlier call: its subscription
    is replaced; with `null` it is taken away.
    """
    try:
        registration = _registered(request, _device(body))
    except DeviceError as error:
        raise _refused(error) from error
    return {"registrationId": str(registration.address.public_id)}


def _registered(request: ApiRequest, device: Device) -> Registration:
    caller = _caller(request)
    if caller is not None and _is_browser(request, caller):
        return registering.refresh(request.application, caller, device)
    if caller is not None and not device.token:
        raise UnknownRegistrationError("Registration not found")
    if not device.token:
        raise SubscriptionError("", "an object, unless pushregistrationid says whose it was")
    return registering.register(request.application, device)


def _is_browser(request: ApiRequest, caller: UUID) -> bool:
    """A phone's registration never becomes a browser's, whoever has learned its id."""
    return Address.objects.filter(
        public_id=caller, application=request.application, provider=Provider.WEBPUSH
    ).exists()


def _refused(error: DeviceError) -> Refusal:
    match error:
        case UnknownRegistrationError():
            return Refusal(404, "NO_REGISTRATION", "Registration not found")
        case SubscriptionError():
            name = f"subscription.{error.field}" if error.field else "subscription"
            return Refusal(400, BAD_FORMAT, f"{name} should be {error.expected}")
        case CustomAttributeError():
            return Refusal(400, BAD_FORMAT, f"customAttributes.{error}")
    return Refusal(400, BAD_FORMAT, str(error))


def _public_key(request: ApiRequest) -> Json:
    """GET /sdk/1/subscriptions: the key that pages subscribe with."""
    credential = ProviderCredential.objects.filter(
        application=request.application, provider=Provider.WEBPUSH, enabled=True
    ).first()
    if credential is None:
        sentence = "This application has no credential for Web Push: add one under Settings"
        raise Refusal(404, "NO_CREDENTIAL", sentence)
    return {"publicKey": credential.data["public_key"]}


# ------------------------------------------------------------------- paths

receipts = _for_pages(endpoint(FAMILY, POST=_take))
subscriptions = _for_pages(endpoint(FAMILY, GET=_public_key, POST=_subscribe))
nothing = _for_pages(elsewhere(FAMILY))
