"""Tokens by which a customer's server says who has signed in (contract/mobile-sdk.md 7)."""

import base64
import binascii
import hashlib
import hmac
import time
from typing import Annotated, Literal

from django.http import HttpRequest
from pydantic import Field, FiniteFloat, ValidationError

from api.auth import by_application_code, find_application
from api.endpoint import Refusal, Schema
from devices.models import Application, UserTokenKey

LONGEST = 8192  # characters
SKEW = 60.0  # seconds that clocks may differ


class _Head(Schema):
    algorithm: Literal["HS256"] = Field(alias="alg")  # whatever else a token says of itself
    kid: Annotated[str, Field(min_length=1, max_length=100)]


class _Claims(Schema):
    subject: Annotated[str, Field(alias="sub", min_length=1)]
    code: str = Field(alias="infobip-api-key")
    issued_at: FiniteFloat = Field(alias="iat")
    expires_at: FiniteFloat = Field(alias="exp")


def by_code_or_token(request: HttpRequest) -> Application:
    """The application of `App CODE`, or that of `Bearer TOKEN`, whose subject is noted."""
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        return by_application_code(request)
    try:
        application, claims = _read(token.strip())
    except (ValueError, ValidationError, binascii.Error) as error:
        raise unauthorized() from error
    named = request.headers.get("applicationcode", "").strip().lower()
    if named and named != hashlib.sha256(claims.code.encode()).hexdigest()[:10]:
        raise unauthorized()
    request.subject = claims.subject  # type: ignore[attr-defined]
    return application


def subject_of(request: HttpRequest) -> str | None:
    """The external id that a token vouches for; None when the app's code called."""
    subject: str | None = getattr(request, "subject", None)
    return subject


def unauthorized() -> Refusal:
    return Refusal(401, "UNAUTHORIZED", "Unauthorized")


def _read(token: str) -> tuple[Application, _Claims]:
    """What a token says, once its signature and its times are right. Raises ValueError."""
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    if len(token) > LONGEST or not token.isascii():
        raise ValueError("no token")
    kid = _Head.model_validate_json(_decoded(head)).kid
    claims = _Claims.model_validate_json(_decoded(body))
    application = find_application(claims.code)
    if application is None or not application.enabled or not kid.isprintable():
        raise ValueError("no such application")
    key = UserTokenKey.objects.filter(application=application, kid=kid).first()
    if key is None:
        raise ValueError("no such key")
    right = hmac.digest(key.data["secret"].encode(), signed.encode(), "sha256")
    if not hmac.compare_digest(right, _decoded(signature)):
        raise ValueError("another signature")
    now = time.time()
    if claims.expires_at < now - SKEW or claims.issued_at > now + SKEW:
        raise ValueError("not valid now")
    return application, claims


def _decoded(part: str) -> bytes:
    """Base64url without padding, and nothing else."""
    if "=" in part or "+" in part or "/" in part:
        raise ValueError("no base64url")
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
