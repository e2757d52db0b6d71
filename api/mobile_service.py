"""What an app with Infobip's SDK asks about the service itself (contract/mobile-sdk.md 4.6)."""

from typing import NamedTuple

from django.conf import settings

from api.endpoint import ApiRequest, Json, endpoint
from api.mobile import FAMILY
from api.mobile_messages import item_of


class Library(NamedTuple):
    """A release of an SDK, and where newer ones are found."""

    version: str
    url: str


# The releases that contract/mobile-sdk.md was read from: apps with an older one say so in
# their developers' logs.
_ANDROID = Library("15.1.0", "https://github.com/infobip/mobile-messaging-sdk-android")
_IOS = Library("15.5.2", "https://github.com/infobip/mobile-messaging-sdk-ios")
LIBRARIES = {"GCM": _ANDROID, "HMS": _ANDROID, "APNS": _IOS}


def version(request: ApiRequest) -> Json:
    """GET /mobile/3/version: which SDK there is."""
    platform_type = request.GET.get("platformType", "").upper()
    item_of(platform_type)
    library = LIBRARIES[platform_type]
    return {
        "platformType": platform_type,
        "libraryVersion": library.version,
        "updateUrl": library.url,
    }


def base_url(request: ApiRequest) -> Json:
    """GET /mobile/1/baseurl: where apps shall call from now on, if somebody has said so."""
    return {"baseUrl": settings.NEW_BASE_URL or None}


versions = endpoint(FAMILY, GET=version)
base_urls = endpoint(FAMILY, GET=base_url)
