"""POST /callbacks/huawei/{code}: what a receipt says (contract/providers.md 4.7)."""

import hashlib
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import dispatch, fanout, folding
from campaigns.models import EarlyReceipt, Message, Reason
from devices import closing
from devices.models import Address, Breaker, Platform, Provider, SuspectAddress
from providers.base import Cause, Outcome, Verdict
from providers.huawei.receipts import RESULTS
from tests.api.huawei_receipts import SUCCESS, CloudFor, Shop, consistent, shop
from tests.factories import make_application, make_bulk, make_credential, make_registration

__all__ = ["shop"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_store")]

State = Message.State


# What a result means


MESSAGES = [
    (0, State.DELIVERED, Reason.NONE),
    (2, State.FAILED, Reason.UNINSTALLED),
    (5, State.FAILED, Reason.UNINSTALLED),
    (6, State.EXPIRED, Reason.NOTIFICATIONS_OFF),
    (10, State.FAILED, Reason.DORMANT),
    (15, State.EXPIRED, Reason.REPLACED),
    (27, State.ACCEPTED, Reason.NONE),
    (102, State.FAILED, Reason.LIMITED),
    (201, State.FAILED, Reason.LIMITED),
    (256, State.FAILED, Reason.LIMITED),
    (999, State.FAILED, Reason.CLOUD_ERROR),
]


@pytest.mark.parametrize(("result", "state", "reason"), MESSAGES)
def test_each_result_of_the_contract(
    shop: Callable[..., Shop], result: int, state: Message.State, reason: Reason
) -> None:
    made = shop(2)
    device, other = made.devices

    answer = made.tell(made.entry(device, result))

    assert (answer.status_code, json.loads(answer.content)) == (200, SUCCESS)
    message = made.message(device)
    assert (message.state, message.reason) == (state, reason)
    if reason:
        assert message.answer.startswith(f"receipt {result} ")
        assert message.answer.endswith("(request r-1)")
    assert made.message(other).state == State.ACCEPTED
    consistent(made.bulk)


def test_the_table_above_is_whole() -> None:
    assert {result for result, _, _ in MESSAGES} == {*RESULTS, 999}


@pytest.mark.parametrize("result", [result for result, _, _ in MESSAGES])
def test_what_each_result_says_of_the_device(shop: Callable[..., Shop], result: int) -> None:
    made = shop(1)
    [device] = made.devices
    today = timezone.now().date()

    for _ in range(2):
        made.tell(made.entry(device, result))

    device.refresh_from_db()
    suspects = list(SuspectAddress.objects.values_list("registration_id", flat=True))
    assert suspects == ([device.pk] * 2 if result in (2, 5) else [])
    assert device.notifications_enabled is (result != 6)
    assert device.last_seen_day == (today - timedelta(days=30) if result == 10 else today)


@pytest.mark.parametrize("result", [2, 6, 10])
def test_what_the_app_said_since_then_stands(shop: Callable[..., Shop], result: int) -> None:
    """A receipt may come late, or once more after hours."""
    made = shop(1)
    [device] = made.devices
    entry = made.entry(device, result, timestamp=int(time.time() * 1000) - 60_000)
    Address.objects.update(last_contact_at=timezone.now() - timedelta(seconds=30))

    made.tell(entry)

    device.refresh_from_db()
    assert made.message(device).state in {State.FAILED, State.EXPIRED}
    assert device.notifications_enabled
    assert device.last_seen_day == timezone.now().date()
    assert not SuspectAddress.objects.exists()


def test_dead_devices_are_closed_when_the_page_is_believed(shop: Callable[..., Shop]) -> None:
    made = shop(2)
    gone, here = made.devices
    made.tell(made.entry(gone, 2), made.entry(here, 0))
    Breaker.objects.update(began_at=timezone.now() - timedelta(hours=1))

    closing.judge_old_pages()

    gone.refresh_from_db()
    here.refresh_from_db()
    assert (gone.enabled, here.enabled) == (False, True)
    assert Address.objects.get(registration=gone).closed_reason == Address.Closed.UNINSTALLED


def test_a_receipt_of_a_token_that_moved_on_closes_nobody(shop: Callable[..., Shop]) -> None:
    made = shop(1)
    [device] = made.devices
    entry = made.entry(device, 2)
    fresh = hashlib.sha256(b"fresh").digest()
    Address.objects.filter(registration=device).update(token="fresh", token_digest=fresh)

    made.tell(entry)

    assert made.message(device).state == State.FAILED
    assert not SuspectAddress.objects.exists()


# Which message it is about


def test_a_receipt_of_a_batch_is_found_by_its_token(shop: Callable[..., Shop]) -> None:
    made = shop(3)
    first, second, third = made.devices
    tag = f"b-{made.message_id(first)}"

    made.tell(made.entry(second, 0, biTag=tag), made.entry(third, 15, biTag=tag))

    states = [made.message(device).state for device in made.devices]
    assert states == [State.ACCEPTED, State.DELIVERED, State.EXPIRED]
    consistent(made.bulk)


def test_a_batch_receipt_of_an_unknown_token_is_left_out(shop: Callable[..., Shop]) -> None:
    made = shop(1)
    [device] = made.devices

    answer = made.tell(
        made.entry(device, 0, biTag=f"b-{made.message_id(device)}", token="somebody else's")
    )

    assert answer.status_code == 200
    assert made.message(device).state == State.ACCEPTED


def test_another_applications_messages_cannot_be_reported(shop: Callable[..., Shop]) -> None:
    mine, theirs = shop(1), shop(1)
    [device] = theirs.devices

    mine.tell(theirs.entry(device, 0), theirs.entry(device, 2))

    assert theirs.message(device).state == State.ACCEPTED
    assert not SuspectAddress.objects.exists()


def test_both_formats_are_read(shop: Callable[..., Shop]) -> None:
    made = shop(3)
    newer = [
        {
            "token": made.token(device),
            "pushType": 0,
            "appPackageName": "com.example.shop",
            "biTag": f"m-{made.message_id(device)}",
            "requestId": "r-1",
            "deliveryStatus": {"result": 0, "timestamp": int(time.time() * 1000)},
        }
        for device in made.devices
    ]

    for body in ({"statuses": newer[:1]}, newer[1:2], newer[2]):
        assert json.loads(made.post(body).content) == SUCCESS

    assert {made.message(device).state for device in made.devices} == {State.DELIVERED}


@pytest.mark.parametrize(
    "changes",
    [
        {"biTag": "campaign-17"},
        {"biTag": "m-not-an-id"},
        {"biTag": None},
        {"token": 7},
        {"status": "many"},
        {"status": None},
        {"status": True},
    ],
)
def test_what_is_no_receipt_of_ours_is_left_out_and_the_rest_taken(
    shop: Callable[..., Shop], changes: dict[str, Any]
) -> None:
    made = shop(2)
    odd, good = made.devices

    answer = made.post({"statuses": [made.entry(odd, 0, **changes), 7, made.entry(good, 0)]})

    assert json.loads(answer.content) == SUCCESS
    assert made.message(odd).state == State.ACCEPTED
    assert made.message(good).state == State.DELIVERED


@pytest.mark.parametrize("moment", [-1, 10**15, "yesterday", None, True, 1.5])
def test_a_time_that_cannot_be_is_now(shop: Callable[..., Shop], moment: Any) -> None:
    made = shop(1)
    [device] = made.devices

    made.tell(made.entry(device, 0, timestamp=moment))

    delivered_at = made.message(device).delivered_at
    assert delivered_at is not None
    assert abs(timezone.now() - delivered_at) < timedelta(minutes=1)


# Repeats and order


def test_repeats_change_nothing(shop: Callable[..., Shop]) -> None:
    made = shop(2)
    entries = [made.entry(made.devices[0], 0), made.entry(made.devices[1], 102)]
    made.tell(*entries)
    before = list(Message.objects.order_by("pk").values())

    for _ in range(3):
        made.tell(*entries, *entries)

    assert list(Message.objects.order_by("pk").values()) == before
    funnel = consistent(made.bulk)
    assert (funnel.delivered, funnel.failed) == (1, 1)


def test_a_receipt_settles_a_doubt(shop: Callable[..., Shop]) -> None:
    made = shop(3, Outcome(verdict=Verdict.UNKNOWN, cause=Cause.NO_ANSWER))
    delivered, waits, limited = made.devices

    made.tell(made.entry(delivered, 0), made.entry(waits, 27), made.entry(limited, 102))

    states = [made.message(device).state for device in made.devices]
    assert states == [State.DELIVERED, State.ACCEPTED, State.FAILED]
    assert consistent(made.bulk).unknown == 0


def test_what_was_delivered_does_not_fail_any_more(shop: Callable[..., Shop]) -> None:
    made = shop(1)
    [device] = made.devices

    made.tell(made.entry(device, 0))
    made.tell(made.entry(device, 10))

    assert made.message(device).state == State.DELIVERED


def test_a_receipt_before_the_sends_own_commit_waits_for_it(cloud_for: CloudFor) -> None:
    application = make_application()
    credential = make_credential(application, Provider.HMS)
    device = make_registration(application, platform=Platform.HUAWEI)
    bulk = make_bulk(application)
    fanout.freeze(bulk)
    bulk.refresh_from_db()
    early = Shop.__new__(Shop)
    early.application, early.bulk, early.credential = application, bulk, credential
    early.tell(early.entry(device, 0))
    assert EarlyReceipt.objects.count() == 1

    cloud_for(credential)
    dispatch.work(seconds=10)
    folding.fold_early()

    assert early.message(device).state == State.DELIVERED
