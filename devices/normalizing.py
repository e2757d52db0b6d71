"""One spelling of what devices write in many."""

import hashlib
import re

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from devices import subscriptions
from devices.errors import EmailError, ExternalIdError, PhoneError, TimezoneError, TokenError
from devices.models import Provider

TOKEN_LENGTH = 4096  # characters; FCM's are about 160, HMS's 200
_HEX = re.compile(r"(?:[0-9a-f]{2}){16,100}")  # APNs promises no length; today's are 32 bytes
_PRINTABLE = re.compile(rf"[!-~]{{1,{TOKEN_LENGTH}}}")
_OFFSET = re.compile(r"(?:GMT|UTC)?(?:([+-])([0-9]{1,2})(?::?([0-9]{2}))?)?|Z")
_MOST_MINUTES = 14 * 60  # Kiribati


def token(provider: str, text: str) -> str:
    """A token as it is stored; APNs tokens are lower-case hex. Raises TokenError."""
    text = text.strip()
    if provider == Provider.WEBPUSH:
        return subscriptions.canonical(text)
    if provider == Provider.APNS:
        text = text.lower()
        if not _HEX.fullmatch(text):
            raise TokenError("an APNs token of 32 to 200 hexadecimal digits")
    elif not _PRINTABLE.fullmatch(text):
        raise TokenError(f"1 to {TOKEN_LENGTH} printable characters without spaces")
    return text


def digest(token: str) -> bytes:
    """What a stored token is found by. Of a subscription only the endpoint counts."""
    return hashlib.sha256((subscriptions.endpoint_of(token) or token).encode()).digest()


def timezone_offset(text: str) -> int | None:
    """Minutes east of UTC of `GMT+03:00`; None when nothing is said. Raises TimezoneError."""
    text = text.strip().upper()
    if not text:
        return None
    match = _OFFSET.fullmatch(text)
    if match is not None:
        sign, hours, minutes = match.groups(default="0")
        offset = int(hours) * 60 + int(minutes)
        if int(minutes) < 60 and offset <= _MOST_MINUTES:
            return -offset if sign == "-" else offset
    raise TimezoneError("an offset from GMT such as GMT+03:00")


def timezone_text(offset: int | None) -> str:
    """An offset as the mobile SDK writes it; "" for an unknown one."""
    if offset is None:
        return ""
    hours, minutes = divmod(abs(offset), 60)
    return f"GMT{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}"


def language(text: str) -> str:
    """A language tag with dashes: Android writes `en_GB` where iOS writes `en-GB`."""
    return text.strip().replace("_", "-")


EXTERNAL_ID_LENGTH = 256  # characters
EMAIL_LENGTH = 255
_PHONE = re.compile(r"[1-9][0-9]{4,14}")


def external_id(text: str) -> str:
    """An external id; `null` in any case counts as none (contract/people.md 5)."""
    if len(text) > EXTERNAL_ID_LENGTH or "\0" in text:
        raise ExternalIdError(f"a string of at most {EXTERNAL_ID_LENGTH} characters")
    return "" if text.lower() == "null" else text


def phone(text: str) -> str:
    """Digits of an international number, without its plus. Raises PhoneError."""
    digits = text.removeprefix("+")
    if not _PHONE.fullmatch(digits):
        raise PhoneError(text[:50], "5 to 15 digits beginning with a country code")
    return digits


def email(text: str) -> str:
    """An e-mail address in lower case. Raises EmailError."""
    lower = text.lower()
    try:
        if len(lower) > EMAIL_LENGTH:
            raise EmailError(text[:EMAIL_LENGTH])
        validate_email(lower)
    except ValidationError as error:
        raise EmailError(text[:EMAIL_LENGTH]) from error
    return lower
