"""What the push API accepts, each cloud can be sent, or says in its own words that it cannot."""

from typing import Any

import pytest

from api.infobip import push, push_schemas
from campaigns import channels, rendering
from devices.models import Application, Provider
from providers.base import NotPossible, PayloadTooLarge
from tests.factories import make_application, make_credential

pytestmark = pytest.mark.django_db

CLOUDS = (Provider.FCM, Provider.APNS, Provider.HMS, Provider.WEBPUSH)
ODD: list[dict[str, Any]] = [
    {},
    {"isSilent": True, "contentAvailable": True, "badge": 2**31 - 1},
    {"customPayload": {}},
    {"customPayload": {"aps": {"alert": 1}, "from": 1, "google.x": 2, "gcm": None}},
    {"customPayload": {"": "", "a": None, "b": [], "c": {"d": [1, {"e": None}]}, "f": 1.5e300}},
    {"customPayload": {"x": "y" * 3900}},
    {"customPayload": {"n": 10**99, "é": "\u202e😀", "a.b": True}},
    {"customPayload": {"carousel": [], "internalData": {"x": 1}, "messageId": "x"}},
    {"soundName": "../../etc/passwd", "category": "😀"},
    {"soundName": "", "category": ""},
    {"onTapButtonAction": {"type": "DEEP_LINK", "resource": "resource"}},
    {"onTapButtonAction": {"type": "OPEN_URL_IN_BROWSER", "resource": "javascript:alert(1)"}},
    {"onTapButtonAction": {"type": "WEB_VIEW_URL", "resource": "//x"}},
    {"showMirroredPush": True, "mirroredPushExpirationPeriod": 2**31 - 1},
    {"showMirroredPush": True, "mirroredPushExpirationPeriod": 0, "mirroredPushStyle": "BANNER"},
    {"showMirroredPush": True, "mirroredPushOpenTitle": "x" * 255, "isSilent": True},
    {"inboxTopic": "t", "inboxMessageExpirationPeriod": 2**31 - 1},
]
CONTENTS: list[dict[str, Any]] = [
    {"type": "TEXT", "text": "x"},
    {"type": "TEXT", "title": "", "text": "x" * 4000},
    {"type": "TEXT", "title": "😀" * 50, "text": "\u202e\u0001\ufeff" * 100},
    {"type": "IMAGE", "text": "x", "url": "http://a.b/ü?c=d#e"},
    {"type": "IMAGE", "text": "x", "url": "https://" + "x" * 2000},
]


@pytest.fixture(params=list(Application.Sdk))
def application(request: pytest.FixtureRequest) -> Application:
    return make_application(sdk=request.param)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_whatever_is_accepted_is_compiled_or_refused(
    application: Application, cloud: Provider
) -> None:
    provider = channels.build(make_credential(application, cloud))
    compiled = 0
    for content in CONTENTS:
        for options in ODD:
            message = push_schemas.Message.model_validate(
                {
                    "sender": "x",
                    "destinations": [{"type": "EMAIL", "email": "x"}],
                    "content": content,
                    "options": options,
                }
            )
            assert message.options is not None
            said = push.notification_of(message.content, message.options)
            notification = rendering.notification(
                {"language": "", "variant": 0, **said},
                application,
                bulk_id="b" * 36,
                sent_at_ms=1_795_000_000_000,
                ttl=172_800,
            )
            try:
                provider.compile(notification)
            except (NotPossible, PayloadTooLarge):
                continue
            compiled += 1
    assert compiled > len(ODD)
