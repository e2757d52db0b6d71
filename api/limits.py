"""How often something may be done: fixed windows, counted in the broker's store."""

import logging
import time

import redis

from api.endpoint import Refusal
from campaigns.store import store

log = logging.getLogger(__name__)


def take(name: str, most: int, seconds: int = 1) -> None:
    """Count one call of this name; refuse it when there were `most` in this window.

    While the store is away nothing is counted, and nothing refused.
    """
    now = time.time()
    key = f"calls:{name}:{int(now // seconds)}"
    try:
        with store().pipeline(transaction=False) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, seconds + 1)
            count = int(pipeline.execute()[0])
    except redis.RedisError:
        log.warning("the store is away: calls are not counted")
        return
    if count > most:
        wait = max(1, round(seconds - now % seconds))
        headers = {"Retry-After": str(wait)}
        raise Refusal(429, "TOO_MANY_REQUESTS", "Too many requests", headers)
