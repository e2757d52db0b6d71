"""Huawei's receipts about messages that were handed over, signed as the contract says."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

import pytest
from django.http import HttpResponse
from django.test import Client

from campaigns import dispatch, fanout, folding, ids, reports, statistics
from campaigns.models import Bulk, Message
from campaigns.store import store
from devices.models import Address, Platform, Provider, ProviderCredential, Registration
from providers.base import Outcome, Verdict
from tests.api import documented
from tests.factories import make_application, make_bulk, make_credential, make_registrations

CloudFor = Callable[[ProviderCredential], Any]
ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, provider_id="r-1")
SUCCESS = {"errno": 0, "errmsg": "success"}


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
    *, key: str = "receipt-key", user: str = "receipts", ahead: float = 0, nonce: str = "",
    milliseconds: bool = True,
) -> str:  # fmt: skip
    """What the header says; `ahead`: of our clock, in seconds."""
    moment = time.time() + ahead
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
