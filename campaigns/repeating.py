"""A call that is repeated with the same key is answered again, and done once.

Whoever comes second, also at the same moment, waits for the first and gets its answer: the
key's row is written in the transaction that does what was asked.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from campaigns.models import ApiCall

KEPT = timedelta(hours=48)


class OtherCallError(Exception):
    """The key was used for another call."""


def once(
    caller: str, key: str, path: str, body: bytes, run: Callable[[], dict[str, Any]]
) -> tuple[dict[str, Any], bool]:
    """The answer of a call, and whether it is that of an earlier one.

    What `run` raises undoes everything: the key is free again. Raises OtherCallError.
    """
    digest = hashlib.sha256(path.encode() + b"\0" + body).digest()
    with transaction.atomic():
        number = _begin(caller, key, digest)
        if number is not None:
            answer = run()
            ApiCall.objects.filter(pk=number).update(answer=json.dumps(answer))
            return answer, False
        first = ApiCall.objects.get(caller=caller, key=key)
    if bytes(first.request_digest) != digest:
        raise OtherCallError
    known: dict[str, Any] = json.loads(first.answer)
    return known, True


def _begin(caller: str, key: str, digest: bytes) -> int | None:
    """Take the key; None if somebody has it, once they are done."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO campaigns_apicall (caller, key, request_digest, answer, created_at)
            VALUES (%s, %s, %s, '', now())
            ON CONFLICT (caller, key) DO UPDATE
                SET request_digest = excluded.request_digest, created_at = now()
                WHERE campaigns_apicall.created_at < now() - %s::interval
            RETURNING id
            """,
            [caller, key, digest, f"{KEPT.total_seconds()} seconds"],
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


def drop_old() -> int:
    """Forget keys past their 48 hours; how many."""
    return ApiCall.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
