"""Devices of the team itself, to which drafts are sent to look at them."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from devices.models import Registration


class SavedDevice(models.Model):
    """A device that a member of the team sends tests to, remembered for the next time."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="+")
    saved_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "registration"], name="somebody_saves_a_device_once"
            ),
        ]
