"""Whatever bodies come to any documented call: no 5xx, and errors in the family's own form.

Every answer is compared with the OpenAPI document by whoever calls (tests/api/documented.py).
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from api.openapi.calls import JSON, Call, Family
from api.openapi.document import calls, document, operation_id
from api.openapi.omni import OMNI
from api.openapi.own import HUAWEI, SMS
from api.openapi.push import PUSH
from api.openapi.push_older import OLDER
from campaigns.models import Scenario
from campaigns.store import store
from devices.access import SCOPES
from devices.models import Platform
from tests.api.insider import KEY, Caller, connect, make_insider_key
from tests.api.systems import System, make_key
from tests.factories import make_application, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

KNOWN = document("")["components"]["schemas"]
WITH_BODY = [
    pytest.param(family, call, id=operation_id(family, call))
    for family, call in calls()
    if call.body is not None and call.body_type == JSON and family not in (HUAWEI, SMS)
]
NAMING = (PUSH, OLDER, OMNI)  # families whose errors begin with the path of the member
RAW = [
    b"",
    b" ",
    b"null",
    b"7",
    b'"x"',
    b"[]",
    b"\xff\xfe",
    b'{"\xc3": 1}',
    b'{"a": "\\ud800"}',
    b"{}{}",
    b'{"a": NaN}',
    b'{"a": 1e999999999}',
    b'{"a": ' + b"9" * 50_000 + b"}",
    b'{"a": ' * 20_000 + b"1" + b"}" * 20_000,
    b"[" * 100_000,
    b'{"a": "' + b"x" * (3 * 2**20) + b'"}',
    "{}".encode("utf-16"),
    b"\x00",
]
SCENARIO = "AD9E01A5DC7BEE2C2B828D208182A611"
PUSH_SENDER = "F5E6B95AFBEDEC426344318E1BD3D42E"  # of the document's examples
ODD: tuple[Any, ...] = (None, True, 0, -1, 2**63, 10**30, 1.5, "", "\0", "x" * 5000, [], {}, [[[]]])
TABLES = (
    "campaigns_submission", "campaigns_destination", "campaigns_bulk", "campaigns_flowdestination",
    "campaigns_scenario", "campaigns_segment", "devices_person", "devices_registration",
    "devices_event", "campaigns_inbound",
)  # fmt: skip


class World:
    """An application with a device, and everybody who may call."""

    def __init__(self) -> None:
        self.application = make_application()
        make_key(scopes=list(SCOPES))
        make_insider_key(self.application)
        connect(self.application, Platform.ANDROID)
        self.device = make_registration(self.application)
        steps = [{"channel": "PUSH", "sender": self.application.code}]
        Scenario.objects.create(key=SCENARIO, default=True, steps=steps)

    def send(self, family: Family, call: Call, raw: bytes) -> Any:
        """The body, by a caller who may call, to and about things that exist."""
        store().flushdb()
        raw = raw.replace(b"YOUR_KEY", KEY.encode()).replace(
            PUSH_SENDER.encode(), self.application.code.encode()
        )
        path = call.path.replace("{pushRegId}", str(self.device.address.public_id))
        path = path.replace("{id}", "1").replace("{key}", "0" * 32)
        needed = {"platformType": "GCM", "identifier": "1"}
        query = "&".join(
            f"{each.name}={needed[each.name]}"
            for each in call.parameters
            if each.where == "query" and each.required
        )
        where = f"{path}?{query}" if query else path
        if not family.security:
            return Caller().post(where, raw, **{"X-INSIDER-API-KEY": KEY})
        named = "applicationCode" in family.security
        system = System(self.application, self.application.code if named else "key-of-a-shop")
        return system.call(call.method.upper(), where, raw)


@pytest.fixture
def world() -> World:
    return World()


def rows() -> list[int]:
    """How many there are of what a call may make."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES))
        return list(cursor.fetchone() or ())


@pytest.mark.parametrize(("family", "call"), WITH_BODY)
def test_no_bytes_break_a_call(world: World, family: Family, call: Call) -> None:
    for raw in RAW:
        before = rows()
        answer = world.send(family, call, raw)
        assert answer.status_code < 500, (raw[:50], answer.content)
        assert int(answer.get("Content-Length", 0)) == len(answer.content)
        if answer.status_code >= 300:
            assert rows() == before, raw[:50]


@pytest.mark.parametrize(("family", "call"), WITH_BODY)
def test_no_value_of_a_member_breaks_a_call(world: World, family: Family, call: Call) -> None:
    """Each member of the example in turn is something odd: refused as a whole, or taken."""
    assert call.example is not None
    for path in places(call.example):
        for odd in ODD:
            before = rows()
            body = replaced(call.example, path, odd)
            answer = world.send(family, call, json.dumps(body).encode())
            assert answer.status_code < 500, (path, odd, answer.content)
            assert answer.status_code not in {401, 403} or path == ("api_key",)
            if answer.status_code >= 300:
                assert rows() == before, (path, odd)
            if answer.status_code == 400 and family in NAMING:
                assert_named(answer, path, odd)


def assert_named(answer: Any, path: tuple[Any, ...], odd: Any) -> None:
    """The error is about the member that is odd, something in it, or what it is part of."""
    told = answer.json()
    named = (
        [each["property"] for each in told["violations"]]
        if "violations" in told
        else [told["requestError"]["serviceException"]["text"].split(" ")[0]]
    )
    if named == ["Unknown"] and path == ("scenarioKey",):
        return  # Unknown scenario, in the vendor's words
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]
    assert any(
        each and (each.startswith(place) or place.startswith(each)) for each in named
    ), (place, odd, told)  # fmt: skip


@pytest.mark.parametrize(("family", "call"), WITH_BODY)
def test_the_last_of_two_equal_members_counts(world: World, family: Family, call: Call) -> None:
    """A request that says something twice is one of the two, never half of each."""
    assert call.example is not None
    for name, good in call.example.items():
        both = {odd: json.dumps({name: odd})[1:-1] for odd in (7, "x", True)}
        rest = {each: at for each, at in call.example.items() if each != name}
        body = json.dumps(rest)[1:-1]
        said = ", ".join(filter(None, (json.dumps({name: good})[1:-1], body)))
        for odd, wrong in both.items():
            alone = world.send(family, call, json.dumps({name: odd, **rest}).encode())
            before = rows()
            last = world.send(family, call, f"{{{said}, {wrong}}}".encode())
            if last.status_code >= 300:
                assert rows() == before, (name, odd)
            first = world.send(family, call, f"{{{wrong}, {said}}}".encode())
            # What was done already may be refused the second time: a name is taken.
            assert last.status_code in {alone.status_code, 409}, (name, odd, last.content)
            assert first.status_code < 500, (name, odd, first.content)
            if alone.status_code == 400 and family in NAMING:
                assert first.status_code in {200, 404, 409}, (name, odd, first.content)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield (*path, name)
            yield from places(member, (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(body)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed
