"""A shop whose campaigns are looked at, and calls to their pages."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from campaigns import composing, fanout
from campaigns.models import Bulk, Campaign
from devices.models import Application, Platform, Role
from tests.factories import (
    make_application,
    make_campaign,
    make_credential,
    make_registration,
    make_registrations,
    make_user,
)

HTMX = {"HX-Request": "true"}


@pytest.fixture
def shop() -> Application:
    application = make_application(name="Shop & <b>Co</b>")
    make_registrations(application, 3, language="de")
    make_registrations(application, 2, platform=Platform.IOS, language="en")
    make_registration(application, notifications_enabled=False)
    make_credential(application)
    return application


def url(name: str, application: Application, *more: object) -> str:
    return reverse(f"campaigns:{name}", args=[application.pk, *more])


def sent(application: Application) -> Campaign:
    """A campaign that was launched and frozen."""
    campaign = make_campaign(application, name="<script>alert(1)</script>")
    bulk = composing.launch(campaign, make_user(Role.MARKETER, application))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(minutes=1))
    fanout.freeze(bulk)
    campaign.refresh_from_db()
    return campaign
