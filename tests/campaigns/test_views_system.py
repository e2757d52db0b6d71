"""The system page: what administrators see of the installation, whatever of it is away."""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import ids, metrics, pacing, probing, reports, tasks, watching
from campaigns.models import Bulk, Chunk, Message, Reconciliation
from campaigns.store import store
from devices.models import AuditEntry, Breaker, Provider, Role
from tests.campaigns.soundness import all_is_well, sound_store
from tests.factories import make_application, make_bulk, make_campaign, make_credential, make_user

__all__ = ["sound_store"]  # a fixture
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_store")]

QueryCount = Callable[[int], Any]
URL = "/settings/system/"
HOST = "push.cloud.example"


@pytest.fixture
def admin(client: Client) -> User:
    user = make_user(is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port at which somebody listens who never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def page(client: Client) -> str:
    response = client.get(URL)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


# ------------------------------------------------------------------- who may see it


def test_administrators_alone_see_it_and_find_it(client: Client) -> None:
    application = make_application()
    for role in Role:
        client.force_login(make_user(role, application))
        allowed = role == Role.ADMINISTRATOR
        assert client.get(URL).status_code == (200 if allowed else 403), role
        assert client.post(URL + "reconcile/").status_code == (200 if allowed else 403), role
        first_page = client.get(reverse("campaigns:overview", args=[application.pk]))
        assert (f'href="{URL}"' in first_page.content.decode()) == allowed, role


def test_whoever_is_not_signed_in_is_asked_to(client: Client) -> None:
    assert client.get(URL).headers["Location"].startswith("/login/")


def test_an_administrator_of_one_application_sees_nothing_of_another(client: Client) -> None:
    mine, other = make_application(name="Mine"), make_application(name="Secret project")
    differing = []
    for application in (mine, other):
        make_credential(application, paused_at=timezone.now(), pause_reason="403 by the cloud")
        campaign = make_campaign(application, name=f"{application.name} sale")
        bulk = make_bulk(application, campaign=campaign, status=Bulk.Status.PAUSED)
        differing.append(
            {"bulk": bulk.pk, "what": "sent", "counted": 2, "found": 1, "repaired": True}
        )
    now = timezone.now()
    Reconciliation.objects.create(since=now, finished_at=now, differences=differing)
    client.force_login(make_user(Role.ADMINISTRATOR, mine))

    seen = page(client)

    assert seen.count("Mine sale") == 2  # is paused, was counted wrongly
    assert "Firebase Cloud Messaging of Mine" in seen
    assert "Secret project" not in seen


# ------------------------------------------------------------------- what it shows


def test_when_all_is_well_it_says_so(client: Client, admin: User) -> None:
    all_is_well()

    seen = page(client)

    assert "Everything works" in seen
    assert seen.count("Does not answer") == 0
    assert "worker@here" in seen
    assert "PostgreSQL 1" in seen
    assert "Nothing is paused" in seen
    assert "It has not happened yet" in seen


def test_workers_are_shown_with_memory_and_heartbeat(client: Client, admin: User) -> None:
    watching.say_alive("worker@here", ["dispatch"], 2)
    silent = {"queues": ["urgent"], "processes": 3, "at": time.time() - 90, "memory": [1, 2]}
    store().hset(watching.WORKERS, "quick@there:77", json.dumps(silent))

    quick, worker = watching.workers()
    seen = page(client)

    assert worker.lives
    assert worker.takes is not None
    assert worker.takes > 10_000_000  # bytes: this very process
    assert not quick.lives
    assert (quick.takes, quick.largest) == (3, 2)
    assert "Alive" in seen
    assert "Silent" in seen
    assert re.search(r"[1-9] min( \d+ s)? ago</td>", seen)


def test_a_worker_that_was_started_again_is_shown_once() -> None:
    before = {"queues": ["dispatch"], "processes": 2, "at": time.time() - 20}
    store().hset(watching.WORKERS, "worker@here:77", json.dumps(before))
    assert [worker.pid for worker in watching.workers()] == [77]

    watching.say_alive("worker@here", ["dispatch"], 2)

    assert [worker.pid for worker in watching.workers()] == [os.getpid()]


def test_a_process_counts_its_children(tmp_path: Any) -> None:
    alone = len(probing.memory())
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # until the parent closes its end
        os._exit(0)
    try:
        assert len(probing.memory()) == alone + 1
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        os.close(reading)


def test_queues_receipts_and_connections_are_shown(client: Client, admin: User) -> None:
    all_is_well()
    bulk = make_bulk(status=Bulk.Status.SENDING)
    past = timezone.now() - timedelta(minutes=3)
    shape: dict[str, Any] = {"bulk": bulk, "platform": 1, "size": 5, "recipients": [1] * 5}
    Chunk.objects.create(**shape, not_before=past)
    receipt = reports.Receipt(ids.message_id(bulk, 1), Message.State.DELIVERED, timezone.now())
    reports.take(bulk.application_id, None, [receipt])
    has = {"at": time.time(), "hosts": {HOST: [2, 40]}}
    store().hset(metrics.PROCESSES, "here:1", json.dumps(has))
    store().hset(metrics.COUNTS, f"connections|{HOST}|opened", 7)
    store().hset(metrics.COUNTS, f"connections|{HOST}|goaway", 3)

    seen = page(client)

    # Of a host that no other test of this process connects to.
    assert [each for each in watching.connections() if each.host == HOST] == [
        watching.Connections(HOST, open=2, in_flight=40, opened=7, sent_away=3, lost=0)
    ]
    assert HOST in seen
    assert "5 devices due" in seen
    assert "1 waiting · 0 early" in seen
    assert "Campaigns wait for a worker" in seen


def test_pauses_are_shown_with_their_reason_and_their_end(client: Client, admin: User) -> None:
    application = make_application(name="Shop")
    now = timezone.now()
    make_credential(application, Provider.FCM, paused_at=now, pause_reason="403 SENDER_ID_MISMATCH")
    resting = make_credential(application, Provider.APNS)
    pacing.pause(pacing.bucket_of(resting), 600)
    undecided = make_credential(application, Provider.WEBPUSH, paused_at=now)
    Breaker.objects.create(credential=undecided, gone=40, answers=50, tripped_at=now)
    make_bulk(application, status=Bulk.Status.PAUSED, status_reason="The cloud refuses it.")

    seen = page(client)

    assert "403 SENDER_ID_MISMATCH" in seen
    assert "when a test succeeds; it is tested every minute" in seen
    assert re.search(r"Ends in \d+ min", seen)
    assert "when somebody decides about the dead addresses" in seen
    assert "The cloud refuses it." in seen
    assert "Ends when somebody resumes it" in seen


def test_the_last_comparison_is_shown_with_what_it_corrected(client: Client, admin: User) -> None:
    now = timezone.now()
    application = make_application()
    bulk = make_bulk(application, campaign=make_campaign(application, name="Friday sale"))
    difference = {
        "bulk": bulk.pk, "what": "sent", "counted": 11, "found": 9, "places": 1, "repaired": True
    }  # fmt: skip
    run = Reconciliation.objects.create(
        since=now, finished_at=now, bulks=12, differing=1, repaired=1, differences=[difference]
    )
    all_is_well()

    seen = page(client)
    assert "1 of 12 sends differed from their messages and was corrected" in seen
    assert "Friday sale</a>, sent: counted 11, found 9" in seen
    assert "Everything works" in seen

    run.repaired = 0
    run.save()
    assert "Counters and rows of some sends differ" in page(client)


def test_the_live_part_is_answered_alone(client: Client, admin: User) -> None:
    part = client.get(URL, headers={"HX-Request": "true"}).content.decode()

    assert part.count("<html") == 0
    assert 'id="system"' in part
    assert 'hx-trigger="every 5s"' in part


def test_a_poll_costs_as_much_whatever_there_is(
    client: Client, admin: User, django_assert_num_queries: QueryCount
) -> None:
    all_is_well()
    for _ in range(3):
        application = make_application()
        make_credential(application, paused_at=timezone.now())
        make_bulk(application, campaign=make_campaign(application), status=Bulk.Status.PAUSED)
    client.get(URL)

    # session, user, applications; the database 3 times, its clock; latest and finished
    # comparison, queues, imports, clouds, paused bulks, early receipts
    with django_assert_num_queries(14):
        client.get(URL, headers={"HX-Request": "true"})


# ------------------------------------------------------------------- what is away


@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
def test_without_the_store_it_answers_and_says_so(
    client: Client, admin: User, settings: Any, port: str, request: pytest.FixtureRequest
) -> None:
    make_credential(make_application())
    settings.STORE_URL = f"redis://127.0.0.1:{request.getfixturevalue(port)}/0"

    seen = page(client)

    assert "The store does not answer" in seen
    assert "No worker takes" not in seen  # nobody can tell
    assert "PostgreSQL 1" in seen


@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_without_the_broker_it_answers_and_says_so(
    client: Client,
    admin: User,
    kind: str,
    port: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_is_well()
    away = f"{kind}://127.0.0.1:{request.getfixturevalue(port)}/0"
    monkeypatch.setattr(current_app.conf, "broker_read_url", away)

    seen = page(client)
    comparison = client.post(URL + "reconcile/")

    assert "The broker does not answer" in seen
    assert "worker@here" in seen
    assert "The broker is away" in comparison.headers["HX-Trigger"]
    assert Reconciliation.objects.filter(finished_at=None).count() == 1


def test_a_broker_tells_how_many_tasks_nobody_has_taken() -> None:
    broker = probing.broker()
    assert broker is not None
    before = broker.tasks["receipts"]
    assert set(broker.tasks) == {"dispatch", "urgent", "receipts", "default"}

    tasks.consume_receipts.delay()

    broker = probing.broker()
    assert broker is not None
    assert broker.tasks["receipts"] == before + 1


# ------------------------------------------------------------------- comparing at once


def test_a_comparison_can_be_begun_at_once(client: Client, admin: User) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    Reconciliation.objects.create(started_at=long_ago, since=long_ago, finished_at=long_ago)

    first = client.post(URL + "reconcile/")
    again = client.post(URL + "reconcile/")

    assert first.status_code == again.status_code == 200
    assert "The comparison has begun" in first.headers["HX-Trigger"]
    assert Reconciliation.objects.filter(finished_at=None).count() == 1
    assert AuditEntry.objects.filter(action="compare counters").count() == 2
    tasks.reconcile()
    assert not Reconciliation.objects.filter(finished_at=None).exists()
