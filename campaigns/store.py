"""The broker's store: streams of receipts and the locks of consumers."""

import os
from functools import lru_cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry


@lru_cache(maxsize=4)
def _client(url: str, pid: int, patience: float) -> "redis.Redis":
    # A store that is away must not hold up the web server: give up soon, callers fall back.
    return redis.Redis.from_url(
        url.replace("redis+socket://", "unix://", 1),
        socket_timeout=patience,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 1),  # once, for a connection that went stale
    )


def store(*, patience: float = 5) -> "redis.Redis":
    """This process's client; connects when first used, and waits so many seconds for answers."""
    return _client(settings.STORE_URL, os.getpid(), patience)
