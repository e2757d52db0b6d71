"""A page whose question takes PostgreSQL too long says so."""

import logging
from collections.abc import Callable

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from psycopg.errors import QueryCanceled

log = logging.getLogger(__name__)


class PatienceMiddleware:
    """Answers 503 where a statement was given up after STATEMENT_SECONDS.

    Nothing of it was written: PostgreSQL takes the transaction back. APIs have words of their own
    for that (api/endpoint.py).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, OperationalError) or not isinstance(
            error.__cause__, QueryCanceled
        ):
            return None
        log.error("%s was given up: it took the database too long", request.path)
        return render(request, "503.html", status=503)
