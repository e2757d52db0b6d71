"""A name for each web request, in its log lines and in its answer."""

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bind_contextvars, clear_contextvars

HEADER = "X-Request-Id"
GIVEN = re.compile(r"[A-Za-z0-9-]{8,36}")  # by a proxy of ours, or by the caller


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        name = given if GIVEN.fullmatch(given) else secrets.token_hex(8)
        # Bound until the thread's next request: Django logs refusals after all middleware.
        clear_contextvars()
        bind_contextvars(request=name)
        response = self.get_response(request)
        response.headers[HEADER] = name
        return response
