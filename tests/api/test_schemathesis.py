"""Requests made of the OpenAPI document, fitting it and not: schemathesis with all its checks.

Each border of each member of each call is asked for, by its deterministic phase; some requests are
drawn at random, the same ones each time. What a schema cannot say, such as two members that need
each other, is refused all the same: the calls with such rules stand in RULES_BEYOND_A_SCHEMA.
Methods that a path does not know are tested in tests/api/test_refusals.py.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation

from api.idempotency import HEADER
from api.openapi.document import document
from campaigns.models import Scenario, Segment, StaticList
from campaigns.store import store
from devices.access import SCOPES
from devices.models import Platform, Provider
from tests.api.huawei_receipts import signed
from tests.api.insider import KEY as INSIDER_KEY
from tests.api.insider import connect, make_insider_key
from tests.api.systems import make_key
from tests.factories import (
    make_application,
    make_credential,
    make_gateway,
    make_person,
    make_registration,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("fresh"),
    pytest.mark.timeout(900),  # hundreds of requests each
]

EXAMPLES = 3  # of each call
REFUSED = [400, 401, 403, 404, 405, 409, 413, 415, 429]
TAKEN = ["2xx", 401, 403, 404, 409, 429]
RULES_BEYOND_A_SCHEMA = [
    "/push/1/inbox/messages",  # exactly one of three parameters
    "/push/1/user/{externalUserId}/inbox/messages",
    "/push/3/messages",  # times that are near, members that need each other
    "/push/2/message/single",
    "/push/2/message/multi",
    "/push/3/logs",  # a cursor of an earlier answer
    "/omni/1/scenarios",  # a PUSH step names its application
    "/omni/1/scenarios/{key}",
    "/omni/1/advanced",  # a destination names somebody
    "/omni/1/text",
    "/api/v2/notification/user",  # numbers above zero, deep links
    "/api/message_center/v1",  # dates in their order
    "/people/2/contactInformation/push/{pushRegId}",  # numbers, addresses, custom attributes
    "/people/2/contactInformation/push/{pushRegId}/personalize",
    "/people/2/persons",
    "/mobile/1/appinstance",
    "/mobile/1/appinstance/{pushRegId}",
    "/mobile/1/appinstance/{pushRegId}/personalize",
    "/mobile/1/appinstance/{pushRegId}/repersonalize",
    "/mobile/1/appinstance/{pushRegId}/user",
    "/mobile/1/appinstance/{pushRegId}/user/events/session",
    "/mobile/1/appinstance/{pushRegId}/user/events/custom",
    "/mobile/5/messages",  # who calls
    "/mobile/1/messages/mo",
    "/sdk/1/subscriptions",  # keys of a browser
    "/segments/1/segments",  # the language of rules
    "/segments/1/segments/{id}",
    "/lists/1/lists",
    "/lists/1/lists/{id}",
    "/lists/1/lists/{id}/members",
    "/lists/1/lists/{id}/members/remove",
]
# An empty parameter or header is none; booleans are whatever either SDK writes.
LENIENT = [
    "/push/3/reports",
    "/push/3/logs",
    "/push/1/reports",
    "/push/1/inbox/reports",
    "/omni/1/logs",
    "/omni/1/reports",
    "/mobile/1/appinstance",
    "/mobile/1/appinstance/{pushRegId}",
    "/mobile/1/appinstance/{pushRegId}/personalize",
    "/mobile/1/appinstance/{pushRegId}/depersonalize",
    "/mobile/1/appinstance/{pushRegId}/user",
    "/mobile/1/appinstance/{pushRegId}/user/events/session",
    "/mobile/1/appinstance/{pushRegId}/user/events/custom",
    "/mobile/2/messages/seen",
    "/mobile/1/messages/deliveryreport",
    "/mobile/1/inapp/click/{messageId}",
    "/mobile/1/user/{externalUserId}/inbox/{cloud}/messages",
]


def _loosely(path: str) -> dict[str, Any]:
    """What a call may answer beyond the usual."""
    checks = {}
    if path in RULES_BEYOND_A_SCHEMA:
        checks["positive_data_acceptance"] = {"expected-statuses": [*TAKEN, 400]}
    if path in LENIENT:
        checks["negative_data_rejection"] = {"expected-statuses": [*REFUSED, 200]}
    return {"include-path": path, "checks": checks}


CONFIGURATION = SchemathesisConfig.from_dict(
    {
        "generation": {
            "max-examples": EXAMPLES,
            "deterministic": True,
            "mode": "all",
            "no-shrink": True,
        },
        "checks": {
            "positive_data_acceptance": {"expected-statuses": TAKEN},
            "negative_data_rejection": {"expected-statuses": REFUSED},
        },
        "phases": {"coverage": {"enabled": True, "unexpected-methods": []}},
        "operations": [
            *(_loosely(path) for path in sorted(document("")["paths"])),
        ],
    }
)
SCHEMA = schemathesis.openapi.from_dict(document("http://testserver"), config=CONFIGURATION)
SCHEMA.app = get_wsgi_application()


class World:
    """An application with a device of somebody's, and everybody who may call."""

    def __init__(self) -> None:
        self.application = make_application()
        make_key(scopes=list(SCOPES))
        make_insider_key(self.application, addresses=[])
        Scenario.objects.create(key="0" * 32, default=True, steps=[{"channel": "SMS"}])
        connect(self.application, Platform.ANDROID)
        device = make_registration(self.application, person=make_person(external_id="jdoe"))
        make_credential(self.application, Provider.WEBPUSH)
        make_credential(self.application, Provider.HMS)
        make_gateway(self.application, callback=f"{self.application.pk}/secret")
        known = {"application": self.application, "name": "Known"}
        segment = Segment.objects.create(rule={"all": []}, **known)
        # They share a number, so that one name of a path does for both.
        StaticList.objects.create(pk=segment.pk, **known)
        self.names = {
            "AppCode": self.application.code,
            "applicationCode": self.application.code,
            "application": self.application.pk,
            "token": "secret",
            "externalUserId": "jdoe",
            "id": segment.pk,
            "key": "0" * 32,
            "pushRegId": str(device.address.public_id),
            "pushregistrationid": str(device.address.public_id),
            "X-INSIDER-API-KEY": INSIDER_KEY,
        }


@pytest.fixture
def world(db: None, settings: Any) -> Iterator[World]:
    """Calls keep the connection of the test, whose transaction nobody else sees."""
    # Each call is also made with a name and a password that nobody has.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield World()
    for signal in signals:
        signal.connect(close_old_connections)


@SCHEMA.parametrize()
@hypothesis_settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_requests_made_of_the_document(case: Case[Any], world: World) -> None:
    store().flushdb()  # how often there were calls
    security = case.operation.definition.raw["security"]
    schemes = {name for each in security for name in each}
    headers = {}
    if "apiKey" in schemes:
        headers["Authorization"] = "App key-of-a-shop"
    if "applicationCode" in schemes:
        headers["Authorization"] = f"App {world.application.code}"
    case.headers.pop(HEADER, None)  # one key for many bodies is refused
    if "huaweiSignature" in schemes:
        headers["X-HUAWEI-CALLBACK-ID"] = signed()
    _speak_of_what_exists(case, world)
    case.call_and_validate(headers=headers)


def _speak_of_what_exists(case: Case[Any], world: World) -> None:
    """In paths and headers, but where something else stands there on purpose."""
    meta = case.meta
    assert meta is not None
    for location, holder in (
        (ParameterLocation.PATH, case.path_parameters),
        (ParameterLocation.HEADER, case.headers),
    ):
        component = meta.components.get(location)
        negative = component is not None and component.mode is GenerationMode.NEGATIVE
        wrong = getattr(meta.phase.data, "parameter", None)
        if negative and wrong is None:
            continue
        for name in set(holder) & set(world.names) - {wrong if negative else None}:
            holder[name] = world.names[name]
