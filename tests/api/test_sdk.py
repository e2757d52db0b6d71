"""api.sdk: what web pages and apps with our own receiver meet. Source: providers.md 7.2."""

import gzip
import json
import uuid
import zlib
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from api import endpoint
from campaigns import reports
from campaigns.models import Bulk, Message
from campaigns.store import store
from devices.models import Platform
from tests.api.shop_pages import (
    ORIGIN,
    RECEIPTS,
    SUBSCRIPTIONS,
    Page,
    assert_refused,
    fold,
    page,
    sent,
)
from tests.factories import make_application, make_bulk, make_registration

__all__ = ["page"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


# ------------------------------------------------------------------- who calls, from where


@pytest.mark.parametrize("path", [RECEIPTS, SUBSCRIPTIONS])
def test_a_call_without_a_code_is_refused(page: Page, path: str) -> None:
    answer = page.post(path, b"{", Authorization="")

    assert_refused(answer, 401, "APP_CODE_MISSING", "Application code missing")


@pytest.mark.parametrize("path", [RECEIPTS, SUBSCRIPTIONS])
def test_a_page_of_any_origin_may_ask_before_it_calls(client: Client, path: str) -> None:
    answer = client.options(
        path, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    )

    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Access-Control-Allow-Methods"] == "GET, POST"
    allowed = answer["Access-Control-Allow-Headers"].split(", ")
    assert {"authorization", "content-type", "pushregistrationid"} <= {*allowed}
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_cookies_are_neither_needed_nor_set(page: Page) -> None:
    answer = page.subscribe()

    assert answer.status_code == 200
    assert not answer.cookies
    assert "Cookie" not in answer.headers.get("Vary", "")


@pytest.mark.parametrize("path", ["/sdk", "/sdk/", "/sdk/2/receipts", "/sdk/1/receipts/"])
def test_an_unknown_path_answers_in_the_words_of_the_family(page: Page, path: str) -> None:
    assert_refused(page.post(path, {}), 404, "NOT_FOUND", "There is nothing at this path")


def test_an_unknown_method_names_the_known_ones(page: Page) -> None:
    answer = page.call("DELETE", SUBSCRIPTIONS)

    assert_refused(answer, 405, "METHOD_NOT_ALLOWED", "This path answers GET, POST")


# ------------------------------------------------------------------- receipts


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("delivered", Message.State.DELIVERED),
        ("seen", Message.State.SEEN),
        ("dismissed", Message.State.SEEN),
        ("opened", Message.State.CLICKED),
    ],
)
def test_a_receipt_moves_its_message_on(page: Page, kind: str, state: Message.State) -> None:
    device = make_registration(page.application, platform=Platform.WEB)
    message = sent(make_bulk(page.application, status=Bulk.Status.SENDING), device)
    event = {"id": str(message.pk), "kind": kind, "ago_ms": 0}

    caller = str(device.address.public_id)
    answer = page.post(RECEIPTS, {"events": [event]}, pushregistrationid=caller)
    fold()

    assert (answer.status_code, answer.content) == (204, b"")
    message.refresh_from_db()
    assert message.state == state


def test_times_are_counted_back_from_now_so_that_wrong_clocks_do_no_harm(page: Page) -> None:
    device = make_registration(page.application, platform=Platform.WEB)
    bulk = make_bulk(
        page.application, status=Bulk.Status.SENDING, starts_at=timezone.now() - timedelta(hours=2)
    )
    message, before = sent(bulk, device), timezone.now()

    events = [
        {"id": str(message.pk), "kind": "opened", "ago_ms": -5000},  # the clock was set back
        {"id": str(message.pk), "kind": "delivered", "ago_ms": 3_600_000},
    ]
    page.post(RECEIPTS, {"events": events})
    fold()

    message.refresh_from_db()
    assert message.delivered_at is not None
    assert message.clicked_at is not None
    late = timedelta(seconds=30)
    assert timedelta() <= message.delivered_at - (before - timedelta(hours=1)) < late
    assert timedelta() <= message.clicked_at - before + timedelta(milliseconds=1) < late


def test_a_time_before_the_campaign_is_that_of_a_wrong_clock(page: Page) -> None:
    device = make_registration(page.application, platform=Platform.WEB)
    bulk = make_bulk(page.application, status=Bulk.Status.SENDING)
    message = sent(bulk, device)

    page.post(
        RECEIPTS, {"events": [{"id": str(message.pk), "kind": "delivered", "ago_ms": 10**30}]}
    )
    fold()

    message.refresh_from_db()
    assert message.delivered_at == bulk.starts_at


def test_repeats_and_strange_ids_are_passed_over(page: Page) -> None:
    device = make_registration(page.application, platform=Platform.WEB)
    message = sent(make_bulk(page.application, status=Bulk.Status.SENDING), device)
    event = {"id": str(message.pk), "kind": "delivered"}
    strange = [
        {"id": str(uuid.uuid4()), "kind": "opened"},
        {"id": "no id", "kind": "opened"},
        {"id": "", "kind": "seen"},
    ]

    for _ in range(2):
        assert page.post(RECEIPTS, {"events": [event, *strange, event]}).status_code == 204
    fold()

    message.refresh_from_db()
    assert message.state == Message.State.DELIVERED


def test_nobody_speaks_for_the_message_of_another_device(page: Page) -> None:
    bulk = make_bulk(page.application, status=Bulk.Status.SENDING)
    mine, theirs = (make_registration(page.application, platform=Platform.WEB) for _ in range(2))
    message = sent(bulk, theirs)
    event = {"id": str(message.pk), "kind": "opened"}

    page.post(RECEIPTS, {"events": [event]}, pushregistrationid=str(mine.address.public_id))
    Page(make_application()).post(RECEIPTS, {"events": [event]})
    fold()

    message.refresh_from_db()
    assert message.state == Message.State.ACCEPTED


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "events should be given"),
        ({"events": {}}, "events should be array"),
        ({"events": [{"id": 7, "kind": "seen"}]}, "events.0.id should be string"),
        (
            {"events": [{"id": "x", "kind": "eaten"}]},
            "events.0.kind should be delivered, seen, opened or dismissed",
        ),
        (
            {"events": [{"id": "x", "kind": "seen", "ago_ms": "1"}]},
            "events.0.ago_ms should be integer",
        ),
        (
            {"events": [{"id": "x", "kind": "seen"}] * 101},
            "events should be array of at most 100 members",
        ),
    ],
)
def test_receipts_that_cannot_be_read_name_the_member(
    page: Page, body: dict[str, Any], message: str
) -> None:
    assert_refused(page.post(RECEIPTS, body), 400, "BAD_REQUEST", message)
    assert store().xlen(reports.STREAM) == 0


# ------------------------------------------------------------------- gzip


def test_receipts_may_come_zipped(page: Page) -> None:
    device = make_registration(page.application, platform=Platform.WEB)
    message = sent(make_bulk(page.application, status=Bulk.Status.SENDING), device)
    body = json.dumps({"events": [{"id": str(message.pk), "kind": "seen"}]}).encode()

    answer = page.post(RECEIPTS, gzip.compress(body), **{"Content-Encoding": "gzip"})
    fold()

    assert answer.status_code == 204
    message.refresh_from_db()
    assert message.state == Message.State.SEEN


@pytest.mark.parametrize("encoding", ["GZIP", "x-gzip", " gzip "])
def test_gzip_has_more_than_one_name(page: Page, encoding: str) -> None:
    body = gzip.compress(b'{"events":[]}')

    assert page.post(RECEIPTS, body, **{"Content-Encoding": encoding}).status_code == 204


@pytest.mark.parametrize("encoding", ["deflate", "br", "gzip, gzip"])
def test_what_we_cannot_unpack_is_refused_by_its_header(page: Page, encoding: str) -> None:
    answer = page.post(RECEIPTS, b"\x78\x9c", **{"Content-Encoding": encoding})

    assert_refused(answer, 400, "BAD_REQUEST", "Content-Encoding should be gzip, or left out")


def test_json_may_begin_with_a_byte_order_mark(page: Page) -> None:
    assert page.post(RECEIPTS, b'\xef\xbb\xbf{"events":[]}').status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"events":[]}', 400, "Request body should be gzip, as it says"),
        (zlib.compress(b'{"events":[]}'), 400, "Request body should be gzip, as it says"),
        (gzip.compress(b'{"events":[]}')[:-9], 400, "Request body should arrive completely"),
        (b"", 400, "Request body should arrive completely"),
        (gzip.compress(b" " * 50 * 2**20), 413, "Request body should be at most 1048576 bytes"),
    ],
    ids=["plain", "deflate", "cut", "empty", "bomb"],
)
def test_what_is_no_gzip_or_too_much_of_it_is_refused(
    page: Page, body: bytes, status: int, message: str
) -> None:
    answer = page.post(RECEIPTS, body, **{"Content-Encoding": "gzip"})

    assert_refused(answer, status, "BAD_REQUEST", message)


@pytest.mark.parametrize("path", [RECEIPTS, SUBSCRIPTIONS])
def test_a_body_over_the_limit_is_refused_unread(page: Page, path: str) -> None:
    answer = page.post(path, b" " * (endpoint.BODY_LIMIT + 1))

    assert_refused(answer, 413, "BAD_REQUEST", "Request body should be at most 1048576 bytes")


def test_the_limit_holds_for_what_comes_out(page: Page) -> None:
    body = b'{"events":[]}'.ljust(endpoint.BODY_LIMIT)

    answer = page.post(RECEIPTS, gzip.compress(body), **{"Content-Encoding": "gzip"})

    assert answer.status_code == 204
