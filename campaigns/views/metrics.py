"""/metrics for Prometheus, and the durations of all other requests."""

import hmac
import ipaddress
import time
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from prometheus_client.exposition import choose_encoder

from campaigns import metrics
from campaigns.exposition import Exposition

PATH = "/metrics"
# First part of a path → whose API it is; everything else is the dashboard.
FAMILIES = {
    "mobile": "mobile",
    "sdk": "sdk",
    "callbacks": "callbacks",
    "push": "push",
    "omni": "omni",
    "people": "people",
    "api": "insider",
}
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via")


class MetricsMiddleware:
    """Answers /metrics before anything else looks at the request, and times the others.

    Prometheus asks by address and without TLS: neither ALLOWED_HOSTS nor the redirect to
    HTTPS is for it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == PATH:
            return exposed(request)
        began = time.perf_counter()
        response = self.get_response(request)
        family = family_of(request.path)
        method = request.method if request.method in METHODS else "other"
        metrics.count("answers", family, str(method), str(response.status_code))
        metrics.observe("web", family, seconds=time.perf_counter() - began)
        return response


def family_of(path: str) -> str:
    return FAMILIES.get(path.lstrip("/").partition("/")[0], "dashboard")


def exposed(request: HttpRequest) -> HttpResponse:
    """Everything that is counted, for whoever may know it."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    if not may_scrape(request):
        said = (
            "Metrics are for scrapers on this machine, or for those that send"
            " Authorization: Bearer with the METRICS_TOKEN of this installation.\n"
        )
        headers = {"WWW-Authenticate": 'Bearer realm="metrics"'}
        return HttpResponse(said, status=401, content_type="text/plain", headers=headers)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    metrics.flush()
    try:
        body = encode(Exposition())
    except DatabaseError:
        said = "the database does not answer\n"
        return HttpResponse(said, status=503, content_type="text/plain")
    return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})


def may_scrape(request: HttpRequest) -> bool:
    """With the token from anywhere; without it from this machine, through no proxy."""
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    token = settings.METRICS_TOKEN
    if token and kind.lower() == "bearer":
        return hmac.compare_digest(given.strip().encode(), token.encode())
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
