"""The header Idempotency-Key on calls that send (contract/push.md 13): ours, on every family."""

from collections.abc import Callable

from api.endpoint import ApiRequest, Family, Json, Refusal, body_of
from campaigns import repeating

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotency-Replayed": "true"}
LONGEST = 255  # characters of a key


def once(request: ApiRequest, caller: str, family: Family, run: Callable[[], Json]) -> Json:
    """Do what a call asks; one that repeats a key of its caller's gets the first answer again.

    Raises Refusal for a key that cannot be one, or was used for another call.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return run()
    if not (0 < len(key) <= LONGEST and key.isascii() and key.isprintable()):
        text = f"should be 1 to {LONGEST} printable characters"
        raise Refusal(400, family.bad_format, f"{HEADER} {text}")
    try:
        body = body_of(request, family)
        answer, repeated = repeating.once(caller, key, request.path_info, body, run)
    except repeating.OtherCallError as error:
        text = f"{HEADER} was used for another request"
        raise Refusal(400, family.bad_format, text) from error
    if repeated:
        request.answer_headers = REPLAYED
    return answer
