"""The document, and the page that shows it."""

import json

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from api.openapi.document import document


def base_url(request: HttpRequest) -> str:
    """Where systems reach us: as somebody has said, else as this request did."""
    return settings.NEW_BASE_URL or request.build_absolute_uri("/").rstrip("/")


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """GET /openapi.json, for programs that make clients: it holds no secret."""
    told = json.dumps(document(base_url(request)), ensure_ascii=False, separators=(",", ":"))
    return HttpResponse(told.encode(), content_type="application/json")
