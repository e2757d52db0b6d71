"""The items of a carousel that was too large for its push. Source: contract/providers.md 8.3."""

from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from campaigns import ids, rendering
from campaigns.models import Bulk
from providers.dialects import carousel_items

CACHED_FOR = 86_400  # seconds: what a launched campaign says never changes


@csrf_exempt
@require_safe
def carousel(request: HttpRequest, key: str, content: int, message_id: UUID) -> JsonResponse:
    """GET /sdk/1/carousels/…: asked by a phone as it draws the push, so without a login.

    Nobody guesses the address: its key is made of the bulk's id and our secret. What it
    answers is the same for everybody who got the content.
    """
    bulk = Bulk.objects.filter(pk=ids.bulk_number(message_id)).first()
    if bulk is None or content >= len(bulk.content) or not _is_key(key, bulk):
        return JsonResponse({"error": "There is no such carousel."}, status=404)
    said = rendering.read(bulk.content[content])
    answer = JsonResponse({"type": said.carousel_kind, "items": carousel_items(said)})
    answer["cache-control"] = f"public, max-age={CACHED_FOR}, immutable"
    return answer


def _is_key(key: str, bulk: Bulk) -> bool:
    return constant_time_compare(key, rendering.carousel_key(bulk.application_id, bulk.bulk_id))
