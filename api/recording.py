"""A sample of the calls that are answered here, for the page that shows them."""

import time
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import get_contextvars

from campaigns import calls
from campaigns.calls import LONGEST, PHONES, Seen

SYSTEMS = frozenset({"push", "omni", "people", "segments", "lists", "api"})


class RecordingMiddleware:
    """Puts a call into memory; what it costs is a few microseconds."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.API_CALLS_KEPT:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        family = request.path_info.lstrip("/").partition("/")[0]
        if family not in SYSTEMS and family not in PHONES:
            return self.get_response(request)
        began = time.perf_counter()
        response = self.get_response(request)
        if calls.wants(phones=family in PHONES, refused=response.status_code >= 400):
            calls.note(_seen(request, response, time.perf_counter() - began))
        return response


def _seen(request: HttpRequest, response: HttpResponse, seconds: float) -> Seen:
    application = getattr(request, "application", None)
    return Seen(
        at=time.time(),
        application=application.pk if application is not None else None,
        caller=caller_of(request),
        method=request.method or "",
        path=request.path_info,
        query=request.META.get("QUERY_STRING", "")[:2000],
        status=response.status_code,
        milliseconds=round(seconds * 1000),
        request_id=str(get_contextvars().get("request", "")),
        body=_read(request),
        answer="" if response.streaming else _beginning(response.content),
    )


def caller_of(request: HttpRequest) -> str:
    """The name of the key or user that called, as far as it was found."""
    if (author := getattr(request, "author", None)) is not None:
        return str(author.name)
    return str(getattr(request, "key_name", ""))


def _read(request: HttpRequest) -> str:
    """What was read of the body; nobody waits here for the rest."""
    if request.headers.get("Content-Encoding"):
        return "(packed)"
    return _beginning(request.__dict__.get("_body", b""))


def _beginning(body: bytes) -> str:
    return body[:LONGEST].decode("utf-8", "replace")
