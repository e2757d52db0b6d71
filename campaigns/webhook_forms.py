"""What people type about webhooks."""

from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings

from campaigns.models import Webhook, WebhookEvent
from providers import outside

LONGEST = 2000  # characters of an address
EXPLAINED = {
    WebhookEvent.ENDED: "Delivery reports: delivered, failed or expired",
    WebhookEvent.ON_ITS_WAY: "Handed to the cloud, on its way to the device",
    WebhookEvent.SEEN: "Seen",
    WebhookEvent.CLICKED: "Tapped",
    WebhookEvent.INBOUND: "Messages that people write back from the app",
}


class WebhookForm(forms.Form):
    """An address, and what it is told."""

    url = forms.CharField(
        label="Address",
        max_length=LONGEST,
        widget=forms.TextInput(
            attrs={"class": "is-code", "placeholder": "https://crm.example.com/push-events"}
        ),
        help_text="We POST JSON there. It answers 2xx within ten seconds, or we try again.",
    )
    events = forms.TypedMultipleChoiceField(
        label="Tell of",
        coerce=int,
        choices=[(event.value, text) for event, text in EXPLAINED.items()],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one: without any, nothing is told."},
    )

    def __init__(self, *args: Any, webhook: Webhook, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.webhook = webhook
        chosen = [event.value for event in EXPLAINED if webhook.events & event]
        self.initial = {"url": webhook.url, "events": chosen}

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            host, parts = "", urlsplit("")
        if parts.scheme not in ("http", "https") or not host or any(map(str.isspace, url)):
            raise forms.ValidationError("Write a whole address, such as https://crm.example.com/.")
        if _leads_inside(host):
            raise forms.ValidationError(
                "This address is inside our own network. An administrator can allow it in"
                " WEBHOOK_NETWORKS."
            )
        taken = Webhook.objects.filter(application=self.webhook.application_id, url=url)
        if taken.exclude(pk=self.webhook.pk).exists():
            raise forms.ValidationError("This address has a webhook already: change that one.")
        return url

    @property
    def mask(self) -> int:
        return sum(self.cleaned_data["events"])


def _leads_inside(host: str) -> bool:
    """Of an address that is no name; names are looked up whenever something is posted."""
    try:
        ip_address(host)
    except ValueError:
        return False
    networks = [ip_network(each) for each in settings.WEBHOOK_NETWORKS]
    return not outside.is_outside(host) and not outside.is_allowed(host, networks)
