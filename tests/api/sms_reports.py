"""Texts that were handed over to a gateway, and what it posts about them."""

import json
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import folding, ids, reports, statistics
from campaigns.models import Bulk, Counter, Message, Reason
from campaigns.store import store
from devices.models import Platform, Provider, ProviderCredential
from providers.sms import twilio
from tests.api import documented
from tests.factories import make_bulk, make_credential

State = Message.State
NUMBER = "41793026727"
TOKEN = "vSQyXEIp0Dd8QvK2bEhzmw8rWcQZbq3Z"


@pytest.fixture
def public(settings: Any) -> Iterator[None]:
    settings.PUBLIC_BASE_URL = "https://push.example"
    store().flushdb()
    yield
    store().flushdb()


def make_gateway(bulk: Bulk, shape: str = "infobip") -> ProviderCredential:
    data = {"shape": shape, "sender": "Shop", "callback": f"{bulk.application_id}/{TOKEN}"}
    data |= (
        {"account_sid": "AC1", "auth_token": "secret"}
        if shape == "twilio"
        else {"base_url": "https://x.api.infobip.com", "api_key": "k"}
    )
    return make_credential(bulk.application, Provider.SMS, data=data)


def sent(count: int = 1, state: State = State.ACCEPTED) -> tuple[Bulk, list[UUID]]:
    """A bulk of text messages that were handed over: to destinations, not to devices."""
    bulk = make_bulk(status=Bulk.Status.DONE, audience=count)
    now = timezone.now()
    rows = [
        Message(
            pk=ids.message_id(bulk, number),
            bulk=bulk,
            registration_id=0,
            destination_id=number,
            sent_at=now,
            state=state,
            reason=Reason.NO_ANSWER if state == State.UNKNOWN else Reason.NONE,
            platform=Platform.ANDROID,
            answer="SM1",
        )
        for number in range(1, count + 1)
    ]
    Message.objects.bulk_create(rows)
    Counter.objects.create(
        bulk=bulk,
        minute=now.replace(second=0, microsecond=0),
        platform=Platform.ANDROID,
        sent=count,
        **{"unknown" if state == State.UNKNOWN else "accepted": count},
    )
    return bulk, [row.pk for row in rows]


def result(message: UUID | str, number: int = 5, group: int = 3, **given: Any) -> dict[str, Any]:
    """A result of version 3, as in contract/providers.md 6.3."""
    return {
        "bulkId": "b-1", "messageId": str(message), "to": NUMBER, "sender": "Shop",
        "sentAt": "2026-11-09T16:00:00.000+0100", "doneAt": "2026-11-09T16:00:01.000+0100",
        "messageCount": 1, "mccMnc": "22801", "callbackData": "",
        "price": {"pricePerMessage": 0.01, "currency": "EUR"},
        "status": {"groupId": group, "id": number, "name": f"STATUS_{number}"},
        "error": {"groupId": 0, "id": 0, "name": "NO_ERROR", "permanent": False},
        **given,
    }  # fmt: skip


def post(
    client: Client, path: str, raw: Any, told: Any = None, *, form: bool = False, **headers: str
) -> Any:
    """Post a body as it stands; `told` is what it says."""
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    answer = client.post(path, raw, content_type=kind, headers=headers)
    documented.check("POST", path, answer, told)
    return answer


def infobip(client: Client, bulk: Bulk, results: Any, token: str = TOKEN) -> Any:
    told = {"results": results}
    path = f"/callbacks/sms/{bulk.application_id}/{token}"
    return post(client, path, json.dumps(told), told)


def callback(
    client: Client, bulk: Bulk, message: UUID, *, secret: str = "secret", token: str = TOKEN,
    **form: str,
) -> Any:  # fmt: skip
    form = {"MessageSid": "SM1", "AccountSid": "AC1", "To": f"+{NUMBER}", "ErrorCode": "", **form}
    path = f"/callbacks/sms/{bulk.application_id}/{token}/{message}"
    signed = twilio.signature(secret, f"https://push.example{path}", list(form.items()))
    return post(client, path, urlencode(form), form, form=True, **{"X-Twilio-Signature": signed})


def states(bulk: Bulk) -> list[tuple[int, int]]:
    """State and reason of each message, after the stream was folded and counters agree."""
    entries = cast("Any", store().xrange(reports.STREAM))
    folding.fold(json.loads(fields[b"r"]) for _, fields in entries)
    assert statistics.funnel(bulk) == statistics.recount(bulk)
    rows = Message.objects.of_bulk(bulk).order_by("pk")
    return list(rows.values_list("state", "reason"))
