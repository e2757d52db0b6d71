"""What an app with Infobip's SDK calls: /mobile/ (contract/mobile-sdk.md)."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from pydantic import Field

from api.auth import by_application_code
from api.endpoint import (
    ApiRequest,
    Family,
    Json,
    Refusal,
    Schema,
    Text,
    base_url_headers,
    elsewhere,
    endpoint,
    reading,
)
from devices import normalizing, personalizing, registering
from devices.audit import Author
from devices.errors import (
    CustomAttributeError,
    DeviceError,
    TimezoneError,
    TokenError,
    UnknownRegistrationError,
)
from devices.models import Address, Person, Platform, Provider, Registration
from devices.registering import Device
from devices.unsaid import UNSAID, Said, Unsaid

BAD_FORMAT = "REQUEST_FORMAT_INVALID"


APP = Author("App", source=Person.Source.PUSH)  # who makes a change that a phone asks for


def _error(refusal: Refusal) -> Json:
    return {"requestError": {"serviceException": {"messageId": refusal.code, "text": refusal.text}}}


FAMILY = Family(
    authorize=by_application_code,
    error=_error,
    bad_format=BAD_FORMAT,
    not_found="NOT_FOUND",
    fault="0",
    headers=base_url_headers,
    explains_503=False,
)

# ------------------------------------------------------------------- registration

PLATFORMS = {"Android": Platform.ANDROID, "iOS": Platform.IOS, "HarmonyOS": Platform.HUAWEI}
HARMONY = "Harmony"  # ours: Infobip has no SDK for HarmonyOS 5, whose tokens are others
CLOUDS = {
    "GCM": Provider.FCM,
    "Firebase": Provider.FCM,
    "HMS": Provider.HMS,
    HARMONY: Provider.HMS,
    "APNS": Provider.APNS,
}
PLATFORM_OF_CLOUD = {
    Provider.FCM: Platform.ANDROID,
    Provider.HMS: Platform.HUAWEI,
    Provider.APNS: Platform.IOS,
}
CLOUD_NAMES = {Provider.FCM: "GCM", Provider.HMS: "HMS", Provider.APNS: "APNS"}
OS_NAMES = {Platform.ANDROID: "Android", Platform.HUAWEI: "Android", Platform.IOS: "iOS"}


class Installation(Schema):
    """An app instance; `null` clears a member, one that is left out stays (2.3)."""

    reg_enabled: bool | None = Field(None, alias="regEnabled")
    notifications_enabled: bool | None = Field(None, alias="notificationsEnabled")
    sdk_version: Text | None = Field(None, alias="sdkVersion")
    app_version: Text | None = Field(None, alias="appVersion")
    os: Literal["Android", "iOS", "HarmonyOS"] | None = None
    os_version: Text | None = Field(None, alias="osVersion")
    manufacturer: Text | None = Field(None, alias="deviceManufacturer")
    model: Text | None = Field(None, alias="deviceModel")
    device_name: Text | None = Field(None, alias="deviceName")
    language: Text | None = None
    timezone_offset: Text | None = Field(None, alias="deviceTimezoneOffset")
    application_user_id: Text | None = Field(None, alias="applicationUserId")
    secure: bool | None = Field(None, alias="deviceSecure")
    primary: bool | None = Field(None, alias="isPrimary")
    attributes: dict[str, Any] | None = Field(None, alias="customAttributes")
    cloud: Text | None = Field(None, alias="pushServiceType")
    token: Text | None = Field(None, alias="pushServiceToken")


def device_of(body: Installation, *, user_agent: str = "") -> Device:
    platform, provider = _platform(body, user_agent)
    return Device(
        platform=platform,
        provider=provider,
        kind=Address.Kind.HARMONY if body.cloud == HARMONY else Address.Kind.TOKEN,
        token=body.said("token", ""),
        app_version=body.said("app_version", ""),
        os_version=body.said("os_version", ""),
        sdk_version=body.said("sdk_version", ""),
        language=body.said("language", ""),
        manufacturer=body.said("manufacturer", ""),
        model=body.said("model", ""),
        device_name=body.said("device_name", ""),
        application_user_id=body.said("application_user_id", ""),
        timezone_offset=_offset(body.said("timezone_offset", "")),
        enabled=body.said("reg_enabled", cleared=True),
        notifications_enabled=body.said("notifications_enabled", cleared=True),
        secure=body.said("secure", None),
        primary=body.said("primary", cleared=False),
        attributes=body.said("attributes", None),
    )


def _platform(body: Installation, user_agent: str) -> tuple[Said[Platform], Said[Provider]]:
    """What it runs on: as its cloud tells, or its system, or the SDK's name of itself."""
    if body.cloud is not None:
        provider = CLOUDS.get(body.cloud)
        if provider is None:
            raise Refusal(400, "2", f"Invalid cloud type: use one of {', '.join(CLOUDS)}")
        platform = PLATFORM_OF_CLOUD[provider]
        system = "HarmonyOS" if body.cloud == HARMONY else OS_NAMES[platform]
        if body.os is not None and body.os != system:
            raise Refusal(
                400, "4", f"Unsupported cloud type: {body.cloud} does not reach {body.os}"
            )
        return platform, provider
    if body.os is not None:
        return PLATFORMS[body.os], UNSAID
    if user_agent.startswith("Infobip Mobile API Client/"):
        return Platform.ANDROID, UNSAID
    if user_agent.startswith("MobileMessaging/"):
        return Platform.IOS, UNSAID
    return UNSAID, UNSAID


def _offset(text: Said[str]) -> Said[int | None]:
    return text if isinstance(text, Unsaid) else normalizing.timezone_offset(text)


def refused(error: DeviceError) -> Refusal:
    match error:
        case UnknownRegistrationError():
            return Refusal(404, "NO_REGISTRATION", "Registration not found")
        case CustomAttributeError():
            return Refusal(400, BAD_FORMAT, f"customAttributes.{error}")
        case TimezoneError():
            return Refusal(400, BAD_FORMAT, f"deviceTimezoneOffset should be {error}")
        case TokenError():
            return Refusal(400, BAD_FORMAT, f"pushServiceToken should be {error}")
    return Refusal(400, BAD_FORMAT, str(error))


def instance_json(registration: Registration, *, with_token: bool = False) -> Json:
    """A registration as the SDK reads it; what is not known is left out."""
    address: Address = registration.address
    system = OS_NAMES.get(Platform(registration.platform), "")
    cloud = CLOUD_NAMES.get(Provider(address.provider), "")
    if address.kind == Address.Kind.HARMONY:
        system, cloud = "HarmonyOS", HARMONY
    known: Mapping[str, Any] = {
        "sdkVersion": address.sdk_version,
        "appVersion": address.app_version,
        "os": system,
        "osVersion": address.os_version,
        "deviceManufacturer": registration.manufacturer,
        "deviceModel": registration.model,
        "deviceName": address.device_name,
        "language": registration.language,
        "deviceTimezoneOffset": normalizing.timezone_text(registration.timezone_offset),
        "applicationUserId": address.application_user_id,
        "customAttributes": registration.attributes,
        "pushServiceType": cloud,
        "pushServiceToken": address.token if with_token else "",
    }
    answer = {
        "pushRegId": str(address.public_id),
        "regEnabled": registration.enabled,
        "notificationsEnabled": registration.notifications_enabled,
        "isPrimary": registration.primary,
        **{name: value for name, value in known.items() if value},
    }
    if registration.secure is not None:
        answer["deviceSecure"] = registration.secure
    return answer


def flag(request: HttpRequest, name: str) -> bool:
    """A boolean of the query: Android writes `true`, iOS `1`."""
    return request.GET.get(name, "").lower() in {"true", "1"}


@reading(Installation, FAMILY)
def register(request: ApiRequest, body: Installation) -> Json:
    """POST /mobile/1/appinstance (2.1)."""
    try:
        device = device_of(body, user_agent=request.headers.get("User-Agent", ""))
        if device.platform is UNSAID:
            raise Refusal(400, BAD_FORMAT, "os should be Android, iOS or HarmonyOS")
        registration = registering.register(request.application, device)
    except DeviceError as error:
        raise refused(error) from error
    return instance_json(registration, with_token=flag(request, "rt"))


def show(request: ApiRequest, public_id: str) -> Json:
    """GET /mobile/1/appinstance/{pushRegId} (2.2)."""
    try:
        registration = registering.find(request.application, path_id(public_id))
    except DeviceError as error:
        raise refused(error) from error
    return instance_json(registration, with_token=flag(request, "rt"))


@reading(Installation, FAMILY)
def change(request: ApiRequest, body: Installation, public_id: str) -> Json:
    """PATCH /mobile/1/appinstance/{pushRegId} (2.3)."""
    try:
        registering.refresh(
            request.application, path_id(public_id), device_of(body), caller=caller_of(request)
        )
    except DeviceError as error:
        raise refused(error) from error
    return {}


def delete(request: ApiRequest, public_id: str) -> Json:
    """DELETE /mobile/1/appinstance/{pushRegId}: an expired duplicate of the caller (2.4)."""
    if (caller := caller_of(request)) is not None:
        try:
            registering.find_key(request.application, caller)
        except UnknownRegistrationError as error:
            raise Refusal(400, "NO_REGISTRATION", "Registration not found") from error
    with suppress(UnknownRegistrationError):
        personalizing.delete_device(request.application, path_id(public_id), APP)
    return {}


def path_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise UnknownRegistrationError from error


def caller_of(request: ApiRequest) -> UUID | None:
    """The registration id of the header, if there is one."""
    text = request.headers.get("pushregistrationid", "").strip()
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise Refusal(400, "NO_REGISTRATION", "Registration not found") from error


# ------------------------------------------------------------------- paths

instances = endpoint(FAMILY, POST=register)
instance = endpoint(FAMILY, GET=show, PATCH=change, DELETE=delete)
nothing = elsewhere(FAMILY)
