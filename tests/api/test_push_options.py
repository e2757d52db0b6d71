"""How options reach the notification and the reports: section 2.1 of contract/push.md."""

from datetime import timedelta
from typing import Any

import pytest

from campaigns.models import (
    Bulk,
    InboxTopic,
    Submission,
)
from devices.models import Application
from tests.api.pushing import sent
from tests.api.systems import System

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


def said(bulk: Bulk) -> dict[str, Any]:
    (content,) = bulk.content
    return {k: v for k, v in content.items() if k not in {"language", "variant", "text"}}


@pytest.mark.parametrize(
    ("options", "notification"),
    [
        ({}, {}),
        ({"soundEnabled": False, "soundName": "a.wav"}, {"sound": ""}),
        ({"soundEnabled": True, "soundName": "a.wav"}, {"sound": "a.wav"}),
        ({"soundEnabled": None}, {}),
        ({"vibrationEnabled": False}, {"vibrate": False}),
        ({"contentAvailable": True}, {"content_available": True}),
        ({"isSilent": True}, {"silent": True}),
        ({"badge": 0}, {"badge": 0}),
        ({"category": "mm_accept_decline"}, {"category": "mm_accept_decline"}),
        ({"showMirroredPush": False, "mirroredPushStyle": "BANNER"}, {}),
        ({"showMirroredPush": True}, {"in_app_style": "MODAL"}),
        (
            {
                "showMirroredPush": True,
                "mirroredPushStyle": "MODAL",
                "mirroredPushExpirationPeriod": 2,
                "mirroredPushDismissTitle": "Later",
                "mirroredPushOpenTitle": "Show",
            },
            {
                "in_app_style": "MODAL",
                "in_app_expires_in": 7200,
                "in_app_dismiss_title": "Later",
                "in_app_open_title": "Show",
            },
        ),
        (
            {
                "showMirroredPush": True,
                "mirroredPushStyle": "BANNER",
                "mirroredPushExpirationPeriod": 2,
                "mirroredPushExpirationTimeUnit": "MINUTES",
                "mirroredPushOpenTitle": "Show",
            },
            {"in_app_style": "BANNER", "in_app_expires_in": 120},
        ),
        (
            {"onTapButtonAction": {"resource": "resource", "type": "DEEP_LINK"}},
            {"deep_link": "resource"},
        ),
        (
            {"onTapButtonAction": {"resource": "https://a.b", "type": "WEB_VIEW_URL"}},
            {"web_view_url": "https://a.b"},
        ),
        (
            {"onTapButtonAction": {"resource": "https://a.b", "type": "OPEN_URL_IN_BROWSER"}},
            {"browser_url": "https://a.b"},
        ),
        ({"customPayload": {"a": None, "b": [1]}}, {"custom_payload": {"a": None, "b": [1]}}),
    ],
)
def test_each_option_reaches_the_notification(
    system: System,
    application: Application,
    options: dict[str, Any],
    notification: dict[str, Any],
) -> None:
    assert said(sent(system, application, options=options)) == notification
    assert said(sent(system, application, notificationOptions=options)) == notification


def test_options_win_over_their_older_name(system: System, application: Application) -> None:
    bulk = sent(
        system,
        application,
        options={"badge": 1, "category": None},
        notificationOptions={"badge": 2, "category": "c"},
    )
    assert said(bulk) == {"badge": 1, "category": "c"}


def test_an_image_is_shown(system: System, application: Application) -> None:
    image = {"type": "IMAGE", "title": "T", "text": "x", "url": "https://a.b/c.jpg"}
    assert said(sent(system, application, content=image)) == {
        "title": "T",
        "image_url": "https://a.b/c.jpg",
    }


def test_a_known_topic_keeps_it_in_the_inbox(system: System, application: Application) -> None:
    InboxTopic.objects.create(name="orders")
    options = {"inboxTopic": "orders", "inboxMessageExpirationPeriod": 2}
    assert said(sent(system, application, options=options)) == {
        "inbox_topic": "orders",
        "inbox_expires_in": 2 * 86_400,
    }
    months = sent(
        system, application, options={**options, "inboxMessageExpirationTimeUnit": "MONTHS"}
    )
    assert said(months)["inbox_expires_in"] == 60 * 86_400


@pytest.mark.parametrize(
    ("validity", "seconds"),
    [
        (None, 172_800),
        ({"amount": 30, "timeUnit": "SECONDS"}, 30),
        ({"amount": 5}, 300),
        ({"amount": 2, "timeUnit": "HOURS"}, 7200),
        ({"amount": 49, "timeUnit": "HOURS"}, 172_800),
        ({"amount": 2**31 - 1, "timeUnit": "HOURS"}, 172_800),
    ],
)
def test_validity_is_cut_to_48_hours(
    system: System, application: Application, validity: Any, seconds: int
) -> None:
    bulk = sent(system, application, options={"validityPeriod": validity})
    assert bulk.ttl == seconds
    assert bulk.expires_at == bulk.starts_at + timedelta(seconds=seconds)


def test_what_belongs_to_reports_is_kept(system: System, application: Application) -> None:
    sent(
        system,
        application,
        options={
            "platform": {"entityId": "e", "applicationId": "a"},
            "campaignReferenceId": "summersale",
        },
        webhooks={
            "delivery": {"url": "https://example.com/x", "intermediateReport": True},
            "contentType": "application/xml",
        },
    )
    kept = Submission.objects.get()
    assert (kept.entity_id, kept.platform_application_id, kept.reference) == (
        "e", "a", "summersale",
    )  # fmt: skip
    assert kept.webhook == {
        "url": "https://example.com/x",
        "intermediate": True,
        "content_type": "application/xml",
    }
    assert kept.content == {"type": "TEXT", "text": "Order shipped"}


def test_nothing_is_reported_to_a_webhook_that_was_switched_off(
    system: System, application: Application
) -> None:
    sent(system, application, webhooks={"delivery": {"url": "https://a.b", "notify": False}})
    assert Submission.objects.get().webhook == {"notify": False}
