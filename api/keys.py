"""Keys and users of other systems: who calls, and what they may do (contract/push.md 1.1)."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Collection, Sequence
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.http import HttpRequest
from django.utils import timezone

from api import limits
from api.endpoint import Refusal
from devices.audit import Author
from devices.models import ApiKey, ApiUser, Person

LONGEST = 512  # characters of a key, a name or a password
MOST_PASSWORDS = 30  # that are tried a minute for one name
_USED = timedelta(minutes=1)  # how exactly the last use is known
_REMEMBER = 300.0  # seconds that a checked password need not be hashed again
_MOST = 1000  # checked passwords kept in the process

_secret = secrets.token_bytes(32)
_checked: dict[bytes, float] = {}


def author_of(request: HttpRequest, family: ApiKey.Family, scopes: Collection[str]) -> Author:
    """Who calls, if they have one of these scopes.

    Raises Refusal: 401 for whoever is unknown, 403 for who may not, 429 for guessing passwords.
    """
    scheme, _, told = request.headers.get("Authorization", "").strip().partition(" ")
    told = told.strip()
    if len(told) > 2 * LONGEST:
        raise _unknown()
    match scheme.lower():
        case "app":
            holder: ApiKey | ApiUser = _key(told, request, family)
        case "basic":
            holder = _user(told)
        case _:
            raise _unknown()
    if not set(scopes) & set(holder.scopes):
        raise Refusal(403, "FORBIDDEN", "Forbidden")
    note_use(holder)
    address = request.META.get("REMOTE_ADDR") or None
    return Author(str(holder), address=address, source=Person.Source.API)


def _unknown() -> Refusal:
    return Refusal(401, "UNAUTHORIZED", "Unauthorized")


def _key(told: str, request: HttpRequest, family: ApiKey.Family) -> ApiKey:
    """A key that is valid today. Looked up by its digest: timing tells nothing of the key."""
    digest = hashlib.sha256(told.encode("utf-8", "replace")).digest()
    key = ApiKey.objects.filter(digest=digest, family=family).first()
    if key is None or key.revoked_at is not None:
        raise _unknown()
    if key.expires_at is not None and key.expires_at <= timezone.now():
        raise _unknown()
    if key.addresses and not is_within(address_of(request), key.addresses):
        raise Refusal(403, "FORBIDDEN", "Forbidden")
    return key


def address_of(request: HttpRequest) -> str:
    """Where a call comes from: the socket's other end, or what our own proxies say of it."""
    if not settings.TRUSTED_PROXIES:
        return str(request.META.get("REMOTE_ADDR", ""))
    told = [each.strip() for each in request.headers.get("X-Forwarded-For", "").split(",")]
    # Each proxy appends whom it was called by; what stands before ours, anybody can write.
    return told[-settings.TRUSTED_PROXIES] if len(told) >= settings.TRUSTED_PROXIES else ""


def is_within(address: str, networks: Sequence[str]) -> bool:
    try:
        caller = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(caller, ipaddress.IPv6Address) and caller.ipv4_mapped is not None:
        caller = caller.ipv4_mapped  # a socket for both kinds writes ::ffff:10.0.0.1
    return any(caller in ipaddress.ip_network(each, strict=False) for each in networks)


def _user(told: str) -> ApiUser:
    try:
        name, colon, password = base64.b64decode(told, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _unknown() from None
    if not colon or "\0" in name or max(len(name), len(password)) > LONGEST:
        raise _unknown()
    user = ApiUser.objects.filter(username=name).first()
    stored = user.password if user is not None else ""
    mark = hmac.digest(_secret, f"{stored}\0{password}".encode(), "sha256")
    if user is None or _checked.get(mark, 0.0) < time.monotonic():
        limits.take(f"passwords:{hashlib.sha256(name.encode()).hexdigest()}", MOST_PASSWORDS, 60)
        if user is None:
            make_password(password)  # so that timing does not tell which names exist
            raise _unknown()
        if not check_password(password, stored):
            raise _unknown()
        if len(_checked) >= _MOST:
            _checked.clear()
        _checked[mark] = time.monotonic() + _REMEMBER
    if not user.enabled:
        raise _unknown()
    return user


def note_use(holder: ApiKey | ApiUser) -> None:
    now = timezone.now()
    if holder.last_used_at is None or holder.last_used_at < now - _USED:
        type(holder).objects.filter(pk=holder.pk).update(last_used_at=now)
