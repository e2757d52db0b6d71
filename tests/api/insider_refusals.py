"""Insider's refusals as its contract words them, and a shop that is refused."""

from typing import Any

import pytest

from devices.models import Application, Platform
from tests.api.insider import Caller, connect, make_insider_key
from tests.factories import make_application, make_person, make_registration

NOT_ALLOWED = {
    "error": "ip_not_allowed",
    "message": "Your IP address is not authorized.",
}
TOO_MANY = {"error": "rejected: too many requests"}
BAD_KEY = {
    "error": "bad_api_key",
    "message": (
        "'api_key' is either empty or wrong. You can get your API key from Insider Dashboard"
    ),
}
INVALID = {
    "error": "invalid_payload",
    "message": "Can't parse payload, check your keys and data types",
}
EMPTY = {
    "error": "invalid_notifications",
    "message": "'notifications' is empty, add some notification objects",
}
TOO_LONG = {
    "error": "invalid_notifications",
    "message": "'notifications' can't have more than 20 objects",
}
NO_IDENTIFIERS = {
    "error": "empty_insider_identifiers",
    "message": "'insider_identifiers' object need to have at least one identifier",
}
APS = {"error": "blacklisted_deeplink", "message": "deepLink can't contain 'aps' key"}
NEGATIVE = {
    "error": "negative_integer",
    "message": "camp_id' and/or 'channel_id' must be greater than zero",
}
BAD_TYPE = {
    "error": "invalid_advanced_push_type",
    "message": "'advanced_push_type' must be either Carousel or Slider",
}
NO_CERTIFICATE = {
    "error": "invalid_certificate",
    "message": (
        "You do not have a validated certificate. Please check Certificate section under"
        " Insider's Settings."
    ),
}
FAULT = {"error": "internal_error", "message": "Temporarily unavailable. Try again."}


@pytest.fixture
def shop() -> Application:
    application = make_application()
    make_insider_key(application)
    connect(application, Platform.ANDROID)
    make_registration(application, person=make_person(external_id="ana"))
    return application


@pytest.fixture
def caller(shop: Application) -> Caller:
    return Caller()


def told(answer: Any) -> tuple[int, Any]:
    return answer.status_code, answer.json()
