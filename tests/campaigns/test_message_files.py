"""campaigns.message_files: every message once, no formula for spreadsheets, bounded memory."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import composing, dispatch, fanout, message_files
from campaigns.models import Bulk, Message
from devices.models import AuditEntry, ProviderCredential, Role
from devices.versions import pack_version
from providers.base import Cause, Outcome, Verdict
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]


@pytest.fixture
def sent(cloud_for: CloudFor) -> Bulk:
    """A campaign to five devices, of which one was gone."""
    application = make_application()
    make_registrations(application, 5, language="=cmd()", app_version=pack_version("4.10"))
    cloud = cloud_for(make_credential(application))
    gone = Outcome(
        verdict=Verdict.UNREGISTERED, cause=Cause.UNINSTALLED, reason="@SUM(1)", status=404
    )
    answers = iter([gone] + [Outcome(verdict=Verdict.ACCEPTED, provider_id="p")] * 4)
    cloud.answer = lambda one: next(answers)
    bulk = composing.launch(make_campaign(application), make_user(Role.MARKETER, application))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    dispatch.work(seconds=60)
    bulk.refresh_from_db()
    return bulk


def read(parts: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(parts).decode("utf-8-sig"))))


def test_every_message_is_a_line_whatever_the_piece(
    sent: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_files, "PIECE", 2)

    lines = read(message_files.rows(sent))

    stored = Message.objects.of_bulk(sent)
    assert {line["message_id"] for line in lines} == {str(each.pk) for each in stored}
    assert len(lines) == 5
    assert sorted(line["state"] for line in lines) == ["Accepted"] * 4 + ["Failed"]
    [failed] = [line for line in lines if line["state"] == "Failed"]
    assert failed["reason"] == "uninstalled"
    assert failed["why"] == "The app was removed from the device"
    assert failed["answer"] == "404 @SUM(1)"
    assert {(line["platform"], line["app_version"]) for line in lines} == {("Android", "4.10")}
    assert {line["language"] for line in lines} == {"'=cmd()"}


def test_who_takes_the_file_stands_in_the_audit_trail(sent: Bulk) -> None:
    client = Client()
    analyst = make_user(Role.ANALYST, sent.application)
    client.force_login(analyst, backend="django.contrib.auth.backends.ModelBackend")
    address = reverse("campaigns:message-file", args=[sent.application_id, sent.campaign_id])

    answer = client.post(address)

    assert len(read([answer.getvalue()])) == 5
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="messages-')
    entry = AuditEntry.objects.get(action="export messages")
    assert entry.actor == analyst
    assert client.get(address).status_code == 405


def test_a_campaign_of_others_is_not_told_of(sent: Bulk) -> None:
    client = Client()
    stranger = make_user(Role.ADMINISTRATOR, make_application())
    client.force_login(stranger, backend="django.contrib.auth.backends.ModelBackend")
    address = reverse("campaigns:message-file", args=[sent.application_id, sent.campaign_id])

    assert client.post(address).status_code == 404
