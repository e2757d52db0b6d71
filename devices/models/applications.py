"""A mobile app, and how the clouds that reach it are spoken to."""

import secrets
import uuid
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from devices.fields import EncryptedJSONField

ENDS_SOON = timedelta(days=30)  # then people are told that a certificate ends


def make_code() -> str:
    """A fresh application code: 32 hex digits, a dash, a UUID (contract/push.md 0)."""
    return f"{secrets.token_hex(16)}-{uuid.uuid4()}"


def make_application_id() -> str:
    """A fresh application id: 32 upper-case hex digits (contract/push.md 0)."""
    return secrets.token_hex(16).upper()


class ApplicationQuerySet(models.QuerySet["Application"]):
    def of_user(self, user_id: int, *, everything: bool = False) -> Self:
        """Applications a person is a member of; all of them for an administrator of the house."""
        return self if everything else self.filter(memberships__user_id=user_id)


class Application(models.Model):
    """A mobile app. Its users' devices are registrations."""

    class Display(models.TextChoices):
        SYSTEM = "system", "Android draws it"
        SDK = "sdk", "The app's SDK draws it"

    class Sdk(models.TextChoices):
        INFOBIP = "infobip", "Infobip Mobile Messaging SDK"
        OWN = "own", "Own receiver"

    name = models.CharField(max_length=100, unique=True)
    code = models.CharField(max_length=80, unique=True, default=make_code, editable=False)
    application_id = models.CharField(
        max_length=32, unique=True, default=make_application_id, editable=False
    )
    description = models.CharField(max_length=250, blank=True, default="")
    enabled = models.BooleanField(default=True)
    sdk = models.CharField(max_length=16, choices=Sdk, default=Sdk.INFOBIP)
    android_display = models.CharField(max_length=16, choices=Display, default=Display.SDK)
    default_ttl = models.PositiveIntegerField(default=172_800)  # seconds
    cap_count = models.PositiveSmallIntegerField(null=True, blank=True)  # pushes per person …
    cap_hours = models.PositiveSmallIntegerField(null=True, blank=True)  # … in so many hours
    rate = models.PositiveIntegerField(null=True, blank=True)  # messages a second, at most
    quiet_from = models.TimeField(null=True, blank=True)  # in the recipient's time
    quiet_to = models.TimeField(null=True, blank=True)
    # Where a device is taken to be that does not say it; recurring campaigns and the calendar.
    default_zone = models.CharField(max_length=64, default="UTC", db_default="UTC")
    needs_approval = models.BooleanField(default=False, db_default=False)  # by a second person
    user_data_from_apps = models.BooleanField(default=True, db_default=True)
    secure_inbox = models.BooleanField(default=False, db_default=False)  # user tokens alone open it
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ApplicationQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(default_ttl__gte=30, default_ttl__lte=259_200),
                name="application_ttl_is_30_seconds_to_72_hours",
            ),
            models.CheckConstraint(
                condition=Q(cap_count=None, cap_hours=None)
                | Q(cap_count__gte=1, cap_hours__gte=1, cap_count__isnull=False),
                name="application_cap_has_count_and_hours",
            ),
            models.CheckConstraint(
                condition=Q(rate=None) | Q(rate__gte=1), name="application_rate_is_a_rate"
            ),
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_to=None)
                | Q(quiet_from__isnull=False, quiet_to__isnull=False),
                name="application_quiet_hours_have_both_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Provider(models.TextChoices):
    """What carries a message. NONE: the app fetches its messages itself."""

    NONE = "", "None"
    FCM = "fcm", "Firebase Cloud Messaging"
    APNS = "apns", "Apple Push Notification service"
    HMS = "hms", "Huawei Push Kit"
    WEBPUSH = "webpush", "Web Push"
    SMS = "sms", "SMS gateway"


class Environment(models.TextChoices):
    """Which of Apple's two worlds a token belongs to; everybody else knows only production."""

    PRODUCTION = "production", "Production"
    SANDBOX = "sandbox", "Sandbox"


class ProviderCredential(models.Model):
    """How one application proves to one cloud who it is. The secret is never shown again."""

    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="credentials"
    )
    provider = models.CharField(max_length=16, choices=Provider)
    environment = models.CharField(
        max_length=16, choices=Environment, default=Environment.PRODUCTION
    )
    data = EncryptedJSONField()
    rate = models.PositiveIntegerField(null=True, blank=True)  # messages a second; NULL: usual
    hint = models.CharField(max_length=200)  # what may be shown: project, key id's last four
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1)  # rises with each change: connections follow
    ends_at = models.DateTimeField(null=True, editable=False)  # a certificate's; keys do not end
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    tested_at = models.DateTimeField(null=True, editable=False)
    test_ok = models.BooleanField(null=True, editable=False)
    test_answer = models.CharField(max_length=500, blank=True, default="", editable=False)
    # Sending stops for everybody while the cloud refuses our credential.
    paused_at = models.DateTimeField(null=True, editable=False)
    pause_reason = models.CharField(max_length=500, blank=True, default="", editable=False)

    class Meta:
        ordering = ["provider", "environment"]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "provider", "environment"],
                name="one_credential_per_application_provider_and_environment",
            ),
            models.CheckConstraint(
                condition=Q(rate=None) | Q(rate__gte=1), name="credential_rate_is_a_rate"
            ),
            models.CheckConstraint(condition=~Q(provider=""), name="credential_names_its_provider"),
        ]

    def __str__(self) -> str:
        return f"{self.get_provider_display()} of {self.application}"

    @property
    def days_left(self) -> int | None:
        """Whole days until it ends, 0 afterwards; None while that is far away."""
        if self.ends_at is None or self.ends_at - timezone.now() > ENDS_SOON:
            return None
        return max(0, (self.ends_at - timezone.now()).days)

    @property
    def waits_for_a_decision(self) -> bool:
        """Whether so many addresses were called dead at once that a person must look."""
        breaker = getattr(self, "breaker", None)
        return breaker is not None and breaker.tripped_at is not None
