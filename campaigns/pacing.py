"""How fast a window may leave: buckets of the credential, the application and the bulk.

The buckets stand in the broker's store, one for all processes, and are drawn once per window.
A draw that may leave within HORIZON seconds is booked, and the caller waits that long; one
that must wait longer books nothing. Source: contract/providers.md 1.4 and 1.5.

While the store is away each process keeps to its share of the rates by itself.
"""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
from django.conf import settings

from campaigns.store import store
from devices.models import Provider, ProviderCredential

log = logging.getLogger(__name__)

HORIZON = 0.25  # seconds that a booked draw may lie ahead
FORGET_AFTER = 7200  # seconds, then an unused bucket is deleted
CLIMB = 0.1  # share of the former rate that comes back each second after a pause
LONGEST_PAUSE = 3600.0  # seconds
ASK_AGAIN = 5.0  # seconds, after the store did not answer

# Messages a second of one credential, where nobody wrote down another figure (1.5). APNs
# publishes no limit: its connections and streams are the brake.
DEFAULT_RATES: dict[str, int | None] = {
    Provider.FCM: 9000,
    Provider.APNS: None,
    Provider.HMS: 6000,
    Provider.SMS: 20,
    Provider.WEBPUSH: None,  # 500 a push host, kept by the provider
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """Who shares a rate. Without a rate it only keeps pauses and the climb after one."""

    name: str
    rate: float | None  # messages a second


@dataclass(frozen=True, slots=True)
class Draw:
    """Whether a window may leave, after how many seconds."""

    granted: bool
    delay: float
    away: frozenset[str] = frozenset()  # buckets whose cloud did not answer the last time


def bucket_of(credential: ProviderCredential) -> Bucket:
    rate = credential.rate or DEFAULT_RATES.get(credential.provider)
    return Bucket(f"pace:credential:{credential.pk}", rate)


def application_bucket(application_id: int, rate: int | None) -> Bucket:
    return Bucket(f"pace:application:{application_id}", rate)


def bulk_bucket(bulk_id: int, throttle: int | None) -> Bucket:
    return Bucket(f"pace:bulk:{bulk_id}", throttle)


# Per bucket a hash: free_at, when the next message may leave; until and former, a pause and
# the rate before it; second, count and last_count, from which the former rate is told;
# away, since when its cloud has not answered.
# All of a draw's buckets are looked at before any is changed.
_DRAW = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local horizon, climb = tonumber(ARGV[1]), tonumber(ARGV[2])
local delay, plans, away = 0, {}, {}
for i, key in ipairs(KEYS) do
    local rate, amount = tonumber(ARGV[2 * i + 2]), tonumber(ARGV[2 * i + 3])
    local f = redis.call('HMGET', key, 'free_at', 'until', 'former',
                         'second', 'count', 'last_count', 'away')
    if f[7] then table.insert(away, i) end
    local free_at, pause, former = tonumber(f[1]) or 0, tonumber(f[2]) or 0, tonumber(f[3]) or 0
    local wait = math.max(free_at, pause) - now
    if former > 0 then
        local slow = former * (0.5 + climb * math.max(0, now - pause))
        if slow >= former or (rate > 0 and slow >= rate) then
            former = 0
        else
            rate = slow
        end
    end
    if wait > delay then delay = wait end
    plans[i] = {rate, amount, free_at, pause, former, f}
end
if delay > horizon then return {0, tostring(delay)} end
for i, key in ipairs(KEYS) do
    local rate, amount, free_at, pause, former, f = unpack(plans[i])
    local starts = math.max(free_at, pause, now)
    if rate > 0 then free_at = starts + amount / rate end
    local second, count, last = tonumber(f[4]) or 0, tonumber(f[5]) or 0, tonumber(f[6]) or 0
    local this = math.floor(now)
    if second ~= this then
        last = (second == this - 1) and count or 0
        second, count = this, 0
    end
    redis.call('HSET', key, 'free_at', string.format('%.6f', free_at), 'former', former,
               'second', second, 'count', count + amount, 'last_count', last)
    redis.call('EXPIRE', key, ARGV[3])
end
return {1, tostring(delay), unpack(away)}
"""

# A pause is only ever made longer. The rate before it is the fuller of the last two seconds, but
# a window at least (after a quiet time a full one must not be booked for minutes); it is kept
# when one pause follows another before the climb is over.
_PAUSE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local f = redis.call('HMGET', KEYS[1], 'until', 'former', 'count', 'last_count')
local before, former = tonumber(f[1]) or 0, tonumber(f[2]) or 0
if before <= now then
    if former > 0 then former = former * math.min(1, 0.5 + tonumber(ARGV[2]) * (now - before)) end
    former = math.max(former, tonumber(f[3]) or 0, tonumber(f[4]) or 0, tonumber(ARGV[4]))
end
local new = math.max(before, now + tonumber(ARGV[1]))
redis.call('HSET', KEYS[1], 'until', string.format('%.6f', new), 'former', former)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return tostring(new - now)
"""


def draw(buckets: Sequence[tuple[Bucket, int]]) -> Draw:
    """Ask for so many messages of each bucket, for all of them or for none."""
    wanted = [(bucket, amount) for bucket, amount in buckets if amount]
    if not wanted:
        return Draw(granted=True, delay=0.0)
    arguments: list[str | float] = [HORIZON, CLIMB, FORGET_AFTER]
    for bucket, amount in wanted:
        arguments += [bucket.rate or 0, amount]
    global _away_until
    if time.monotonic() < _away_until:
        return _draw_alone(wanted)
    try:
        granted, delay, *away = store().register_script(_DRAW)(
            keys=[bucket.name for bucket, _ in wanted], args=arguments
        )
    except redis.RedisError:
        log.warning("store is away: this process keeps to its share of the rates")
        _away_until = time.monotonic() + ASK_AGAIN
        return _draw_alone(wanted)
    silent = frozenset(wanted[number - 1][0].name for number in away)
    return Draw(granted=bool(granted), delay=max(0.0, float(delay)), away=silent)


def pause(bucket: Bucket, seconds: float) -> float:
    """Let nothing of a bucket leave for so long, for every process; seconds it is paused now.

    After it the bucket gives half of its former rate, and a tenth of that more each second
    until it is back.
    """
    seconds = min(max(seconds, 0.0), LONGEST_PAUSE)
    try:
        left = store().register_script(_PAUSE)(
            keys=[bucket.name], args=[seconds, CLIMB, FORGET_AFTER, settings.WINDOW_SIZE]
        )
    except redis.RedisError:
        free_at = _alone.get(bucket.name, 0.0)
        _alone[bucket.name] = max(free_at, time.monotonic() + seconds)
        return seconds
    return float(left)


def paused_for(bucket: Bucket) -> float:
    """Seconds until a bucket's pause ends; 0 when it has none, or when nobody can tell."""
    try:
        until = store().hget(bucket.name, "until")
        seconds, microseconds = store().time()
    except redis.RedisError:
        return 0.0
    return max(0.0, float(until) - seconds - microseconds / 1e6) if until else 0.0


# Since when nothing of a bucket has been answered; the first of several who say so counts.
_AWAY = """
local clock = redis.call('TIME')
redis.call('HSETNX', KEYS[1], 'away', clock[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
"""


def not_answering(bucket: Bucket) -> None:
    """Note that a window came back without an answer to any of it."""
    try:
        store().register_script(_AWAY)(keys=[bucket.name], args=[FORGET_AFTER])
    except redis.RedisError:
        return  # nobody can be told now; sending does not depend on it


def answering(bucket: Bucket) -> None:
    """The cloud is back."""
    try:
        store().hdel(bucket.name, "away")
    except redis.RedisError:
        return  # the next window says it again


def away_since(buckets: Sequence[Bucket]) -> list[datetime | None]:
    """Since when each cloud has not answered; None for one that does, or if nobody can tell."""
    try:
        pipe = store().pipeline(transaction=False)
        for bucket in buckets:
            pipe.hget(bucket.name, "away")
        return [datetime.fromtimestamp(int(at), UTC) if at else None for at in pipe.execute()]
    except redis.RedisError:
        return [None] * len(buckets)


_alone: dict[str, float] = {}  # bucket → monotonic time at which the next message may leave
_pid = 0
_away_until = 0.0  # monotonic


def _draw_alone(wanted: Sequence[tuple[Bucket, int]]) -> Draw:
    global _pid
    if _pid != os.getpid():
        _alone.clear()
        _pid = os.getpid()
    now = time.monotonic()
    delay = max(0.0, *(_alone.get(bucket.name, 0.0) - now for bucket, _ in wanted), 0.0)
    if delay > HORIZON:
        return Draw(granted=False, delay=delay)
    for bucket, amount in wanted:
        if bucket.rate:
            share = bucket.rate / settings.DISPATCH_WORKERS
            _alone[bucket.name] = max(_alone.get(bucket.name, 0.0), now) + amount / share
    return Draw(granted=True, delay=delay)
