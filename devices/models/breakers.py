"""Addresses that a cloud called dead, until it is clear that the cloud can be believed."""

from django.db import models
from django.db.models.functions import Now

from devices.models.applications import ProviderCredential
from devices.models.registrations import Address, Registration


class Breaker(models.Model):
    """What a cloud answered to one credential since the first dead address of a page.

    Wiping an audience by mistake is worse than a few wasted requests: dead addresses are
    collected over a page of answers and closed only where their share is believable.
    Source: contract/providers.md DROP-5.
    """

    credential = models.OneToOneField(
        ProviderCredential, primary_key=True, on_delete=models.CASCADE, related_name="breaker"
    )
    answers = models.PositiveIntegerField(default=0)
    gone = models.PositiveIntegerField(default=0)  # the app was removed
    mismatched = models.PositiveIntegerField(default=0)  # wrong sender, unknown token
    began_at = models.DateTimeField(null=True)  # the page's first dead address
    tripped_at = models.DateTimeField(null=True)  # sending is paused until a person decides

    class Meta:
        indexes = [
            # the timetable: pages that wait for their end
            models.Index(
                fields=["began_at"],
                condition=models.Q(began_at__isnull=False),
                name="breaker_open_page",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.gone + self.mismatched} of {self.answers} addresses"

    @property
    def dead(self) -> int:
        return self.gone + self.mismatched


class SuspectAddress(models.Model):
    """One address a cloud called dead, with the token it was sent to."""

    breaker = models.ForeignKey(Breaker, on_delete=models.CASCADE, related_name="suspects")
    registration = models.ForeignKey(
        Registration, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    token_digest = models.BinaryField(max_length=32)
    reason = models.CharField(max_length=16, choices=Address.Closed)
    answer = models.CharField(max_length=100, blank=True, default="")
    since = models.DateTimeField(null=True)  # when the token died, by the cloud
    told_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.registration_id}: {self.reason}"
