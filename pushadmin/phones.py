"""Calls of phones go past what is there for browsers."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import resolve

PREFIX = "/mobile/"  # whatever follows, a path of the API's answers it
PATHS = "api.urls"


class PhoneMiddleware:
    """Hands calls of the mobile API to their view at once.

    They come as fast as a campaign is sent, and know neither sessions nor pages: what follows
    here would cost more than what they ask for. What all answers need stands before it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        request.get_host()  # one that is not ours is refused
        found = request.resolver_match = resolve(request.path_info, PATHS)
        response: HttpResponse = found.func(request, *found.args, **found.kwargs)
        response.headers.setdefault("Content-Length", str(len(response.content)))
        return response
