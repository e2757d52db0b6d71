"""One installed app: what a rule can ask of it, and where a push must go."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Right, TruncDate

from devices.models.applications import Application, Environment, Provider
from devices.models.people import Person


class Platform(models.IntegerChoices):
    ANDROID = 1, "Android"
    IOS = 2, "iOS"
    HUAWEI = 3, "Huawei"
    WEB = 4, "Web"


class RegistrationQuerySet(models.QuerySet["Registration"]):
    def reachable(self) -> Self:
        """Devices a push can be shown on: enabled and consenting."""
        return self.filter(enabled=True, notifications_enabled=True)


class Registration(models.Model):
    """One installation of one application: what a rule can ask. Its token is in Address.

    Rows are narrow because every count and every audience scans them. Columns that phones
    touch often (last contact, token) live in Address, or each contact would undo the
    index-only scans (measured 8 to 12 times slower).
    """

    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="registrations", db_index=False
    )
    person = models.ForeignKey(
        Person, null=True, on_delete=models.SET_NULL, related_name="registrations", db_index=False
    )  # NULL: anonymous, nothing known yet
    app_version = models.BigIntegerField(default=0)  # sortable, see devices/versions.py; 0: unknown
    os_version = models.BigIntegerField(default=0)
    sdk_version = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    last_seen_day = models.DateField(db_default=TruncDate(Now()))  # moves at most once a day
    timezone_offset = models.SmallIntegerField(null=True, blank=True)  # minutes east of UTC
    platform = models.SmallIntegerField(choices=Platform)
    enabled = models.BooleanField(default=True)  # the app's or an administrator's switch
    notifications_enabled = models.BooleanField(default=True)  # the system's permission
    primary = models.BooleanField(default=False)
    secure = models.BooleanField(null=True, blank=True)
    geofencing = models.BooleanField(null=True, blank=True)
    language = models.CharField(max_length=35, default="", blank=True, db_collation="C")
    manufacturer = models.CharField(max_length=100, default="", blank=True, db_collation="C")
    model = models.CharField(max_length=100, default="", blank=True, db_collation="C")
    person_tags = ArrayField(models.CharField(max_length=256), default=list, blank=True)
    attributes = models.JSONField(default=dict, blank=True)

    objects = RegistrationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person", "application"],
                condition=Q(primary=True),
                name="one_primary_device_per_person",
            ),
        ]
        indexes = [
            # targeting and audiences: any mix of these by index-only scan
            models.Index(
                fields=["application", "platform", "language", "app_version"],
                include=["id", "timezone_offset"],
                condition=Q(enabled=True, notifications_enabled=True),
                name="registration_reachable",
            ),
            # device list of an application, newest first; freezing walks it in key order
            models.Index(fields=["application", "id"], name="registration_application"),
            # person page: the devices of a person
            models.Index(
                fields=["person"], condition=Q(person__isnull=False), name="registration_person"
            ),
            # rules on tags and on attribute equality
            GinIndex(fields=["person_tags"], name="registration_tags"),
            GinIndex(
                OpClass(F("attributes"), name="jsonb_path_ops"), name="registration_attributes"
            ),
            # rules on the day of registration
            BrinIndex(fields=["created_at"], pages_per_range=32, name="registration_created"),
        ]

    def __str__(self) -> str:
        return f"{self.get_platform_display()} {self.pk}"


class Address(models.Model):
    """Where a push for a registration goes. Only senders and the device API read it."""

    class Kind(models.TextChoices):
        TOKEN = "token", "Token"
        FID = "fid", "Firebase installation id"
        HARMONY = "harmony", "Token of HarmonyOS 5"

    class Closed(models.TextChoices):
        """Why an address may not be used any more (contract/providers.md 1.6)."""

        NOT = "", "Open"
        UNINSTALLED = "uninstalled", "The app was removed"
        MALFORMED = "malformed", "The cloud does not know this token"
        MISMATCHED = "mismatched", "The token belongs to another sender"
        REPLACED = "replaced", "The token moved to a newer registration"

    registration = models.OneToOneField(
        Registration, primary_key=True, on_delete=models.CASCADE, related_name="address"
    )
    application = models.ForeignKey(Application, on_delete=models.CASCADE, db_index=False)
    public_id = models.UUIDField(unique=True)  # what the world calls the registration id
    provider = models.CharField(max_length=16, choices=Provider, blank=True, default="")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.TOKEN)
    environment = models.CharField(
        max_length=16, choices=Environment, default=Environment.PRODUCTION
    )
    token = models.TextField(blank=True, default="", db_collation="C")
    token_digest = models.BinaryField(max_length=32, null=True)  # SHA-256; NULL: no token
    token_changed_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_reason = models.CharField(max_length=16, choices=Closed, blank=True, default="")
    closed_answer = models.CharField(max_length=100, blank=True, default="")  # the cloud's word
    app_version = models.CharField(max_length=64, blank=True, default="")
    os_version = models.CharField(max_length=64, blank=True, default="")
    sdk_version = models.CharField(max_length=64, blank=True, default="")
    device_name = models.CharField(max_length=100, blank=True, default="")
    # what the app itself calls whoever uses this installation; nobody is found by it
    application_user_id = models.CharField(max_length=255, blank=True, default="", db_default="")
    last_contact_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "addresses"
        indexes = [
            # device list: find a device by the end of its token
            models.Index(Right("token", 8), name="address_token_tail"),
            # device base: what was lost of late
            models.Index(
                fields=["closed_at"], condition=Q(closed_at__isnull=False), name="address_closed"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "token_digest"],
                name="a_token_belongs_to_one_registration",
            ),
            models.CheckConstraint(
                condition=Q(token="", token_digest__isnull=True)
                | (~Q(token="") & Q(token_digest__isnull=False)),
                name="a_token_has_its_digest",
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, closed_reason="")
                | (Q(closed_at__isnull=False) & ~Q(closed_reason="")),
                name="a_closed_address_says_why",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id)
