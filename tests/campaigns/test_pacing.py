"""Buckets: no process takes more than the rate, a pause holds for all, the climb after it."""

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry

from campaigns import pacing
from campaigns.pacing import HORIZON, Bucket, Draw
from campaigns.store import store
from tests.waiting import eventually

_numbers = itertools.count(1)


def fresh(rate: float | None) -> Bucket:
    return Bucket(f"pace:test:{time.time_ns()}:{next(_numbers)}", rate)


@pytest.fixture
def store_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    gone = redis.Redis(unix_socket_path="/nowhere/store.sock", retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(pacing, "store", lambda: gone)
    pacing._alone.clear()
    yield
    pacing._alone.clear()
    pacing._away_until = 0.0


def taken_in(bucket: Bucket, amount: int, *, seconds: float) -> int:
    """How many messages a caller that never rests gets booked to leave within some time."""
    until, count = time.monotonic() + seconds, 0
    while (now := time.monotonic()) < until:
        place = pacing.draw([(bucket, amount)])
        if place.granted and now + place.delay < until:
            count += amount
        elif not place.granted:
            time.sleep(min(place.delay - HORIZON, 0.02))
    return count


def test_a_bucket_without_rate_holds_nobody() -> None:
    bucket = fresh(None)
    assert [pacing.draw([(bucket, 250)]) for _ in range(100)] == [Draw(True, 0.0)] * 100


def test_a_full_bucket_names_the_time_to_come_back_and_books_nothing() -> None:
    bucket = fresh(10)
    assert pacing.draw([(bucket, 10)]) == Draw(True, 0.0)
    for _ in range(3):
        late = pacing.draw([(bucket, 10)])
        assert not late.granted
        assert 0.8 < late.delay <= 1.0


def test_a_draw_just_ahead_is_booked_with_its_delay() -> None:
    bucket = fresh(1000)
    assert pacing.draw([(bucket, 200)]) == Draw(True, 0.0)
    second = pacing.draw([(bucket, 200)])
    third = pacing.draw([(bucket, 200)])
    assert second.granted
    assert 0.1 < second.delay <= 0.2
    assert not third.granted


def test_all_buckets_of_a_draw_or_none() -> None:
    wide, narrow = fresh(1000), fresh(10)
    assert pacing.draw([(wide, 100), (narrow, 100)]).granted
    assert not pacing.draw([(wide, 100), (narrow, 100)]).granted
    place = pacing.draw([(wide, 100)])
    assert place.granted
    assert place.delay <= 0.1


def test_processes_together_keep_to_the_rate() -> None:
    bucket, counts = fresh(200), list[int]()
    threads = [
        threading.Thread(target=lambda: counts.append(taken_in(bucket, 10, seconds=1.5)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 200 <= sum(counts) <= 200 * 1.5 + 10  # ten may leave at once


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20), st.integers(50, 5000))
def test_what_is_granted_never_outruns_the_rate(amounts: list[int], rate: int) -> None:
    bucket, began, booked = fresh(rate), time.monotonic(), 0
    for amount in amounts:
        place = pacing.draw([(bucket, amount)])
        if place.granted:
            leaves_at = time.monotonic() + place.delay - began
            assert booked <= rate * (leaves_at + 0.05)  # all before it had their time
            booked += amount


def test_a_pause_holds_everybody_and_only_grows() -> None:
    bucket = fresh(1000)
    pacing.draw([(bucket, 10)])
    assert 29 < pacing.pause(bucket, 30) <= 30
    assert 29 < pacing.pause(bucket, 5) <= 30
    place = pacing.draw([(bucket, 1)])
    assert not place.granted
    assert place.delay > 29
    assert 29 < pacing.paused_for(bucket) <= 30


def test_after_a_pause_half_the_former_rate_flows_and_climbs() -> None:
    bucket = fresh(100_000)
    for _ in range(10):
        pacing.draw([(bucket, 100)])  # a thousand in this second
    pacing.pause(bucket, 0.05)
    eventually(lambda: not pacing.paused_for(bucket))

    assert pacing.draw([(bucket, 250)]).granted
    place = pacing.draw([(bucket, 250)])

    assert not place.granted  # 250 at about 500 a second
    assert 0.3 < place.delay < 0.6


def test_the_climb_ends_at_the_former_rate() -> None:
    bucket = fresh(None)
    pacing.draw([(bucket, 250)])
    pacing.pause(bucket, 0)
    store().hincrbyfloat(bucket.name, "until", -6)  # six seconds ago

    assert [pacing.draw([(bucket, 250)]) for _ in range(9)] == [Draw(True, 0.0)] * 9


def test_a_lost_store_only_makes_a_fresh_start() -> None:
    bucket = fresh(10)
    pacing.draw([(bucket, 10)])
    store().delete(bucket.name)
    assert pacing.draw([(bucket, 10)]).granted


@pytest.mark.usefixtures("store_away")
def test_without_the_store_a_process_keeps_to_its_share(settings: Any) -> None:
    settings.DISPATCH_WORKERS = 2
    bucket = fresh(100)
    assert pacing.draw([(bucket, 25)]) == Draw(True, 0.0)
    late = pacing.draw([(bucket, 25)])
    assert not late.granted
    assert 0.4 < late.delay <= 0.5
    assert pacing.pause(bucket, 30) == 30
    assert pacing.draw([(bucket, 1)]).delay > 29
