"""The composer of a draft: its form as it is sent, and its page in a browser."""

from collections.abc import Mapping
from typing import Any

from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from campaigns.models import Campaign

TYPED = {
    "name": "Friday sale",
    "title": "Sale",
    "text": "Today only",
    "on_tap": "app",
    "hours": "48",
    "repeat_policy": "when_refused",
}


def url(name: str, campaign: Campaign) -> str:
    """A page of a campaign."""
    return reverse(f"campaigns:{name}", args=[campaign.application_id, campaign.pk])


def post(
    client: Client, name: str, campaign: Campaign, headers: Mapping[str, str] = {}, /, **typed: Any
) -> Any:
    """Send the form of the draft as it is now, where nobody else has changed it."""
    campaign.refresh_from_db()
    version = {"draft_version": str(campaign.version)}
    return client.post(url(name, campaign), TYPED | version | typed, headers=dict(headers))


def edited(client: Client, campaign: Campaign, **typed: Any) -> str:
    """What the page says after the form was sent."""
    page: str = post(client, "edit", campaign, **typed).content.decode()
    return page


def opened(page: Page, draft: Campaign) -> None:
    """The page of a draft that says what `make_campaign` writes, once its scripts run."""
    page.goto(url("edit", draft))
    expect(page.locator("#preview .push-text").first).to_have_text("Today only")


def saved(page: Page) -> None:
    expect(page.locator("#save-mark")).to_contain_text("Saved")
