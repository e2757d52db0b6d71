"""Who may do what: members of the team, and the keys of other systems."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from devices.models.applications import Application


class Role(models.TextChoices):
    ADMINISTRATOR = "administrator", "Administrator"
    MARKETER = "marketer", "Marketer"
    APPROVER = "approver", "Approver"
    SUPPORT = "support", "Support"
    ANALYST = "analyst", "Analyst"
    DEVELOPER = "developer", "Developer"


class Membership(models.Model):
    """What somebody is in one application. Rights follow from the role: devices/permissions.py."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=16, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "application"], name="one_role_per_person_and_application"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_role_display()} of {self.application}"


class Invitation(models.Model):
    """A link by which somebody joins the team. Only the SHA-256 of its secret is kept."""

    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="invitations"
    )
    role = models.CharField(max_length=16, choices=Role)
    email = models.EmailField(blank=True, default="")  # whom it was mailed to; empty: handed over
    digest = models.BinaryField(max_length=32, unique=True)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)  # accepted or withdrawn

    def __str__(self) -> str:
        return f"{self.get_role_display()} of {self.application}"


class ApiKey(models.Model):
    """A key of another system. Only its SHA-256 is kept; the prefix tells keys apart."""

    class Family(models.TextChoices):
        INFOBIP = "infobip", "Infobip APIs"
        INSIDER = "insider", "Insider push API"

    name = models.CharField(max_length=100)
    family = models.CharField(max_length=8, choices=Family, default=Family.INFOBIP)
    prefix = models.CharField(max_length=12)
    digest = models.BinaryField(max_length=32, unique=True)
    scopes = ArrayField(models.CharField(max_length=64), default=list)
    addresses = ArrayField(models.CharField(max_length=43), default=list, blank=True)  # empty: any
    application = models.ForeignKey(
        Application, null=True, blank=True, on_delete=models.CASCADE, related_name="api_keys"
    )  # NULL: all of them; only Insider's keys can be kept to one
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class ApiUser(models.Model):
    """A name and password for Basic authorization; never a member of staff."""

    username = models.CharField(max_length=150, unique=True)
    password = models.CharField(max_length=128)  # Django's hash
    scopes = ArrayField(models.CharField(max_length=64), default=list)
    enabled = models.BooleanField(default=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(username__contains=":"), name="api_username_holds_no_colon"
            ),
        ]

    def __str__(self) -> str:
        return self.username
