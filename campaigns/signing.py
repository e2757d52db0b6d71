"""Signatures of webhooks, as the Standard Webhooks specification has them.

The header `webhook-signature` holds one `v1,` and base64 of HMAC-SHA256 for each secret that
is valid, over id, timestamp and body with dots between them.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from campaigns.models import WebhookSecret
from devices import audit
from devices.models import Application

PREFIX = "whsec_"
SIZE = 32  # bytes of a secret
GRACE = timedelta(days=1)  # that a replaced secret signs beside the new one


@transaction.atomic
def make_secret(actor: User, application: Application, request: HttpRequest | None = None) -> str:
    """A fresh secret, for the only time; the one before it signs for another day."""
    now = timezone.now()
    Application.objects.select_for_update(no_key=True).get(pk=application.pk)
    older = WebhookSecret.objects.filter(application=application, ends_at=None)
    replaced = older.update(ends_at=now + GRACE)
    secret = secrets.token_bytes(SIZE)
    encoded = base64.b64encode(secret).decode()
    row = WebhookSecret.objects.create(application=application, data={"secret": encoded})
    action = "replace webhook secret" if replaced else "make webhook secret"
    audit.record(actor, action, row, application=application, request=request)
    return PREFIX + encoded


def secrets_of(application_id: int | None, now: datetime) -> list[bytes]:
    """What an application signs with now, the newest first."""
    if application_id is None:
        return []
    lasts = Q(ends_at=None) | Q(ends_at__gt=now)
    valid = WebhookSecret.objects.filter(lasts, application_id=application_id).order_by("-pk")
    return [base64.b64decode(row.data["secret"]) for row in valid]


def headers(known: list[bytes], identifier: str, at: datetime, body: bytes) -> dict[str, str]:
    """What goes with a body; an application without a secret does not sign."""
    timestamp = str(int(at.timestamp()))
    told = {"webhook-id": identifier, "webhook-timestamp": timestamp}
    if known:
        content = f"{identifier}.{timestamp}.".encode() + body
        signed = (hmac.digest(secret, content, hashlib.sha256) for secret in known)
        told["webhook-signature"] = " ".join(
            f"v1,{base64.b64encode(each).decode()}" for each in signed
        )
    return told
