"""Whatever is sent to /push: no 5xx, nothing half accepted, errors in the family's format."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from campaigns.models import Bulk, Destination, Submission
from tests.api.pushing import SEND
from tests.api.systems import System, make_key
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

MUTATIONS = 250  # of each body
CALLS = {
    "/push/3/reports": ("bulkId", "messageId", "limit", "entityId", "campaignReferenceId"),
    "/push/1/reports": ("bulkId", "messageId", "limit"),
    "/push/3/logs": (
        "sender", "destination", "bulkId", "messageId", "generalStatus", "sentSince", "sentUntil",
        "limit", "useCursor", "cursor",
    ),
    "/push/1/statistics": ("bulkId",),
    "/push/1/applications/x": ("useAppCodeAsAppId",),
    "/push/1/inbox/reports": ("limit",),
}  # fmt: skip
ODD: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, 10**30, 1.5, -0.0, 1e308, "", " ", "x", "\0", "null",
    "x" * 300, "x" * 5000, "\u202e", "😀" * 50, "'; DROP TABLE x; --", "%00", "{}", [], {}, [[]],
    [None], {"": ""}, {"$or": [{}]}, [[[[[[1]]]]]], {"a": {"b": {"c": [1, {"d": None}]}}},
    "2026-02-30T25:61:00Z", "0000-00-00T00:00:00", "9999-12-31T23:59:59+1400",
    "0001-01-01T00:00:00+1400",
]  # fmt: skip


def example(code: str) -> dict[str, Any]:
    """A request with a value for each member."""
    return {
        "messages": [
            {
                "sender": code,
                "destinations": [
                    {"type": "EXTERNAL_USER_ID", "externalUserId": "jane", "messageId": "m"},
                    {"type": "EMAIL", "email": "a@b.example", "targetOnlyPrimaryDevices": False},
                    {"type": "MULTIPLE", "$and": [{"platform": "iOS"}], "$or": [{"tier": 1}]},
                ],
                "content": {"type": "IMAGE", "title": "T", "text": "x", "url": "https://a.b/c"},
                "options": {
                    "platform": {"entityId": "e", "applicationId": "a"},
                    "validityPeriod": {"amount": 1, "timeUnit": "HOURS"},
                    "deliveryTimeWindow": {
                        "days": ["MONDAY"],
                        "from": {"hour": 1, "minute": 0},
                        "to": {"hour": 3, "minute": 0},
                    },
                    "soundName": "a.wav",
                    "badge": 1,
                    "mirroredPushExpirationPeriod": 1,
                    "showMirroredPush": True,
                    "onTapButtonAction": {"resource": "x", "type": "DEEP_LINK"},
                    "sendAt": "2026-01-01T00:00:00Z",
                    "customPayload": {"a": 1},
                    "campaignReferenceId": "c",
                },
                "webhooks": {
                    "delivery": {"url": "https://a.b", "notify": True},
                    "callbackData": "x",
                },
            }
        ],
        "options": {
            "schedule": {"bulkId": "b", "sendingSpeedLimit": {"amount": 1, "timeUnit": "DAY"}}
        },
    }


def older_example(code: str) -> dict[str, Any]:
    return {
        "from": code,
        "to": {"$or": [{"externalUserId": "jane"}], "platform": "Android"},
        "text": "x",
        "validityPeriod": 1,
        "validityPeriodTimeUnit": "HOURS",
        "sendAt": "2026-01-01T00:00:00Z",
        "customPayload": {"a": 1},
        "notificationOptions": {"title": "T", "badge": 1, "inAppExpirationPeriod": 1},
        "notifyUrl": "https://a.b",
        "callbackData": "x",
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a body has a value."""
    yield path
    if isinstance(value, dict):
        for name, member in value.items():
            yield from places(member, (*path, name))
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from places(member, (*path, number))


def mutated(body: dict[str, Any], chance: random.Random) -> Any:
    """The body with one or two of its values replaced, doubled or left out."""
    changed: Any = copy.deepcopy(body)
    for _ in range(chance.choice((1, 1, 2))):
        path = chance.choice(list(places(changed)))
        if not path:
            return chance.choice(ODD)
        *above, last = path
        parent = changed
        for step in above:
            parent = parent[step]
        match chance.randrange(4):
            case 0 if isinstance(parent, dict):
                del parent[last]
            case 1 if isinstance(parent, list):
                parent.append(copy.deepcopy(parent[last]))
            case _:
                parent[last] = copy.deepcopy(chance.choice(ODD))
    return changed


@pytest.fixture
def system(settings: Any) -> System:
    settings.OLDER_PUSH_CALLS_PER_SECOND = settings.PUSH_LOGS_PER_MINUTE = 10**6
    settings.INBOUND_CALLS_PER_SECOND = 10**6
    make_key(scopes=["mobile-app-messaging:manage"])
    return System()


def is_answered_in_form(answer: Any, path: str) -> bool:
    assert int(answer["Content-Length"]) == len(answer.content)
    body = answer.json()
    if answer.status_code == 200:
        return True
    assert answer.status_code == 400, answer.content
    if path.startswith("/push/3"):
        assert body["errorCode"] == "E400"
        assert body["violations"]
    else:
        assert body["requestError"]["serviceException"]["messageId"] == "BAD_REQUEST"
        assert body["requestError"]["serviceException"]["text"]
    return False


@pytest.mark.parametrize("path", [SEND, "/push/2/message/single"])
def test_no_body_breaks_us_or_is_half_accepted(system: System, path: str) -> None:
    application = make_application()
    make_registration(application, person=make_person(external_id="jane"))
    body = (example if path == SEND else older_example)(application.code)
    chance = random.Random(path)
    outcomes = set()
    for _ in range(MUTATIONS):
        sent = json.dumps(mutated(body, chance)).encode()
        with transaction.atomic():
            answer = system.post(path, sent)
            accepted = is_answered_in_form(answer, path)
            outcomes.add(accepted)
            if accepted and path == SEND:
                told = len({each["messageId"] for each in answer.json()["messages"]})
                rows = Destination.objects.values("public_id").distinct().count()
                assert told == rows, sent
            elif not accepted:
                assert not Submission.objects.exists(), sent
                assert not Bulk.objects.exists(), sent
            transaction.set_rollback(True)
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"messages":[],"messages":null}',
        b'{"messages":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
        b"[" * 200_000,
        b'{"messages":1e999999999}',
        b'{"messages":' + b"9" * 100_000 + b"}",
        b'"' + b"\\" * 100_000,
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"\x00",
        b'{"messages":[NaN,Infinity,-Infinity]}',
    ],
)
def test_no_bytes_break_us(system: System, raw: bytes) -> None:
    for path in (SEND, "/push/2/message/single", "/push/2/message/multi"):
        assert not is_answered_in_form(system.post(path, raw), path)


@pytest.mark.parametrize("path", list(CALLS))
def test_no_query_breaks_us(system: System, path: str) -> None:
    odd = ["", " ", "%00", "%ff", "-1", "0", "1e3", "9" * 400, "x" * 3000, "%F0%9F%98%80", ",,,"]
    for name in CALLS[path]:
        for value in [*odd, "true", "2026-01-01T00:00:00+0000", "0001-01-01T00:00:00%2B1400"]:
            answer = system.get(f"{path}?{name}={value}")
            assert answer.status_code in {200, 400, 404}, (name, value, answer.content)
            assert int(answer["Content-Length"]) == len(answer.content)
            assert answer.json()
