"""/metrics: what Prometheus reads, and who may."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from campaigns import dispatch, fanout, ids, metrics, pacing, reports, watching
from campaigns.models import Bulk, Chunk, Message, Reconciliation
from campaigns.store import store
from campaigns.views.metrics import family_of
from devices.models import ImportRun, ProviderCredential
from tests.factories import make_application, make_bulk, make_credential, make_registrations

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]
Samples = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture(autouse=True)
def _empty_store() -> Iterator[None]:
    metrics.flush()
    store().flushdb()
    yield
    store().flushdb()


def scraped(client: Client, **headers: str) -> Samples:
    """Samples by name and values of their labels, which are sorted by their names."""
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 200
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


def test_a_campaign_can_be_followed_by_its_metrics(
    client: Client, cloud_for: CloudFor, settings: Settings
) -> None:
    settings.CHUNK_SIZE = 20
    application = make_application()
    make_registrations(application, 30)
    credential = make_credential(application)
    cloud_for(credential)
    bulk = make_bulk(application, starts_at=timezone.now() - timedelta(seconds=100))
    fanout.freeze(bulk)

    before = scraped(client)
    dispatch.work(seconds=60)
    after = scraped(client)

    assert 90 <= before["pushadmin_queue_age_seconds", ("normal",)] < 200
    assert before["pushadmin_chunks", ("normal", "due")] == 2
    assert before["pushadmin_devices_due", ("normal",)] == 30
    assert after["pushadmin_queue_age_seconds", ("normal",)] == 0
    assert after["pushadmin_chunks", ("normal", "due")] == 0
    assert after["pushadmin_verdicts_total", ("fcm", "none", "accepted")] == 30
    assert after["pushadmin_window_seconds_count", ("fcm",)] == 2
    assert after["pushadmin_window_seconds_bucket", ("30.0", "fcm")] == 2
    assert after["pushadmin_chunk_seconds_count", ("normal",)] == 2
    assert after["pushadmin_chunk_seconds_sum", ("normal",)] > 0


def test_chunks_are_due_taken_or_waiting_for_their_time(client: Client) -> None:
    now = timezone.now()
    bulk = make_bulk(status=Bulk.Status.SENDING)
    shape: dict[str, Any] = {"bulk": bulk, "platform": 1, "size": 1, "recipients": [1]}
    past, soon = now - timedelta(minutes=5), now + timedelta(minutes=5)
    Chunk.objects.create(**shape, urgent=True, not_before=past)
    Chunk.objects.create(**shape, not_before=past, lease_until=soon)
    Chunk.objects.create(**shape, not_before=past, lease_until=past)  # its worker died
    Chunk.objects.create(**shape, not_before=soon)
    Chunk.objects.create(**shape, not_before=past, held=True)
    Chunk.objects.create(**shape, not_before=past, status=Chunk.Status.DONE)
    paused = make_bulk(status=Bulk.Status.PAUSED)
    Chunk.objects.create(**{**shape, "bulk": paused}, not_before=past)

    told = scraped(client)

    chunks = {labels: n for (name, labels), n in told.items() if name == "pushadmin_chunks"}
    assert chunks == {
        ("urgent", "due"): 1,
        ("urgent", "taken"): 0,
        ("urgent", "later"): 0,
        ("normal", "due"): 1,
        ("normal", "taken"): 1,
        ("normal", "later"): 2,
    }
    assert told["pushadmin_queue_age_seconds", ("urgent",)] >= 300


def test_pauses_and_rests_of_credentials_are_told(client: Client) -> None:
    application = make_application(name="Shop")
    credential = make_credential(application, paused_at=timezone.now(), test_ok=False)
    pacing.pause(pacing.bucket_of(credential), 60)

    told = scraped(client)

    labels = ("Shop", "production", "fcm")
    assert told["pushadmin_credential_paused", labels] == 1
    assert told["pushadmin_credential_works", labels] == 0
    assert 50 < told["pushadmin_credential_rest_seconds", labels] <= 60


def test_the_last_comparison_of_the_counters_is_told(client: Client) -> None:
    assert ("pushadmin_counters_differing", ()) not in scraped(client)
    at = timezone.now() - timedelta(hours=3)
    Reconciliation.objects.create(since=at, finished_at=at, bulks=9, differing=3, repaired=1)
    Reconciliation.objects.create(since=at, bulks=1)  # is not finished

    told = scraped(client)

    assert told["pushadmin_counters_differing", ()] == 2
    assert told["pushadmin_counters_compared_seconds_ago", ()] >= 3 * 3600


def test_receipts_that_wait_are_told_with_the_time_they_wait(client: Client) -> None:
    bulk = make_bulk()
    receipt = reports.Receipt(ids.message_id(bulk, 1), Message.State.DELIVERED, timezone.now())
    reports.take(bulk.application_id, None, [receipt])
    store().xadd(reports.STREAM, {"r": "[]"})
    began = time.monotonic()

    told = scraped(client)

    assert told["pushadmin_receipts_waiting", ()] == 2
    assert 0 <= told["pushadmin_receipts_lag_seconds", ()] <= time.monotonic() - began + 5


def test_imports_and_workers_are_told(client: Client) -> None:
    application = make_application()
    for status in (ImportRun.Status.WAITING, ImportRun.Status.RUNNING, ImportRun.Status.DONE):
        ImportRun.objects.create(application=application, filename="a.csv", status=status)
    watching.say_alive("celery@here", ["dispatch"], 2)

    told = scraped(client)

    assert told["pushadmin_imports", ("waiting",)] == 1
    assert told["pushadmin_imports", ("running",)] == 1
    assert told["pushadmin_workers", ()] == 2


def test_requests_are_counted_by_whose_api_they_are(client: Client) -> None:
    client.get("/mobile/1/no-such-path")
    client.get("/mobile/1/messages/deliveryreport")
    client.get("/login/")
    client.get("/login/", headers={"host": "evil.example"})

    told = scraped(client)

    assert told["pushadmin_web_answers_total", ("mobile", "GET", "404")] == 1
    assert told["pushadmin_web_answers_total", ("mobile", "GET", "401")] == 1
    assert told["pushadmin_web_answers_total", ("dashboard", "GET", "200")] == 1
    assert told["pushadmin_web_answers_total", ("dashboard", "GET", "400")] == 1
    assert told["pushadmin_web_request_seconds_count", ("mobile",)] == 2


@pytest.mark.parametrize(
    ("path", "family"),
    [("//mobile/1/appinstance", "mobile"), ("/mobiles/", "dashboard"), ("/", "dashboard")],
)
def test_a_path_belongs_to_the_family_it_begins_with(path: str, family: str) -> None:
    assert family_of(path) == family


def test_without_the_store_the_database_still_tells(client: Client, settings: Settings) -> None:
    settings.STORE_URL = "unix:///nowhere/valkey.sock"

    told = scraped(client)

    assert told["pushadmin_store_up", ()] == 0
    assert told["pushadmin_chunks", ("normal", "due")] == 0


def test_without_the_database_a_scraper_learns_that(client: Client) -> None:
    def refuse(*args: object) -> None:
        raise OperationalError

    with connection.execute_wrapper(refuse):
        response = client.get("/metrics")

    assert response.status_code == 503


@pytest.mark.parametrize(
    ("peer", "headers", "token", "status"),
    [
        ("127.0.0.1", {}, "", 200),
        ("127.0.0.1", {"host": "10.0.0.7:8000"}, "", 200),
        ("::1", {}, "", 200),
        ("127.0.0.1", {}, "s3cret", 200),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, "", 401),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, "", 401),
        ("10.0.0.9", {}, "", 401),
        ("10.0.0.9", {"authorization": "Bearer "}, "", 401),
        ("10.0.0.9", {"authorization": "Bearer s3cret"}, "s3cret", 200),
        ("127.0.0.1", {"authorization": "bearer s3cret", "via": "1.1 proxy"}, "s3cret", 200),
        ("10.0.0.9", {"authorization": "Bearer s3cre"}, "s3cret", 401),
        ("10.0.0.9", {"authorization": "Bearer süß"}, "s3cret", 401),
        ("127.0.0.1", {"authorization": "Bearer wrong"}, "s3cret", 401),
        ("", {}, "", 401),
    ],
)
def test_metrics_are_for_this_machine_or_for_who_has_the_token(
    client: Client,
    settings: Settings,
    peer: str,
    headers: dict[str, str],
    token: str,
    status: int,
) -> None:
    settings.METRICS_TOKEN = token

    response = client.get("/metrics", headers=headers, REMOTE_ADDR=peer)

    assert response.status_code == status
    assert (b"pushadmin_chunks" in response.content) == (status == 200)


def test_openmetrics_is_spoken_to_who_asks_for_it(client: Client) -> None:
    accept = "application/openmetrics-text;version=1.0.0"

    response = client.get("/metrics", headers={"accept": accept})

    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.content.endswith(b"# EOF\n")


def test_nothing_is_written_to_metrics(client: Client) -> None:
    assert client.post("/metrics").status_code == 405
