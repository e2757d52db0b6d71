"""The items of a carousel that was too large for its push. Source: contract/providers.md 8.3."""

from dataclasses import replace
from uuid import UUID

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from api import sdk
from api.endpoint import ApiRequest, Json, Refusal, endpoint
from campaigns import ids, merging, rendering
from campaigns.models import Bulk
from providers.dialects import carousel_items

CACHED_FOR = 86_400  # seconds: what a launched campaign says never changes


def _anybody(request: HttpRequest) -> None:
    """Asked by a phone as it draws the push, so without a login."""


FAMILY = replace(sdk.FAMILY, authorize=_anybody)


def show(request: ApiRequest, key: str, content: int, message_id: UUID) -> Json:
    """GET /sdk/1/carousels/…

    Nobody guesses the address: its key is made of the bulk's id and our secret. What it
    answers is the same for everybody who got the content.
    """
    bulk = Bulk.objects.filter(pk=ids.bulk_number(message_id)).first()
    if bulk is None or content >= len(bulk.content) or not _is_key(key, bulk):
        raise Refusal(404, FAMILY.not_found, "There is no such carousel")
    if merging.CARDS in bulk.content[content].get("merge", ()):  # they are in the push itself
        raise Refusal(404, FAMILY.not_found, "There is no such carousel")
    said = rendering.read(bulk.content[content])
    request.answer_headers = {"Cache-Control": f"public, max-age={CACHED_FOR}, immutable"}
    return {"type": said.carousel_kind, "items": carousel_items(said)}


def _is_key(key: str, bulk: Bulk) -> bool:
    return constant_time_compare(key, rendering.carousel_key(bulk.application_id, bulk.bulk_id))


carousel = endpoint(FAMILY, GET=show, HEAD=show)
