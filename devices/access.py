"""Keys and users of other systems: made, changed, replaced, revoked, each with its audit entry.

A secret is returned once, by what makes it; only a digest or a hash is kept (DESIGN.md 12).
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from devices import audit
from devices.models import ApiKey, ApiUser

SHORTEST_SECRET = 20  # characters of a key or password that comes from elsewhere
LONGEST_SECRET = 512  # as long as a call may carry
GRACE = timedelta(days=1)  # that a replaced key still works
PREFIX = 8  # characters of a key that are kept, to tell keys apart

# contract/push.md 1.1, contract/people.md 0
SCOPES = {
    "message:send": "Send messages, by every API",
    "mobile-app-messaging:send": "Send push messages",
    "mobile-app-messaging:logs:read": "Read the logs of push messages",
    "mobile-app-messaging:manage": "All of push: send, logs, statistics, applications, inbox",
    "inbound-message:read": "Read messages from devices",
    "people:read": "Read people and their devices",
    "people:manage": "Read and change people and their devices",
    "segments:read": "Read and count segments and lists, and see who is in them",
    "segments:manage": "The same, and create, change and delete segments and lists",
}


class TakenError(Exception):
    """Somebody has this key already."""


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


@transaction.atomic
def make_key(actor: User, key: ApiKey, secret: str = "", request: HttpRequest | None = None) -> str:
    """Save a new key; the secret, for the only time. Raises TakenError.

    `secret`: one that systems use already, so that nothing but their base URL changes.
    """
    secret = secret or secrets.token_urlsafe(36)
    key.prefix, key.digest = secret[:PREFIX], digest_of(secret)
    if ApiKey.objects.filter(digest=key.digest).exists():
        raise TakenError
    key.save()
    audit.record(actor, "make API key", key, after=facts(key), request=request)
    return secret


@transaction.atomic
def replace_key(actor: User, key: ApiKey, request: HttpRequest | None = None) -> tuple[ApiKey, str]:
    """Another key with the same rights; the old one ends in a day, so that nobody is cut off."""
    ends = timezone.now() + GRACE
    fresh = ApiKey(
        name=key.name, family=key.family, scopes=key.scopes, addresses=key.addresses,
        application=key.application, expires_at=key.expires_at,
    )  # fmt: skip
    secret = make_key(actor, fresh, request=request)
    before = facts(key)
    key.expires_at = min(ends, key.expires_at or ends)
    key.save(update_fields=["expires_at"])
    audit.record(actor, "replace API key", key, before=before, after=facts(key), request=request)
    return fresh, secret


@transaction.atomic
def revoke_key(actor: User, key: ApiKey, request: HttpRequest | None = None) -> None:
    """It is refused from the next call on."""
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
        audit.record(actor, "revoke API key", key, request=request)


@transaction.atomic
def make_user(
    actor: User, user: ApiUser, secret: str = "", request: HttpRequest | None = None
) -> str:
    """Save a new user for Basic authorization; the password, for the only time."""
    secret = secret or secrets.token_urlsafe(24)
    user.password = make_password(secret)
    user.save()
    audit.record(actor, "make API user", user, after=facts(user), request=request)
    return secret


@transaction.atomic
def renew_password(actor: User, user: ApiUser, request: HttpRequest | None = None) -> str:
    """A fresh password; the old one is refused from the next call on."""
    secret = secrets.token_urlsafe(24)
    user.password = make_password(secret)
    user.save(update_fields=["password"])
    audit.record(actor, "renew password of API user", user, request=request)
    return secret


@transaction.atomic
def switch_user(
    actor: User, user: ApiUser, *, enabled: bool, request: HttpRequest | None = None
) -> None:
    if user.enabled != enabled:
        user.enabled = enabled
        user.save(update_fields=["enabled"])
        action = "enable API user" if enabled else "disable API user"
        audit.record(actor, action, user, request=request)


def facts(holder: ApiKey | ApiUser) -> dict[str, Any]:
    """What people decide about it; never the secret."""
    if isinstance(holder, ApiUser):
        return {"scopes": holder.scopes, "enabled": holder.enabled}
    return {
        "name": holder.name,
        "scopes": holder.scopes,
        "addresses": holder.addresses,
        "expires_at": holder.expires_at.isoformat() if holder.expires_at else None,
    }


def state_of(key: ApiKey, now: datetime) -> str:
    """revoked, expired, ending (within a week) or valid."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "valid"
    if key.expires_at <= now:
        return "expired"
    return "ending" if key.expires_at < now + timedelta(days=7) else "valid"
