"""What Prometheus reads: counts of all processes out of the store, states out of Postgres."""

from collections.abc import Iterable, Iterator, Sequence

import redis
from django.utils import timezone
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from campaigns import metrics, reconciling, watching
from campaigns.metrics import BOUNDS, ENDLESS, Labels


class Exposition(Collector):
    """Asked once for each scrape. Without the store it tells what the database knows."""

    def collect(self) -> Iterator[Metric]:
        yield from _queues()
        yield from _clouds()
        yield from _proof()
        yield _family("imports", "Imports that are not finished", ["status"], watching.imports())
        clocks = watching.clocks()
        yield GaugeMetricFamily(
            "pushadmin_clock_ahead_seconds",
            "How far the web server's clock is ahead of the database's",
            value=clocks.database,
        )
        try:
            stored = list(_stored())
        except redis.RedisError:
            stored = []
        yield GaugeMetricFamily(
            "pushadmin_store_up", "Whether the store answers", value=1 if stored else 0
        )
        yield from stored


def _family(
    name: str, text: str, labels: Sequence[str], values: dict[str, int]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"pushadmin_{name}", text, labels=labels)
    for label, value in values.items():
        family.add_metric([label], value)
    return family


def _queues() -> Iterable[Metric]:
    age = GaugeMetricFamily(
        "pushadmin_queue_age_seconds",
        "How long the oldest chunk that may be sent has waited for a worker; 0 without any",
        labels=["queue"],
    )
    chunks = GaugeMetricFamily(
        "pushadmin_chunks",
        "Chunks of running bulks: due, taken by a worker, or waiting for their time",
        labels=["queue", "state"],
    )
    devices = GaugeMetricFamily(
        "pushadmin_devices_due", "Devices of the chunks that are due", labels=["queue"]
    )
    for queue in watching.queues():
        name = "urgent" if queue.urgent else "normal"
        age.add_metric([name], queue.age or 0.0)
        devices.add_metric([name], queue.due_devices)
        for state, number in (("due", queue.due), ("taken", queue.taken), ("later", queue.later)):
            chunks.add_metric([name, state], number)
    return age, chunks, devices


def _clouds() -> Iterable[Metric]:
    labels = ["application", "provider", "environment"]
    paused = GaugeMetricFamily(
        "pushadmin_credential_paused",
        "1 while nothing is sent through a credential because its cloud refuses it",
        labels=labels,
    )
    works = GaugeMetricFamily(
        "pushadmin_credential_works",
        "What the last test of a credential said; missing while it was never tested",
        labels=labels,
    )
    rests = GaugeMetricFamily(
        "pushadmin_credential_rest_seconds",
        "How long a credential still rests because its cloud asked for it",
        labels=labels,
    )
    for cloud in watching.clouds():
        each = cloud.credential
        named = [each.application.name, each.provider, each.environment]
        paused.add_metric(named, cloud.paused)
        rests.add_metric(named, cloud.rests)
        if each.test_ok is not None:
            works.add_metric(named, each.test_ok)
    return paused, works, rests


def _proof() -> Iterable[Metric]:
    differing = GaugeMetricFamily(
        "pushadmin_counters_differing",
        "Sends whose counters still differed from their messages when they were last compared;"
        " missing before the first time",
    )
    age = GaugeMetricFamily(
        "pushadmin_counters_compared_seconds_ago", "How long ago that was; missing likewise"
    )
    last = reconciling.latest(finished=True)
    if last is not None and last.finished_at is not None:
        differing.add_metric([], last.wrong)
        age.add_metric([], (timezone.now() - last.finished_at).total_seconds())
    return differing, age


def _stored() -> Iterator[Metric]:
    receipts = watching.receipts()
    yield GaugeMetricFamily(
        "pushadmin_receipts_waiting",
        "Requests with receipts that are not in the ledger yet",
        value=receipts.waiting,
    )
    yield GaugeMetricFamily(
        "pushadmin_receipts_lag_seconds", "How long the oldest has waited", value=receipts.lag
    )
    yield GaugeMetricFamily(
        "pushadmin_receipts_early",
        "Receipts that wait for their message to be recorded",
        value=receipts.early,
    )
    aside = GaugeMetricFamily(
        "pushadmin_requests_set_aside",
        "Requests that could not be written down, by what they hold",
        labels=["holds"],
    )
    for stream in watching.STREAMS:
        aside.add_metric([stream.holds], stream.aside())
    yield aside
    yield GaugeMetricFamily(
        "pushadmin_workers",
        "Worker processes that showed a sign of life",
        value=sum(worker.processes for worker in watching.workers() if worker.lives),
    )
    yield from _connections()
    yield from _counted(metrics.counts())


def _connections() -> Iterable[Metric]:
    opened = GaugeMetricFamily(
        "pushadmin_http2_connections", "Open connections to the clouds", labels=["host"]
    )
    in_flight = GaugeMetricFamily(
        "pushadmin_http2_requests_in_flight", "Requests without an answer yet", labels=["host"]
    )
    for host, (number, requests) in sorted(metrics.connections().items()):
        opened.add_metric([host], number)
        in_flight.add_metric([host], requests)
    return opened, in_flight


COUNTERS = {
    "verdicts": ("verdicts", "What clouds said to hand-overs", ["provider", "verdict", "reason"]),
    "connections": (
        "http2_connection_events",
        "Connections to the clouds that were opened, sent away by GOAWAY, or lost",
        ["host", "event"],
    ),
    "answers": ("web_answers", "Answers of the web server", ["family", "method", "status"]),
}
HISTOGRAMS = {
    "window": ("window_seconds", "Windows on the wire, hand-over to last answer", ["provider"]),
    "chunk": ("chunk_seconds", "Chunks, from the claim to the last record", ["queue"]),
    "web": ("web_request_seconds", "Requests to the web server", ["family"]),
}


def _counted(counts: dict[Labels, int]) -> Iterator[Metric]:
    for key, (name, text, labels) in COUNTERS.items():
        counter = CounterMetricFamily(f"pushadmin_{name}", text, labels=labels)
        for found in sorted(labelled for labelled in counts if labelled[0] == key):
            counter.add_metric(found[1:], counts[found])
        yield counter
    for key, (name, text, labels) in HISTOGRAMS.items():
        histogram = HistogramMetricFamily(f"pushadmin_{name}", text, labels=labels)
        bounds = [*map(str, BOUNDS[key]), ENDLESS]
        for group in sorted({labelled[1:-1] for labelled in counts if labelled[0] == key}):
            so_far, buckets = 0, []
            for bound in bounds:
                so_far += counts.get((key, *group, bound), 0)
                buckets.append((bound, float(so_far)))
            histogram.add_metric(group, buckets, counts.get((key, *group, "sum"), 0) / 1e6)
        yield histogram
