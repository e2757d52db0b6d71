"""Requests made of the OpenAPI document, fitting it and not: schemathesis with all its checks.

Some are drawn at random, the same ones each time. Of the calls in COVERED each border of each
member is asked for, by its deterministic phase; tests/api/test_hostile_bodies.py replaces the
members of the others one by one. What a schema cannot say, such as two members that need each
other, is refused all the same: the calls that have such rules stand in RULES_BEYOND_A_SCHEMA.
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

from api.idempotency import HEADER
from api.openapi.document import document
from campaigns.models import Scenario
from campaigns.store import store
from devices.access import SCOPES
from devices.models import Platform
from tests.api.insider import connect, make_insider_key
from tests.api.systems import make_key
from tests.factories import make_application, make_person, make_registration

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
    "/push/3/logs",
    "/omni/1/logs",
    "/omni/1/reports",
    "/mobile/1/appinstance",
    "/mobile/1/appinstance/{pushRegId}",
    "/mobile/1/appinstance/{pushRegId}/user",
    "/mobile/2/messages/seen",
    "/mobile/1/messages/deliveryreport",
    "/mobile/1/inapp/click/{messageId}",
    "/mobile/1/user/{externalUserId}/inbox/{cloud}/messages",
]
# Calls of which each border of each member is asked for; methods that a path does not know are
# tested in tests/api/test_refusals.py.
COVERED = [
    "/push/3/messages",
    "/push/3/reports",
    "/push/3/logs",
    "/push/2/message/single",
    "/push/2/message/multi",
    "/push/1/statistics",
    "/push/1/reports",
    "/push/1/applications",
    "/push/1/inbox/reports",
    "/push/1/inbox/messages",
    "/push/1/user/{externalUserId}/inbox/messages",
    "/omni/1/scenarios",
    "/omni/1/scenarios/{key}",
    "/omni/1/advanced",
    "/omni/1/text",
    "/omni/1/reports",
    "/omni/1/logs",
    "/api/v2/notification/user",
    "/api/v1/notification/get_statistics",
]


def _loosely(path: str) -> dict[str, Any]:
    """What a call may answer beyond the usual, and whether each border is asked for."""
    checks = {}
    if path in RULES_BEYOND_A_SCHEMA:
        checks["positive_data_acceptance"] = {"expected-statuses": [*TAKEN, 400]}
    if path in LENIENT:
        checks["negative_data_rejection"] = {"expected-statuses": [*REFUSED, 200]}
    covered = {"enabled": path in COVERED, "unexpected-methods": []}
    return {"include-path": path, "checks": checks, "phases": {"coverage": covered}}


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
        "phases": {"coverage": {"enabled": False}},
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
        self.device = make_registration(self.application, person=make_person(external_id="jdoe"))


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
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
        _speak_of_what_exists(case, world)
    if case.method.lower() not in case.operation.schema[case.operation.path]:
        headers["AppCode"] = world.application.code  # the method is looked at after it
    case.call_and_validate(headers=headers)


def _speak_of_what_exists(case: Case[Any], world: World) -> None:
    if "AppCode" in case.headers:
        case.headers["AppCode"] = world.application.code
    for holder, name in ((case.path_parameters, "pushRegId"), (case.headers, "pushregistrationid")):
        if name in holder:
            holder[name] = str(world.device.address.public_id)
