"""Ordered channels, and what they are sent from."""

from django.db import models
from django.db.models import Q


class Scenario(models.Model):
    """Steps tried one after another until one delivers.

    `steps` is a list of {"channel": "PUSH" | "SMS" (other systems may keep others), "sender":
    the code of an application, or who the text is from, "validity": seconds,
    "accepted_is_enough": bool}; the last two may be missing.
    """

    key = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=100)
    steps = models.JSONField(default=list)
    default = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["default"], condition=Q(default=True), name="one_default_scenario"
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"Scenario {self.key[:8]}"


class SmsSender(models.Model):
    """A name or number that SMS may come from."""

    name = models.CharField(max_length=20, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class InboxTopic(models.Model):
    """A drawer of the in-app inbox. Case matters (contract/push.md 2.1)."""

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
