"""Who calls Insider's APIs, from where and how often; answers in its words (insider.md 1).

The order of the checks is address, pace, JSON, key, body. As the key stands in the body, the
body is read at once, but what is wrong with it is said in its turn.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from pydantic_core import from_json

from api import keys, limits
from api.endpoint import AWAY, COME_BACK, ApiRequest, Family, Json, Refusal, body_of, of_family
from api.insider.schemas import invalid_payload
from devices.models import ApiKey

log = logging.getLogger(__name__)

CALLS_PER_MINUTE = 1000
DEFAULT_ADDRESSES = ("127.0.0.1",)  # of an account in which nobody has said anything yet


@dataclass(frozen=True, slots=True)
class Call:
    """A call that may be answered."""

    request: ApiRequest
    key: ApiKey
    body: Mapping[str, Any]


Handler: TypeAlias = Callable[[Call], HttpResponse]
Reader: TypeAlias = Callable[[HttpRequest, object], str]


def error_json(refusal: Refusal) -> Json:
    if refusal.status == 429:
        return {"error": "rejected: too many requests"}
    return {"error": refusal.code, "message": refusal.text}


def _nobody(request: HttpRequest) -> None:
    return None


FAMILY = Family(
    authorize=_nobody,
    error=error_json,
    bad_format="invalid_payload",
    not_found="not_found",
    fault="internal_error",
    headers=dict,
)

OUR_FAULT = {"error": FAMILY.fault, "message": "Temporarily unavailable. Try again."}


def bad_key(told: str) -> Exception:
    text = "'api_key' is either empty or wrong. You can get your API key from Insider Dashboard"
    return Refusal(401, "bad_api_key", text)


class PlainRefusal(Exception):
    """An answer other than 2xx whose body is no JSON of the usual form."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.status_code)
        self.response = response


def in_body(request: HttpRequest, body: object) -> str:
    """The key of most calls."""
    told = body.get("api_key") if isinstance(body, dict) else None
    return told if isinstance(told, str) else ""


def in_header(request: HttpRequest, body: object) -> str:
    return request.headers.get("X-INSIDER-API-KEY", "").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A path that answers POST."""

    handler: Handler
    key_of: Reader = in_body
    refuse_body: Callable[[], Exception] = invalid_payload  # what is no JSON object
    refuse_key: Callable[[str], Exception] = bad_key  # an empty or a wrong one

    def view(self) -> Callable[[HttpRequest], HttpResponse]:
        @csrf_exempt
        def view(request: HttpRequest) -> HttpResponse:
            try:
                return self.handler(self._call(request))
            except Refusal as refusal:
                return json_answer(error_json(refusal), refusal.status, refusal.headers)
            except PlainRefusal as refusal:
                return refusal.response
            except AWAY:
                return json_answer(OUR_FAULT, 503, COME_BACK)
            except Exception:
                log.exception("%s failed", request.path_info)
                return json_answer(OUR_FAULT, 500)

        return of_family(FAMILY, view)

    def _call(self, request: HttpRequest) -> Call:
        body, fault = self._read(request)
        told = self.key_of(request, body)
        key = _find(told)
        _check_address(request, key)
        if request.method != "POST":
            raise Refusal(405, "method_not_allowed", "This path answers POST", {"Allow": "POST"})
        limits.take(f"insider:{key.pk if key else _place(request)}", CALLS_PER_MINUTE, 60)
        if key is not None:
            request.key_name = key.name  # type: ignore[attr-defined]
        if fault is not None:
            raise fault
        if not isinstance(body, dict):
            raise self.refuse_body()
        if key is None:
            raise self.refuse_key(told)
        keys.note_use(key)
        return Call(cast("ApiRequest", request), key, body)

    def _read(self, request: HttpRequest) -> tuple[object, Exception | None]:
        """The body as JSON, or what is wrong with it."""
        try:
            return from_json(body_of(request, FAMILY), allow_inf_nan=False), None
        except Refusal as refusal:
            return None, refusal
        except ValueError:
            return None, self.refuse_body()


def json_answer(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return HttpResponse(
        body,
        status=status,
        content_type="application/json",
        headers={**(headers or {}), "Content-Length": str(len(body))},
    )


def text_answer(text: str, status: int) -> HttpResponse:
    body = text.encode()
    return HttpResponse(
        body,
        status=status,
        content_type="text/plain; charset=utf-8",
        headers={"Content-Length": str(len(body))},
    )


@csrf_exempt
def nothing(request: HttpRequest) -> HttpResponse:
    """Every other path of the family."""
    content = {"error": FAMILY.not_found, "message": "There is nothing at this path"}
    return json_answer(content, 404)


of_family(FAMILY, nothing)


# ------------------------------------------------------------------- keys and addresses


def _valid() -> Q:
    not_ended = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return Q(family=ApiKey.Family.INSIDER, revoked_at=None) & not_ended


def _find(told: str) -> ApiKey | None:
    """A key that is valid today. Looked up by its digest: timing tells nothing of the key."""
    if not told or len(told) > keys.LONGEST:
        return None
    digest = hashlib.sha256(told.encode("utf-8", "replace")).digest()
    return ApiKey.objects.select_related("application").filter(_valid(), digest=digest).first()


def _check_address(request: HttpRequest, key: ApiKey | None) -> None:
    """Refuse an address that the key's list does not have; an empty list takes all.

    Whoever has no valid key may at least call from an address that some key's list has: they
    are told what is wrong with their request.
    """
    if key is not None:
        lists = [key.addresses]
    else:
        lists = list(ApiKey.objects.filter(_valid()).values_list("addresses", flat=True))
        lists = lists or [list(DEFAULT_ADDRESSES)]
    address = keys.address_of(request)
    if not any(not each or keys.is_within(address, each) for each in lists):
        raise Refusal(403, "ip_not_allowed", "Your IP address is not authorized.")


def _place(request: HttpRequest) -> str:
    """What calls without a valid key are counted by."""
    return hashlib.sha256(keys.address_of(request).encode()).hexdigest()
