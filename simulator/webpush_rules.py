"""What push services demand of a request, and how each says that it was not met.

Source: RFC 8030, RFC 8292; contract/providers.md 5.2, 5.4.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus

from cryptography.hazmat.primitives.asymmetric import ec

from simulator.browsers import APPLE, GOOGLE, MICROSOFT, Browser, fingerprint, packed, unpacked
from simulator.credentials import BadJwt, check_es256, parse
from simulator.exchange import Answer

DAY = 86_400  # seconds; the longest life of a VAPID token
LONGEST_TTL = 30 * DAY
URGENCIES = ("very-low", "low", "normal", "high")
JSON_TYPE = (("content-type", "application/json"),)

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_TTL = re.compile(r"[0-9]{1,10}")
_MAILTO = re.compile(r"mailto:[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+")


class Fault(Enum):
    """Why a push is refused: Mozilla's status and errno, Google's status, Apple's both."""

    UNKNOWN = (404, 102, 404, 404, "BadPath")
    GONE = (410, 106, 410, 410, "Unregistered")
    TOO_LARGE = (413, 104, 413, 413, "PayloadTooLarge")
    NO_TTL = (400, 111, 400, 400, "BadTtl")
    BAD_URGENCY = (400, 110, 400, 400, "BadUrgency")
    BAD_TOPIC = (400, 113, 400, 400, "BadWebPushTopic")
    BAD_ENCRYPTION = (400, 110, 400, 400, "BadContentEncoding")
    BAD_REQUEST = (400, 110, 400, 400, "BadRequest")
    NO_PROOF = (401, 109, 401, 403, "BadAuthorizationHeader")
    BAD_PROOF = (401, 109, 403, 403, "BadJwtToken")
    OTHER_KEY = (401, 109, 403, 400, "VapidPkHashMismatch")
    NOT_POST = (405, 0, 405, 405, "MethodNotAllowed")
    TOO_MANY = (429, 0, 429, 429, "TooManyRequests")
    INTERNAL = (500, 999, 500, 500, "InternalServerError")
    UPSTREAM = (502, 902, 500, 500, "InternalServerError")
    AWAY = (503, 201, 503, 503, "ServiceUnavailable")


class Refused(Exception):
    """A push that a service does not take; `str()` says what is wrong with it."""

    def __init__(self, fault: Fault, message: str, retry_after: str = "") -> None:
        super().__init__(message)
        self.fault = fault
        self.retry_after = retry_after

    @property
    def reason(self) -> str:
        """As the ledger counts it."""
        return self.fault.name.lower()

    def status(self, host: str) -> int:
        mozilla, _, google, apple, _ = self.fault.value
        return apple if host == APPLE else google if host in {GOOGLE, MICROSOFT} else mozilla

    def answer(self, host: str, delay: float = 0.0) -> Answer:
        """In the words of the service at a host."""
        status = self.status(host)
        _, errno, _, _, reason = self.fault.value
        headers: tuple[tuple[str, str], ...] = JSON_TYPE
        if host == APPLE:
            body = json.dumps({"reason": reason})
        elif host in {GOOGLE, MICROSOFT}:
            headers, body = (("content-type", "text/plain; charset=utf-8"),), f"{self}\n"
        else:
            told = {"code": status, "errno": errno, "error": HTTPStatus(status).phrase}
            body = json.dumps({**told, "message": str(self)})
        if self.retry_after:
            headers = (*headers, ("retry-after", self.retry_after))
        return Answer(status, headers, body.encode(), delay)


def check_headers(headers: Mapping[str, str], *, has_body: bool) -> int:
    """The TTL in seconds. Raises Refused."""
    ttl = headers.get("ttl", "")
    if not _TTL.fullmatch(ttl):
        raise Refused(Fault.NO_TTL, "TTL must be a whole number of seconds")
    if headers.get("urgency", "normal") not in URGENCIES:
        raise Refused(Fault.BAD_URGENCY, f"Urgency must be one of {', '.join(URGENCIES)}")
    topic = headers.get("topic")
    if topic is not None and not _TOPIC.fullmatch(topic):
        raise Refused(Fault.BAD_TOPIC, "Topic must be 1 to 32 letters of base64url")
    if has_body and headers.get("content-encoding", "").lower() != "aes128gcm":
        raise Refused(Fault.BAD_ENCRYPTION, "Content-Encoding must be aes128gcm")
    return min(int(ttl), LONGEST_TTL)


def check_vapid(authorization: str, browser: Browser, now: float) -> str:
    """The public key of the sender: the browser subscribed with it. Raises Refused."""
    scheme, _, rest = authorization.partition(" ")
    told = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if scheme.lower() != "vapid" or not told.get("t") or not told.get("k"):
        raise Refused(Fault.NO_PROOF, "Authorization must be: vapid t=TOKEN,k=KEY")
    raw = unpacked(told["k"].strip('"'))
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
        jwt = parse(told["t"].strip('"'))
        check_es256(jwt, key)
    except (ValueError, BadJwt) as fault:
        raise Refused(Fault.BAD_PROOF, f"VAPID: {fault}") from None
    _check_claims(jwt.claims, browser, now)
    if len(raw) != 65 or fingerprint(raw) != browser.server:
        raise Refused(Fault.OTHER_KEY, "VAPID: the browser subscribed with another key")
    return packed(raw)


def _check_claims(claims: Mapping[str, object], browser: Browser, now: float) -> None:
    if claims.get("aud") != f"https://{browser.host}":
        raise Refused(Fault.BAD_PROOF, "VAPID: aud must be the origin of the endpoint")
    exp = claims.get("exp")
    if not isinstance(exp, int | float) or isinstance(exp, bool):
        raise Refused(Fault.BAD_PROOF, "VAPID: exp must be a number")
    if not now < exp <= now + DAY:
        raise Refused(Fault.BAD_PROOF, "VAPID: exp must lie within the next 24 hours")
    subject = claims.get("sub")
    if browser.host == APPLE and not _apple_takes(subject):
        raise Refused(Fault.BAD_PROOF, "VAPID: sub must be mailto: or https:, and no localhost")


def _apple_takes(subject: object) -> bool:
    if not isinstance(subject, str) or "localhost" in subject:
        return False
    return bool(_MAILTO.fullmatch(subject)) or subject.startswith("https://")
