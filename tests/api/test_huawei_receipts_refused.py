"""POST /callbacks/huawei/{code}: who may report, and bodies (contract/providers.md 4.7)."""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from api import huawei_receipts
from api.endpoint import BODY_LIMIT
from campaigns import reports
from campaigns.models import Message
from tests.api.huawei_receipts import SUCCESS, Shop, post, shop, signed, told
from tests.factories import make_application

__all__ = ["shop"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_store")]

State = Message.State
UNSIGNED = "X-HUAWEI-CALLBACK-ID is not signed with our key"
NOTHING_HERE = {"errno": 404, "errmsg": "There is nothing at this path"}
TOO_OLD = "X-HUAWEI-CALLBACK-ID is older than five minutes, or ahead"


# Who may report


@pytest.mark.parametrize(
    ("signing", "text"),
    [
        ({"key": "another key"}, UNSIGNED),
        ({"user": "another user"}, UNSIGNED),
        ({"ahead": -301}, TOO_OLD),
        ({"ahead": 900}, TOO_OLD),
    ],
)
def test_what_is_not_signed_just_now_is_refused(
    shop: Callable[..., Shop], signing: dict[str, Any], text: str
) -> None:
    made = shop(1)
    [device] = made.devices

    answer = made.tell(made.entry(device, 0), **signing)

    assert told(answer) == (401, {"errno": 401, "errmsg": text})
    assert made.message(device).state == State.ACCEPTED


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        "timestamp=1;nonce=a",
        "timestamp=x;nonce=a;value=aGk=",
        "timestamp=1;nonce=a;value=***",
        "timestamp=²;nonce=a;value=aGk=",
        ";;;===",
    ],
)
def test_a_header_that_is_none_is_refused(shop: Callable[..., Shop], header: str) -> None:
    made = shop(0)

    answer = post(made.application.code, {}, header)

    assert told(answer) == (401, {"errno": 401, "errmsg": UNSIGNED})


def test_seconds_are_understood_as_well(shop: Callable[..., Shop]) -> None:
    made = shop(1)

    assert made.tell(made.entry(made.devices[0], 0), milliseconds=False).status_code == 200


def test_a_nonce_is_taken_once(shop: Callable[..., Shop]) -> None:
    made = shop(2)
    first, second = made.devices

    assert made.tell(made.entry(first, 0), nonce="n-1").status_code == 200
    answer = made.tell(made.entry(second, 0), nonce="n-1")

    assert told(answer) == (401, {"errno": 401, "errmsg": "This nonce was seen before"})
    assert made.message(second).state == State.ACCEPTED


def test_a_nonce_is_free_again_when_we_failed(
    shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shop(1)
    entry = made.entry(made.devices[0], 0)
    with monkeypatch.context() as broken:
        broken.setattr(reports, "take", Mock(side_effect=RuntimeError("broken")))
        answer = made.tell(entry, nonce="n-1")
        assert told(answer) == (500, {"errno": 500, "errmsg": "Something went wrong here"})

    assert made.tell(entry, nonce="n-1").status_code == 200


def test_receipts_are_taken_while_the_store_is_away(
    shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shop(1)
    [device] = made.devices
    away = Mock(
        set=Mock(side_effect=redis.ConnectionError), xadd=Mock(side_effect=redis.ConnectionError)
    )
    with monkeypatch.context() as broken:
        broken.setattr(huawei_receipts, "store", lambda: away)
        broken.setattr(reports, "store", lambda: away)
        assert made.tell(made.entry(device, 0)).status_code == 200

    assert made.message(device).state == State.DELIVERED


def test_without_a_key_nobody_may_report(shop: Callable[..., Shop]) -> None:
    made = shop(1)
    made.credential.data = {"client_id": "1", "client_secret": "x"}
    made.credential.save()

    answer = made.tell(made.entry(made.devices[0], 0), key="", user="")

    text = "No key for receipts is set up here"
    assert told(answer) == (401, {"errno": 401, "errmsg": text})


@pytest.mark.parametrize("code", ["nobody", "x" * 300, "%00"])
def test_an_unknown_application_has_no_such_path(code: str) -> None:
    answer = post(code, {})

    assert told(answer) == (404, NOTHING_HERE)


def test_an_application_without_the_credential_has_no_such_path() -> None:
    answer = post(make_application().code, {})

    assert told(answer) == (404, NOTHING_HERE)


# Bodies


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "Request body should be valid JSON"),
        (b"{", 400, "Request body should be valid JSON"),
        (b'{"statuses":"\xff"}', 400, "Request body should be valid JSON"),
        (b"[" * 99_999, 400, "Request body should be valid JSON"),
        (b"7", 400, "statuses should be array"),
        (b"{}", 400, "statuses should be array"),
        (b'{"statuses":{}}', 400, "statuses should be array"),
        (b'{"statuses":null}', 400, "statuses should be array"),
        (b" " * (BODY_LIMIT + 1), 413, "Request body should be at most 1048576 bytes"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    shop: Callable[..., Shop], body: bytes, status: int, text: str
) -> None:
    answer = shop(0).post(body)

    assert told(answer) == (status, {"errno": status, "errmsg": text})


TOO_MANY = {"errno": 400, "errmsg": "statuses should be array of at most 1000 members"}


@pytest.mark.parametrize(
    ("count", "expected"), [(0, (200, SUCCESS)), (1000, (200, SUCCESS)), (1001, (400, TOO_MANY))]
)
def test_up_to_a_thousand_entries_come_in_one_call(
    shop: Callable[..., Shop], count: int, expected: tuple[int, dict[str, Any]]
) -> None:
    made = shop(1)

    answer = made.tell(*[made.entry(made.devices[0], 0)] * count)

    assert told(answer) == expected


def test_only_post_is_answered(shop: Callable[..., Shop]) -> None:
    made = shop(0)

    answer = post(made.application.code, b"", signed(), method="GET")

    assert told(answer) == (405, {"errno": 405, "errmsg": "This path answers POST"})
    assert answer["Allow"] == "POST"
