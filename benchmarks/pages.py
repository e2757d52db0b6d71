"""Pages of the dashboard over a large installation: median and 95th of 100 of each, and queries.

`python3 manage.py bench pages [--devices N] [--messages N]`. In one process, through the whole
middleware; the baseline is what the campaign page would cost if it counted message rows.
The user is a superuser: a page asks two questions more for a member, about their roles.
"""

import argparse
import hashlib
import math
import os
import time
import uuid
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

os.environ.setdefault("ALLOWED_HOSTS", "testserver")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.campaign import make_devices  # noqa: E402
from benchmarks.results import Row, Table, report  # noqa: E402
from campaigns import ids, partitions, segmenting, statistics  # noqa: E402
from campaigns.models import (  # noqa: E402
    Bulk,
    Campaign,
    CampaignContent,
    RecordedCall,
    WebhookDelivery,
    WebhookEvent,
    WebhookTarget,
)
from devices.models import Application, AuditEntry  # noqa: E402

AUDITED, POSTED = 100_000, 20_000  # changes in the audit trail, posts to webhooks

LEDGER = """
INSERT INTO campaigns_message (id, bulk_id, registration_id, sent_at, delivered_at, app_version,
    state, reason, platform, variant, attempt, language, answer)
SELECT (lpad(to_hex(%(high)s::bigint), 16, '0')
        || lpad(to_hex(%(low)s::bigint | r.id), 16, '0'))::uuid,
       %(bulk)s, r.id, now(), now(), r.app_version, 2 + (r.id %% 3)::int, 0, r.platform, 0, 0,
       r.language, ''
FROM (SELECT * FROM devices_registration WHERE application_id = %(application)s
      ORDER BY id LIMIT %(count)s) r
"""
COUNT = """
INSERT INTO campaigns_counter (bulk_id, minute, platform, variant, sent, accepted, delivered, seen,
    clicked, failed, expired, unknown)
SELECT %(bulk)s, date_trunc('minute', now()) - n * interval '1 minute', 2, 0, c, c, c * 2 / 3,
       c / 3, 0, 0, 0, 0
FROM generate_series(1, 60) n, (SELECT %(count)s / 60 AS c) x
"""


def make_campaign(application: Application, count: int, user: User) -> Campaign:
    """A finished campaign with its rows and counters."""
    now = timezone.now()
    campaign = Campaign.objects.create(
        application=application, name=f"Sale {uuid.uuid4()}", launched_at=now, launched_by=user
    )
    CampaignContent.objects.create(campaign=campaign, text="Today only")
    bulk = Bulk.objects.create(
        application=application, campaign=campaign, starts_at=now, frozen_at=now, finished_at=now,
        status=Bulk.Status.DONE, audience=count, rule={"all": []},
        content=[{"language": "", "variant": 0, "title": "Sale", "text": "Today only"}],
    )  # fmt: skip
    first = ids.first_id(bulk)
    low = first & (2**64 - 1)
    values = {
        "high": first >> 64, "low": low - 2**64 if low >= 2**63 else low, "bulk": bulk.pk,
        "application": application.pk, "count": count,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(LEDGER, values)
        cursor.execute(COUNT, values)
    return campaign


def make_history(application: Application, user: User) -> None:
    """What other pages list: changes, calls of other systems, posts to webhooks."""
    now = timezone.now()
    AuditEntry.objects.bulk_create(
        (
            AuditEntry(
                actor=user, actor_name=user.username, action="edit device",
                application=application, object_type="devices.registration",
                object_id=str(number), object_name="Galaxy S24",
            )
            for number in range(AUDITED)
        ),
        batch_size=5000,
    )  # fmt: skip
    RecordedCall.objects.bulk_create(
        RecordedCall(
            application=application, at=now, caller="CRM", method="POST", path="/push/3/messages",
            status=200, milliseconds=12, body='{"messages": []}', answer='{"bulkId": "orders"}',
        )
        for _ in range(settings.API_CALLS_KEPT)
    )  # fmt: skip
    url = f"https://crm.example/{application.pk}"  # each has a target, and that is unique
    target = WebhookTarget.objects.create(url=url, digest=hashlib.sha256(url.encode()).digest())
    WebhookDelivery.objects.bulk_create(
        (
            WebhookDelivery(
                public_id=uuid.uuid4(), application=application, url=url, target=target,
                event=WebhookEvent.SEEN, body='{"results": []}', state=WebhookDelivery.State.TAKEN,
                last_status=200, ends_at=now,
            )
            for _ in range(POSTED)
        ),
        batch_size=5000,
    )  # fmt: skip


class Times(NamedTuple):
    """Milliseconds."""

    median: float
    p95: float


def measure(ask: Callable[[], object], rounds: int) -> Times:
    """The first is not counted."""
    ask()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1000)
    return Times(median(times), sorted(times)[math.ceil(0.95 * rounds) - 1])


class Dashboard(NamedTuple):
    """An installation with a lot in it, and the addresses of its pages by name."""

    user: User
    pages: dict[str, str]
    bulk: Bulk
    messages: int


def fill(devices: int, messages: int) -> Dashboard:
    """Devices of a new application, campaigns with a message for each, and what else is listed."""
    partitions.make_ahead()
    application = make_devices(devices)
    user = User.objects.create_superuser(f"bench-{uuid.uuid4()}", password=str(uuid.uuid4()))
    each = min(devices, messages)
    campaigns = [make_campaign(application, each, user) for _ in range(max(1, messages // each))]
    make_history(application, user)
    segment = segmenting.create(
        application, user, name="Lapsed",
        rule={"all": [{"field": "platform", "op": "is", "value": "iOS"}]},
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE campaigns_message, campaigns_counter, devices_auditentry,"
            " campaigns_webhookdelivery, campaigns_recordedcall"
        )
    base = f"/apps/{application.pk}/"
    one = f"{base}campaigns/{campaigns[0].pk}/"
    device = application.registrations.order_by("pk")[devices // 2].pk
    bulk = Bulk.objects.get(campaign=campaigns[0])
    compared = "&".join(f"campaign={each.pk}" for each in campaigns[:5])
    call = RecordedCall.objects.filter(application=application).latest("pk").pk
    delivery = WebhookDelivery.objects.filter(application=application).latest("pk").pk
    pages = {
        "overview": base,
        "campaigns": f"{base}campaigns/",
        "campaign": one,
        "campaign, polled": one,
        "message log": f"{one}messages/",
        "message log, one state": f"{one}messages/?state=3",
        "devices": f"{base}devices/",
        "device": f"{base}devices/{device}/",
        "timeline of a device": f"{base}devices/{device}/timeline/",
        "why not, of a device": f"{base}devices/{device}/why-not/?bulk={bulk.pk}",
        "why not, of a campaign": f"{one}why-not/?device={device}",
        "people": f"{base}people/",
        "period report": f"{base}reports/",
        "five campaigns compared": f"{base}campaigns/compare/?{compared}",
        "calendar": f"{base}calendar/",
        "calendar of a week": f"{base}calendar/?view=week",
        "device base": f"{base}device-base/",
        "segments": f"{base}segments/",
        "segment": f"{base}segments/{segment.pk}/",
        "members of a segment": f"{base}segments/{segment.pk}/members/",
        "segment builder": f"{base}segments/{segment.pk}/edit/",
        "versions of a segment": f"{base}segments/{segment.pk}/versions/",
        "lists": f"{base}lists/",
        "attributes": f"{base}attributes/",
        "scenarios": f"{base}scenarios/",
        "imports": f"{base}imports/",
        "Push API campaigns": f"{base}push-api/",
        "API calls": f"{base}calls/",
        "API call": f"{base}calls/{call}/",
        "webhooks": f"{base}webhooks/",
        "webhook log": f"{base}webhooks/log/",
        "webhook delivery": f"{base}webhooks/log/{delivery}/",
        "team": f"{base}team/",
        "audit": "/settings/audit/",
        "audit, of one application": f"/settings/audit/?application={application.pk}",
        "system": "/settings/system/",
    }
    return Dashboard(user, pages, bulk, each * len(campaigns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    settings.ALLOWED_HOSTS = ["*"]
    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    user, pages, bulk, messages = fill(options.devices, options.messages)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    rows = []
    for name, address in pages.items():
        headers = {"HX-Request": "true"} if "polled" in name else {}

        def ask(address: str = address, headers: dict[str, str] = headers) -> None:
            status = client.get(address, headers=headers).status_code
            assert status == 200, f"{address}: {status}"

        slow = measure(ask, options.rounds)
        with CaptureQueriesContext(connection) as queries:
            ask()
        note = f"median {slow.median:.1f} ms, {len(queries)} queries"
        rows.append(Row(f"{name}, 95 of 100 below", slow.p95, "ms", note, ceiling=300))
    counted = measure(lambda: statistics.funnel(bulk), 5).median
    recounted = measure(lambda: statistics.recount(bulk), 3).median
    rows += [
        Row("figures of a campaign, from counters", counted, "ms"),
        Row("the same, by counting its messages", recounted, "ms"),
        Row("counting / counters", recounted / counted, "x"),
    ]
    size = f"--devices {options.devices} --messages {options.messages}"
    how = f"manage.py bench pages {size} --rounds {options.rounds}"
    title = f"Pages over {options.devices:,} devices and {messages:,} messages, for a superuser"
    report(Table("pages", title, how, rows))


if __name__ == "__main__":
    main()
