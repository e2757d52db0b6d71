"""Every status that the OpenAPI document tells of is one that its call really answers.

What all calls refuse alike is asked of each of them in tests/api/test_refusals.py (401, 405, 413,
415) and in tests/api/test_faults_of_ours.py (500, 503); everything else here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine

from api.endpoint import BODY_LIMIT
from api.openapi.calls import JSON, Call, Family
from api.openapi.document import calls, operation_id, refusals_of
from api.openapi.insider import INSIDER
from api.openapi.lists import LISTS
from api.openapi.mobile import MOBILE
from api.openapi.own import HUAWEI, SMS
from api.openapi.people import CONTACTS
from api.openapi.segments import SEGMENTS
from campaigns import ids, rendering
from campaigns.models import Segment, StaticList
from campaigns.store import store
from devices.models import ApiKey, Application, Provider
from providers.sms import twilio
from tests.api.callers import ANY_UUID, Everybody
from tests.api.huawei_receipts import signed
from tests.api.insider import KEY, notification
from tests.api.systems import make_key
from tests.factories import (
    make_bulk,
    make_campaign,
    make_credential,
    make_gateway,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

SIGNED = (HUAWEI, SMS)
ALIKE = {401, 405, 413, 415, 500, 503}  # of calls that know who calls
PUBLIC = "https://push.example"
TAKEN, RULE = "Taken", {"field": "platform", "op": "is", "value": "iOS"}
DRAFT = {"flow": [{"from": "0" * 32, "channel": "PUSH"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How a call is made; what is not said is as it should be."""

    body: Any = None
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = ""


class World(Everybody):
    """Everybody, and one of everything that a call is about."""

    def __init__(self) -> None:
        super().__init__()
        make_key("powerless", scopes=[])
        make_credential(self.application, Provider.WEBPUSH)
        make_credential(self.application, Provider.HMS)
        bulk = make_bulk(self.application)
        self.names |= {
            "key": "0" * 32,
            "content": "0",
            "messageId": str(ids.message_id(bulk, self.device.pk)),
        }
        self.carousel = rendering.carousel_key(self.application.pk, bulk.bulk_id)
        self.segment = self._segment("iPhones", RULE)
        self._segment(TAKEN, RULE)
        self.list = StaticList.objects.create(application=self.application, name="Testers")
        StaticList.objects.create(application=self.application, name=TAKEN)

    def _segment(self, name: str, rule: Any) -> Segment:
        return Segment.objects.create(application=self.application, name=name, rule=rule)

    def prepare(self, family: Family, call: Call) -> None:
        """Name what this call is about."""
        about = {SEGMENTS.name: self.segment.pk, LISTS.name: self.list.pk}
        self.names["id"] = str(about.get(family.name, 0))
        if "carousels" in call.path:
            self.names["key"] = self.carousel
        if family is SMS:
            twilio_only = {"shape": "twilio", "account_sid": "AC1", "auth_token": "secret"}
            given = twilio_only if call.body_type != JSON else {}
            self.names["token"] = (
                make_gateway(self.application, **given, callback=f"{self.application.pk}/secret")
                .data["callback"]
                .partition("/")[2]
            )

    def forget(self) -> None:
        """Speak of what there is not."""
        self.names |= UNKNOWN
        self.application.credentials.all().delete()

    def headers_of(self, family: Family) -> dict[str, str]:
        if family is MOBILE:
            device = str(self.device.address.public_id)
            return {**super().headers_of(family), "pushregistrationid": device}
        if family is HUAWEI:
            return {"X-HUAWEI-CALLBACK-ID": signed()}
        return super().headers_of(family)

    def ask(self, family: Family, call: Call, asked: Ask) -> Any:
        body, headers = asked.body, dict(asked.headers)
        if body is None:
            body = self.body_of(family, call)
        if call.body_type != JSON and "X-Twilio-Signature" not in headers:
            address = f"{PUBLIC}{self.path_of(call)}"
            headers["X-Twilio-Signature"] = twilio.signature("secret", address, list(FORM.items()))
        return self.call(
            family, call, body, headers=headers, query=asked.query, method=asked.method
        )

    def body_of(self, family: Family, call: Call) -> Any:
        """The document's example, about what there is."""
        if call.body_type != JSON:
            return urlencode(FORM).encode()
        if call.body is None:
            return None
        told: dict[str, Any] = dict(call.example)
        if "scenarioKey" in told:
            told["scenarioKey"] = "0" * 32
        if "flow" in told:
            told["flow"] = [{"from": self.application.code, "channel": "PUSH"}]
        if told.get("from") and family is MOBILE:
            told["from"] = str(self.device.address.public_id)
        if family is INSIDER:
            told["api_key"] = KEY
        return told


FORM = {"MessageSid": "SM1", "MessageStatus": "delivered"}
BROKEN = b'{"'
NOBODY = {"identifier": "nobody", "type": "EXTERNAL_ID"}
NO_DAY = {"birthDate": "1985-02-31"}
# What makes a call answer with a status, where it is not the same for all calls of a family.
ASKS: Mapping[tuple[str, str, int], Ask] = {
    ("post", "/people/2/persons", 200): Ask(body={"externalId": "somebody"}),
    ("patch", "/people/2/persons", 200): Ask(body={"firstName": "John"}),
    ("post", "/people/2/persons", 404): Ask(body=NO_DAY),
    ("get", "/people/2/persons", 400): Ask(query={"limit": "0"}),
    ("delete", "/people/2/persons", 400): Ask(query={"identifier": "1", "type": "HAT"}),
    ("post", "/api/v2/notification/user", 202): Ask(
        body={"api_key": KEY, "notifications": [notification()], "async": True}
    ),
    ("delete", "/push/1/inbox/messages", 202): Ask(query={"bulkId": "b"}),
    ("delete", "/push/1/inbox/messages", 400): Ask(query={}),
    ("delete", "/push/1/user/{externalUserId}/inbox/messages", 202): Ask(query={"bulkId": "b"}),
    ("delete", "/push/1/user/{externalUserId}/inbox/messages", 404): Ask(query={"bulkId": "b"}),
    ("delete", "/push/1/user/{externalUserId}/inbox/messages", 400): Ask(query={}),
    ("get", "/push/1/statistics", 400): Ask(query={}),
    ("get", "/push/1/applications/{applicationCode}", 400): Ask(query={"useAppCodeAsAppId": "2"}),
    ("post", "/omni/1/scenarios", 409): Ask(body=DRAFT),
    ("put", "/omni/1/scenarios/{key}", 409): Ask(body=DRAFT),
    ("get", "/mobile/3/version", 400): Ask(query={"platformType": "FAX"}),
    ("post", "/segments/1/segments", 409): Ask(body={"name": TAKEN, "rule": RULE}),
    ("post", "/segments/1/segments", 200): Ask(body={"name": "Others", "rule": RULE}),
    ("post", "/sdk/1/subscriptions", 404): Ask(
        body={"subscription": None}, headers={"pushregistrationid": ANY_UUID}
    ),
    ("put", "/segments/1/segments/{id}", 409): Ask(
        body={"name": "iPhones", "rule": RULE, "version": 7}
    ),
    ("post", "/lists/1/lists", 409): Ask(body={"name": TAKEN}),
    ("put", "/lists/1/lists/{id}", 409): Ask(body={"name": TAKEN}),
    ("post", "/callbacks/sms/{application}/{token}/{messageId}", 403): Ask(
        headers={"X-Twilio-Signature": "guess"}
    ),
    ("post", "/callbacks/sms/{application}/{token}/{messageId}", 400): Ask(body=b"\xff"),
}
UNKNOWN = {
    "pushRegId": ANY_UUID,
    "id": "4000000",
    "key": "F" * 32,
    "applicationCode": "nobody",
    "externalUserId": "nobody",
    "cloud": "fax",
    "token": "guess",
}
OF_SIGNED = {  # Huawei's calls, and those of SMS gateways
    401: Ask(headers={"X-HUAWEI-CALLBACK-ID": ""}),
    405: Ask(method="PUT"),
    413: Ask(body=b" " * (BODY_LIMIT + 1)),
}
WRONG = Ask(headers={"Authorization": "App powerless"})


def asked(world: World, family: Family, call: Call, status: int) -> Ask:
    """What makes a call answer so; the world is made fit for it."""
    known = ASKS.get((call.method, call.path, status), Ask())
    match status:
        case 400 if known == Ask():
            return _fault(family, call)
        case 401 | 405 | 413:
            return OF_SIGNED[status]
        case 403 if family is INSIDER:
            ApiKey.objects.update(addresses=["192.0.2.1"])
        case 403 if family is MOBILE:
            Application.objects.update(user_data_from_apps=False)
        case 403 if family is not SMS:
            return WRONG
        case 404:
            world.forget()
            return Ask(query=NOBODY) if known == Ask() and "persons" in call.path else known
        case 409:
            _in_use(world)
        case 429:
            world.ask(family, call, known)
            count_calls(10**6)
    return known


def count_calls(number: int) -> None:
    """As though there had been so many calls in this window."""
    for key in store().scan_iter("calls:*"):
        store().set(key, number, keepttl=True)


def _fault(family: Family, call: Call) -> Ask:
    """A request of which something is wrong."""
    if family in (SEGMENTS, LISTS, CONTACTS):
        return Ask(headers={"AppCode": ""})
    if call.body is not None:
        return Ask(body=BROKEN)
    if family is MOBILE:
        return Ask(headers={"pushregistrationid": "x"}, query={"limit": "x"})
    return Ask(query={"limit": "x"})


def _in_use(world: World) -> None:
    """A segment and a list that a campaign names, and a segment whose rule names nothing."""
    gone = {"field": "list", "op": "in", "value": 4_000_000}
    Segment.objects.filter(pk=world.segment.pk).update(rule=gone)
    make_campaign(world.application, segment=world.segment)
    named = {"field": "list", "op": "in", "value": world.list.pk}
    Segment.objects.create(application=world.application, name="Testers", rule=named)


def _told() -> list[Any]:
    rows = []
    for family, call in calls():
        said = [call.status, *call.also, *refusals_of(family, call)]
        alike = {500, 503} if family in SIGNED else ALIKE
        rows += [
            pytest.param(family, call, status, id=f"{operation_id(family, call)}-{status}")
            for status in said
            if status not in alike
        ]
    return rows


@pytest.mark.parametrize(("family", "call", "status"), _told())
@time_machine.travel("2026-11-20T15:00:00.5+00:00", tick=False)
def test_a_call_answers_with_each_status_that_is_told_of_it(
    settings: Any, family: Family, call: Call, status: int
) -> None:
    settings.PUBLIC_BASE_URL = PUBLIC
    world = World()
    world.prepare(family, call)

    answer = world.ask(family, call, asked(world, family, call, status))

    assert answer.status_code == status, answer.content
    assert ("Retry-After" in answer) is (status == 429)


LIMITED = [
    pytest.param(family, call, id=operation_id(family, call))
    for family, call in calls()
    if call.limit
]


@pytest.mark.parametrize(("family", "call"), LIMITED)
@time_machine.travel("2026-11-20T15:00:00.5+00:00", tick=False)
def test_a_call_may_come_as_often_as_is_told_of_it(family: Family, call: Call) -> None:
    world = World()
    world.prepare(family, call)
    most = int(call.limit.partition(" ")[0].replace(",", ""))
    world.ask(family, call, Ask())
    count_calls(most - 1)

    statuses = [world.ask(family, call, Ask()).status_code for _ in range(2)]

    assert statuses[0] != 429
    assert statuses[1] == 429
