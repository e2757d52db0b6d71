"""campaigns.streams: what cannot be put away is set aside, and holds nobody up."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import calls, events, reports, streams, watching
from campaigns.store import store
from campaigns.streams import Stream
from devices.models import Role
from tests.campaigns.soundness import all_is_well, found, sound_store
from tests.factories import make_application, make_user

__all__ = ["sound_store"]  # a fixture
KEY = "stream:tried"
SYSTEM = "/settings/system/"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    store().flushdb()
    yield
    store().flushdb()


def stream(fold: Callable[[list[Any]], int]) -> Stream:
    return Stream(KEY, "numbers", "tried:lock", fold, waits=False)


def put(*entries: Any) -> None:
    for entry in entries:
        packed = entry if isinstance(entry, bytes) else json.dumps(entry)
        store().xadd(KEY, {"r": packed})


def keeping(kept: list[Any], bad: set[Any], why: type[Exception] = ValueError) -> Stream:
    """A stream whose consumer keeps a batch as a whole, or fails as a whole."""

    def fold(batch: list[Any]) -> int:
        if bad & set(batch):
            raise why
        kept.extend(batch)
        return len(batch)

    return stream(fold)


@settings(max_examples=60, deadline=None)
@given(
    entries=st.lists(st.booleans(), max_size=40),
    batch=st.integers(1, 60),
    read=st.integers(1, 50),
    why=st.sampled_from([ValueError, KeyError, TypeError, DataError, IntegrityError]),
)
def test_whatever_is_poisoned_the_others_are_kept_once_and_in_their_order(
    entries: list[bool], batch: int, read: int, why: type[Exception]
) -> None:
    store().flushdb()
    put(*range(len(entries)))
    bad = {number for number, poisoned in enumerate(entries) if poisoned}
    good = [number for number, poisoned in enumerate(entries) if not poisoned]
    kept: list[int] = []
    one = keeping(kept, bad, why)

    with pytest.MonkeyPatch.context() as small:
        small.setattr(streams, "BATCH_SIZE", batch)  # bytes
        small.setattr(streams, "ENTRIES", read)
        while store().xlen(KEY):
            one.fold_entries(store())

    assert kept == good
    assert one.aside() == len(bad)
    bad.clear()  # the fault is mended
    assert one.put_back() == len(entries) - len(good)
    one.fold_entries(store())
    assert sorted(kept) == list(range(len(entries)))
    assert one.aside() == store().xlen(KEY) == 0


def test_what_is_no_json_is_set_aside_as_it_came() -> None:
    kept: list[int] = []
    one = keeping(kept, set())
    put(1, b'{"half": ', 2, b"\xff\x00", b"[" * 5000, 3)
    store().xadd(KEY, {"another": "field"})  # holds nothing

    assert one.fold_entries(store()) == 3

    assert kept == [1, 2, 3]
    aside: Any = store().hvals(f"{KEY}:aside")
    assert sorted(aside) == sorted([b'{"half": ', b"\xff\x00", b"[" * 5000])


@pytest.mark.parametrize("why", [OperationalError, OSError, ProgrammingError, NotImplementedError])
def test_what_no_entry_is_to_blame_for_leaves_them_all_in_the_stream(why: type[Exception]) -> None:
    one = keeping([], {1}, why)
    put(1, 2)

    with pytest.raises(why):
        one.consume(seconds=1)

    assert (store().xlen(KEY), one.aside()) == (2, 0)


def test_entries_that_only_fail_together_are_kept_one_by_one() -> None:
    kept: list[int] = []

    def fold(batch: list[int]) -> int:
        if len(batch) > 1:  # "cannot affect row a second time"
            raise ProgrammingError
        kept.extend(batch)
        return len(batch)

    one = stream(fold)
    put(1, 2, 3)

    assert one.fold_entries(store()) == 3

    assert (kept, one.aside(), store().xlen(KEY)) == ([1, 2, 3], 0, 0)


def test_a_server_that_is_away_is_asked_once() -> None:
    asked: list[int] = []

    def fold(batch: list[int]) -> int:
        asked.append(len(batch))
        raise OperationalError

    put(1, 2, 3)

    with pytest.raises(OperationalError):
        stream(fold).fold_entries(store())

    assert asked == [3]


def test_a_fault_that_passes_sets_nothing_aside() -> None:
    tries: list[list[int]] = []

    def fold(batch: list[int]) -> int:
        tries.append(batch)
        if len(tries) == 1:  # somebody deleted what it names just now
            raise IntegrityError
        return len(batch)

    one = stream(fold)
    put(7)

    assert one.fold_entries(store()) == 1

    assert (tries, one.aside()) == ([[7], [7]], 0)


def test_a_consumer_that_dies_before_it_cuts_off_sets_aside_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = keeping([], {1})
    put(1)
    with monkeypatch.context() as dies:

        def die(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        dies.setattr(type(store()), "xtrim", die)
        with pytest.raises(KeyboardInterrupt):
            one.fold_entries(store())
    assert (store().xlen(KEY), one.aside()) == (1, 1)

    one.fold_entries(store())

    assert (store().xlen(KEY), one.aside()) == (0, 1)


def test_the_log_names_the_fault_and_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fold(batch: list[str]) -> int:
        raise DataError(f"invalid input: {batch[0]}")

    one = stream(fold)
    put("+49 151 2345678")

    one.fold_entries(store())

    assert f"an entry of {KEY} is set aside: DataError" in caplog.text
    assert "2345678" not in caplog.text


# ------------------------------------------------------------------- the streams there are


@pytest.mark.django_db
@pytest.mark.parametrize("one", watching.STREAMS, ids=lambda one: one.key)
@pytest.mark.parametrize("entry", ['{"not": "ours"}', "7", '[1, 2, "three"]', '"\\u0000"', "{"])
def test_nonsense_holds_no_stream_up(one: Stream, entry: str) -> None:
    store().xadd(one.key, {"r": entry})
    store().xadd(one.key, {"r": entry})

    one.consume(seconds=0.2)

    assert store().xlen(one.key) == 0


def test_every_stream_is_watched() -> None:
    own = {each for module in (reports, events, calls) for each in vars(module).values()
           if isinstance(each, Stream)}  # fmt: skip

    assert own == set(watching.STREAMS)


# ------------------------------------------------------------------- what people see of it


@pytest.fixture
def admin(client: Client) -> User:
    user = make_user(is_superuser=True)
    client.force_login(user)
    return user


@pytest.mark.django_db
@pytest.mark.usefixtures("sound_store", "admin")
def test_an_administrator_sees_what_is_set_aside_and_tries_it_again(client: Client) -> None:
    all_is_well()
    store().hset(f"{reports.STREAM}:aside", mapping={"1-0": "[]", "2-0": "[]"})
    store().hset(f"{events.STREAM}:aside", mapping={"3-0": "[]"})

    shown = client.get(SYSTEM).content.decode()
    tried = client.post(f"{SYSTEM}put-back/")

    assert "2 with receipts, 1 with events of apps" in shown
    assert f"{SYSTEM}put-back/" in shown
    assert "3 requests are tried again" in tried.headers["HX-Trigger"]
    assert store().xlen(reports.STREAM) == 2
    assert store().xlen(events.STREAM) == 1
    assert found() == []


@pytest.mark.django_db
@pytest.mark.usefixtures("sound_store", "admin")
def test_without_the_store_it_is_to_be_tried_later(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Stream) -> int:
        raise redis.ConnectionError

    monkeypatch.setattr(Stream, "put_back", away)

    tried = client.post(f"{SYSTEM}put-back/")

    assert tried.status_code == 200
    assert "The store is away" in tried.headers["HX-Trigger"]


@pytest.mark.django_db
@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_nobody_else_tries_it_again(client: Client, role: Role) -> None:
    client.force_login(make_user(role, make_application()))

    assert client.post(f"{SYSTEM}put-back/").status_code == 403
