"""What an administrator should do about an answer that blames our credential, in one sentence.

Source: contract/providers.md 2.2, 2.6, 3.3, 3.5 and 9.3.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TypeGuard

from providers.base import Outcome

CLOCK_MAY_BE_OFF = 300.0  # seconds; clouds bear a minute or more

FCM = {
    "invalid_grant": "Google does not accept this service account's key: make a new one in the"
    " Firebase console under Project settings, Service accounts, and enter it here.",
    "invalid_client": "Google does not know this service account: it was deleted, so make a new"
    " key in the Firebase console under Project settings, Service accounts, and enter it here.",
    "NOT_FOUND": "Google has no Firebase project {project}: enter the service account file of the"
    " project that the app is registered in.",
    "PERMISSION_DENIED": "This service account may not send for the project {project}: enable the"
    " Firebase Cloud Messaging API there, and give the account the role Firebase Cloud Messaging"
    " API Admin.",
    "SERVICE_DISABLED": "The Firebase Cloud Messaging API is off in the project {project}: enable"
    " it in the Google Cloud console under APIs and services.",
    "IAM_PERMISSION_DENIED": "This service account lacks the right to send for the project"
    " {project}: give it the role Firebase Cloud Messaging API Admin in the Google Cloud console"
    " under IAM.",
    "UNAUTHENTICATED": "Google does not accept a token that it has just given out: make a new key"
    " in the Firebase console under Project settings, Service accounts, and enter it here.",
    "THIRD_PARTY_AUTH_ERROR": "Apple or a browser refuses the key that is kept inside Firebase:"
    " upload a valid one in the Firebase console under Project settings, Cloud Messaging.",
}
FCM["APNS_AUTH_ERROR"] = FCM["THIRD_PARTY_AUTH_ERROR"]

_BUNDLE = (
    "Apple does not let this {login} send to the bundle ID {topic}: enter the app's bundle ID"
    " exactly as in Xcode, and a {login} that Apple gave out for it."
)
_ENVIRONMENT = (
    "This {login} is not for Apple's {environment} environment: enter one that is, or move it to"
    " the other environment."
)
_CERTIFICATE = (
    "Apple does not accept this certificate: make a new one for the bundle ID {topic} under"
    " Apple Developer, Certificates, and enter it here."
)
APNS = {
    "BadTopic": _BUNDLE,
    "TopicDisallowed": _BUNDLE,
    "MissingTopic": _BUNDLE,
    "DeviceTokenNotForTopic": _BUNDLE,
    "BadEnvironmentKeyIdInToken": _ENVIRONMENT,
    "BadEnvironmentKeyInToken": _ENVIRONMENT,
    "BadCertificateEnvironment": _ENVIRONMENT,
    "BadCertificate": _CERTIFICATE,
    "CertificateRefused": _CERTIFICATE,
    "CertificateExpired": "This certificate ended on {ended}: make a new one for the bundle ID"
    " {topic} under Apple Developer, Certificates, and enter it here.",
    "InvalidProviderToken": "Apple does not accept this key: check that the key ID, the team ID"
    " and the .p8 file belong together and that nobody revoked the key, or enter a new one.",
    "ClockAhead": "This server's clock is ahead, so that Apple takes our tokens for ones of the"
    " future: set it, for example with NTP.",
    "ExpiredProviderToken": "This server's clock is late, so that Apple calls a token expired that"
    " was just made: set it, for example with NTP.",
    "UnrelatedKeyIdInToken": "Apple says that this key belongs to another team: enter the team ID"
    " that the key was made under.",
    "MissingProviderToken": "Apple found no token in our request: enter the key anew, and look"
    " whether a proxy between us and Apple removes headers.",
    "Forbidden": "Apple forbids this {login} to send: check under Apple Developer that the"
    " membership is paid and the {login} is not revoked.",
    "BadDeviceToken": "Apple's {environment} environment does not know devices that are stored as"
    " the other environment's: enter a {login} for that one too.",
}
WEBPUSH = (
    "The push service {host} refuses this key: enter the key pair that the site's pages subscribed"
    " their browsers with, and look whether this server's clock is right; it says {now}."
)
_CLOCK = (
    "This server's clock is {minutes} minutes {direction}: set it, for example with NTP, because"
    " {cloud} refuses what is signed at the wrong time."
)
_UNREACHABLE = (
    "The certificate that came in the name of {host} is not trusted here: look whether a proxy"
    " stands in between, and trust its authority in the file GATEWAYS_CA_FILE names, or update"
    " this server's list of authorities."
)


def for_fcm(outcome: Outcome, *, project: str, off: float | None = None) -> str:
    """`off`: seconds our clock is ahead of Google's, where its answer told."""
    if is_off(off) and outcome.reason.partition(":")[0] in {"invalid_grant", "UNAUTHENTICATED"}:
        return clock("Google", off)
    return _found(FCM, outcome, {"project": project, "host": "fcm.googleapis.com"})


def for_apns(
    outcome: Outcome, *, host: str, facts: Mapping[str, str], off: float | None = None
) -> str:
    """`facts` name topic, environment, login ("key" or "certificate"), and for it what ended."""
    if is_off(off) and outcome.reason in {"InvalidProviderToken", "ExpiredProviderToken"}:
        return clock("Apple", off)
    return _found(APNS, outcome, {"host": host, **facts})


def for_webpush(*, host: str, now: float, off: float | None = None) -> str:
    """Push services have one answer for all that can be wrong with a VAPID token."""
    if is_off(off):
        return clock(host, off)
    return WEBPUSH.format(host=host, now=moment(now))


def ahead(date: str, now: float) -> float | None:
    """Seconds our clock is ahead of what an answer's Date header says; None without one."""
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return now - moment.timestamp()


def moment(now: float) -> str:
    """A time as the sentences name it."""
    return f"{dt.datetime.fromtimestamp(now, dt.UTC):%-d %B %Y, %H:%M} UTC"


def _found(table: Mapping[str, str], outcome: Outcome, facts: Mapping[str, str]) -> str:
    sentence = table.get(outcome.reason) or table.get(outcome.reason.partition(":")[0], "")
    if not sentence and "certificate refused" in outcome.reason:
        sentence = _UNREACHABLE
    return sentence.format(**facts)


def is_off(off: float | None) -> TypeGuard[float]:
    """Whether our clock, ahead by `off` seconds, is so wrong that clouds refuse what we sign."""
    return off is not None and abs(off) > CLOCK_MAY_BE_OFF


def clock(cloud: str, off: float) -> str:
    direction = "ahead" if off > 0 else "late"
    return _CLOCK.format(minutes=round(abs(off) / 60), direction=direction, cloud=cloud)
