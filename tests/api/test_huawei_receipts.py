"""POST /callbacks/huawei/{code}: contract/providers.md 4.7."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, cast
from unittest.mock import Mock
from uuid import UUID

import pytest
import redis
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from api import huawei_receipts
from api.endpoint import BODY_LIMIT
from campaigns import dispatch, fanout, folding, ids, reports, statistics
from campaigns.models import Bulk, EarlyReceipt, Message, Reason
from campaigns.store import store
from devices import closing
from devices.models import (
    Address,
    Breaker,
    Platform,
    Provider,
    ProviderCredential,
    Registration,
    SuspectAddress,
)
from providers.base import Cause, Outcome, Verdict
from providers.huawei.receipts import RESULTS
from tests.api import documented
from tests.factories import (
    make_application,
    make_bulk,
    make_credential,
    make_registration,
    make_registrations,
)

pytestmark = pytest.mark.django_db
State = Message.State
CloudFor = Callable[[ProviderCredential], Any]
ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, provider_id="r-1")
SUCCESS = {"errno": 0, "errmsg": "success"}
UNSIGNED = "X-HUAWEI-CALLBACK-ID is not signed with our key"
NOTHING_HERE = {"errno": 404, "errmsg": "There is nothing at this path"}
TOO_OLD = "X-HUAWEI-CALLBACK-ID is older than five minutes, or ahead"


@pytest.fixture(autouse=True)
def _empty_store() -> Iterator[None]:
    connected = store()
    connected.flushdb()
    yield
    connected.flushdb()


class Shop:
    """An application whose bulk has gone out to Huawei devices."""

    def __init__(self, cloud_for: CloudFor, count: int, outcome: Outcome) -> None:
        self.application = make_application()
        self.credential = make_credential(self.application, Provider.HMS)
        self.devices = make_registrations(self.application, count, platform=Platform.HUAWEI)
        self.bulk = make_bulk(self.application)
        fanout.freeze(self.bulk)
        self.bulk.refresh_from_db()
        cloud_for(self.credential).answer = lambda one: outcome
        dispatch.work(seconds=10)

    def token(self, device: Registration) -> str:
        return Address.objects.get(registration=device).token

    def message_id(self, device: Registration) -> UUID:
        return ids.message_id(self.bulk, device.pk)

    def entry(self, device: Registration, result: int, **changes: Any) -> dict[str, Any]:
        return {
            "biTag": f"m-{self.message_id(device)}",
            "appid": "101234567",
            "token": self.token(device),
            "status": result,
            "timestamp": int(time.time() * 1000),
            "requestId": "r-1",
            **changes,
        }

    def tell(self, *entries: dict[str, Any], **signing: Any) -> HttpResponse:
        return self.post({"statuses": list(entries)}, **signing)

    def post(self, body: Any, **signing: Any) -> HttpResponse:
        """Signed as it should be, unless told otherwise; and folded."""
        answer = post(self.application.code, body, signed(**signing))
        fold()
        return answer

    def message(self, device: Registration) -> Message:
        return Message.objects.get(pk=self.message_id(device))


def post(code: str, body: Any, signature: str = "", method: str = "POST") -> HttpResponse:
    """The answer to a body, which is compared with the document."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"/callbacks/huawei/{code}"
    headers = {"X-HUAWEI-CALLBACK-ID": signature} if signature else {}
    answer = Client().generic(method, path, raw, "application/json", headers=headers)
    documented.check(method, path, answer, body)
    return answer  # type: ignore[return-value]


def told(answer: HttpResponse) -> tuple[int, dict[str, Any]]:
    return answer.status_code, json.loads(answer.content)


def signed(
    *, key: str = "receipt-key", user: str = "receipts", at: float | None = None,
    nonce: str = "", milliseconds: bool = True,
) -> str:  # fmt: skip
    moment = time.time() if at is None else at
    stamp = str(int(moment * 1000 if milliseconds else moment))
    nonce = nonce or uuid.uuid4().hex
    digest = hmac.new(key.encode(), (stamp + nonce + user).encode(), hashlib.sha256).digest()
    return f"timestamp={stamp}; nonce={nonce}; value={base64.b64encode(digest).decode()}"


def fold() -> None:
    """What the consumer does with the stream."""
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", store().xrange(reports.STREAM))
    folding.fold(json.loads(fields[b"r"]) for _, fields in entries)
    store().delete(reports.STREAM)


@pytest.fixture
def shop(cloud_for: CloudFor) -> Callable[..., Shop]:
    def make(count: int = 1, outcome: Outcome = ACCEPTED) -> Shop:
        return Shop(cloud_for, count, outcome)

    return make


def consistent(bulk: Bulk) -> statistics.Funnel:
    funnel = statistics.funnel(bulk)
    assert funnel == statistics.recount(bulk)
    assert funnel.adds_up
    return funnel


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


# Who may report


@pytest.mark.parametrize(
    ("signing", "text"),
    [
        ({"key": "another key"}, UNSIGNED),
        ({"user": "another user"}, UNSIGNED),
        ({"at": time.time() - 301}, TOO_OLD),
        ({"at": time.time() + 900}, TOO_OLD),
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
