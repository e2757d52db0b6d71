"""Kill whoever posts webhooks, and look at what arrived."""

import json
import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from api import tasks
from campaigns import deliveries
from campaigns.models import Message, WebhookDelivery, WebhookNote
from campaigns.store import store
from tests.api.sending import carry_out, receive
from tests.factories import make_application, make_bulk, make_registrations, make_webhook
from tests.flows.processes import Worker
from tests.receiver import Receiver, receiving
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
MESSAGES, KILLS = 1000, 4


def go_on() -> None:
    """What the timetable does, after the time that leases and locks of the dead last."""
    store().delete(deliveries.LOCK)
    over = timezone.now() - timedelta(seconds=1)
    WebhookDelivery.objects.filter(lease_until__isnull=False).update(lease_until=over)
    tasks.tell_webhooks.delay()


def test_a_killed_worker_loses_no_webhook(worker: Callable[..., Worker]) -> None:
    store().flushdb()
    application = make_application()
    latency = threading.Event()
    with receiving() as receiver:
        receiver.answer = lambda got: (202 if latency.wait(0.3) else 200, {}, b"")
        for number in range(3):
            make_webhook(application, f"{receiver.url}/{number}", events=1)
        make_registrations(application, MESSAGES)
        bulk = make_bulk(application)
        sent = carry_out()
        receive(application, *sent)
        assert Message.objects.of_bulk(bulk).count() == WebhookNote.objects.count() == MESSAGES
        running = worker(queues="default", children=1, WEBHOOK_NETWORKS="127.0.0.0/8")

        for _ in range(KILLS):
            eventually(running.children, seconds=60, what="a child process runs")
            before = len(receiver.received)
            go_on()
            eventually(
                partial(has_received, receiver, before + 1),
                seconds=60,
                what="something was posted",
            )
            for child in running.children():
                os.kill(child, signal.SIGKILL)

        go_on()

        def everything_arrived() -> bool:
            tasks.tell_webhooks.delay()
            return is_over()

        eventually(everything_arrived, seconds=120, what="everything arrived")

    wanted = {str(message) for message in sent}
    for number in range(3):
        bodies = {
            got.headers["webhook-id"]: {
                each["messageId"] for each in json.loads(got.body)["results"]
            }
            for got in receiver.received
            if got.path == f"/{number}"
        }
        assert set().union(*bodies.values()) == wanted, "nothing is lost"
        assert sum(map(len, bodies.values())) == MESSAGES, "whoever knows the id, counts it once"


def has_received(receiver: Receiver, count: int) -> bool:
    return len(receiver.received) >= count or is_over()


def is_over() -> bool:
    waiting = WebhookDelivery.objects.filter(state=WebhookDelivery.State.WAITING)
    return not WebhookNote.objects.exists() and not waiting.exists()
