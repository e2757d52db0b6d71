"""Application codes: who may call for which application."""

import hashlib
import hmac
import time

from django.http import HttpRequest

from api.endpoint import Refusal
from devices.models import Application

_REMEMBER = 5.0  # seconds until a switched-off application is refused
_MOST = 1000  # applications kept in the process
_LONGEST = 80  # characters of a code

_known: dict[bytes, tuple[float, Application]] = {}
_by_id: dict[str, tuple[float, Application]] = {}


def by_application_code(request: HttpRequest) -> Application:
    """The application of `Authorization: App CODE` (contract/mobile-sdk.md 1.1, 1.3)."""
    scheme, _, code = request.headers.get("Authorization", "").strip().partition(" ")
    code = code.strip()
    if scheme.lower() != "app" or not code:
        raise Refusal(401, "APP_CODE_MISSING", "Application code missing")
    application = find_application(code)
    if application is None or not application.enabled:
        raise Refusal(401, "1", "Invalid Application Id")
    return application


def find_application(code: str) -> Application | None:
    """The application with a code, if it can be one."""
    can_be = len(code) <= _LONGEST and code.isascii() and code.isprintable()
    return _find(code) if can_be else None


def find_sender(name: str) -> Application | None:
    """The application with a code or an application id (contract/push.md 2.1), if there is one."""
    return find_application(name) or find_by_id(name)


def find_by_id(name: str) -> Application | None:
    """The application with an application id. It is no secret."""
    until, application = _by_id.get(name, (0.0, None))
    if time.monotonic() < until:
        return application
    can_be = len(name) == 32 and name.isascii() and name.isalnum()
    found = Application.objects.filter(application_id=name.upper()).first() if can_be else None
    if found is not None:
        if len(_by_id) >= _MOST:
            _by_id.clear()
        _by_id[name] = (time.monotonic() + _REMEMBER, found)
    return found


def forget() -> None:
    """Let go of the applications this process remembers."""
    _known.clear()
    _by_id.clear()


def _find(code: str) -> Application | None:
    """The application with a code. Looked up by its digest: timing tells nothing of the code."""
    digest = hashlib.sha256(code.encode()).digest()
    until, application = _known.get(digest, (0.0, None))
    if time.monotonic() < until:
        return application
    application = Application.objects.filter(code=code).first()
    if application is None or not hmac.compare_digest(application.code, code):
        return None
    if len(_known) >= _MOST:
        _known.clear()
    _known[digest] = (time.monotonic() + _REMEMBER, application)
    return application
