"""campaigns.forgetting: what other systems submitted is not kept for ever."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from campaigns import forgetting
from campaigns.models import Bulk, Chunk, Counter, Destination, InboxTopic, Submission
from devices.models import Application
from tests.api.pushing import to
from tests.api.sending import carry_out, send
from tests.api.systems import System, make_key
from tests.factories import make_application, make_bulk, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

NOBODY = {"type": "EXTERNAL_USER_ID", "externalUserId": "nobody"}


@pytest.fixture
def fresh(settings: Any) -> None:
    settings.MESSAGE_RETENTION_DAYS = 10


@pytest.fixture
def application() -> Application:
    return make_application()


@pytest.fixture
def system() -> System:
    make_key(scopes=["mobile-app-messaging:manage"])
    return System()


def left() -> tuple[int, ...]:
    models = (Submission, Bulk, Destination, Chunk, Counter)
    return tuple(model.objects.count() for model in models)


def test_sends_go_with_their_messages_and_campaigns_stay(
    system: System, application: Application
) -> None:
    send(system, application, to(make_registration(application)), NOBODY)
    send(system, application, NOBODY)
    carry_out()
    make_bulk(application, status=Bulk.Status.DONE)
    assert left() == (2, 2, 3, 1, 1)

    with time_machine.travel(timezone.now() + timedelta(days=9), tick=True):
        assert forgetting.drop_submitted(seconds=30) == 0
    with time_machine.travel(timezone.now() + timedelta(days=11), tick=True):
        assert forgetting.drop_submitted(seconds=30) == 3
        assert forgetting.drop_submitted(seconds=30) == 0
    assert left() == (0, 1, 0, 0, 0)


def test_what_is_not_sent_yet_or_is_in_an_inbox_stays(
    system: System, application: Application
) -> None:
    InboxTopic.objects.create(name="orders")
    device = make_registration(application)
    send(system, application, to(device), options={"inboxTopic": "orders"})
    carry_out()
    later = (timezone.now() + timedelta(days=100)).isoformat()
    send(system, application, to(device), options={"sendAt": later})

    with time_machine.travel(timezone.now() + timedelta(days=11), tick=True):
        assert forgetting.drop_submitted(seconds=30) == 0
    assert left()[:3] == (2, 2, 2)
