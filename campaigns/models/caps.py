"""The pushes that count against an application's frequency cap."""

from django.db import models

from campaigns.models.messages import Bulk
from devices.models import Application


class CapUse(models.Model):
    """One push that is promised to a device, or that it got.

    Written when an audience is frozen, in the transaction that counts: two campaigns that
    start at the same moment count each other's. What fails, expires or is cancelled is
    deleted, for nobody got it, also when a cloud says so only after it had accepted it. What
    is unknown stays: it may have been shown.
    """

    application = models.ForeignKey(Application, on_delete=models.CASCADE, db_index=False)
    bulk = models.ForeignKey(Bulk, on_delete=models.CASCADE, db_index=False)
    owner = models.BigIntegerField()  # the person; of an anonymous device its number, negative
    registration_id = models.BigIntegerField()
    at = models.DateTimeField()  # its turn

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bulk", "registration_id"], name="a_device_uses_a_cap_once_per_bulk"
            ),
        ]
        indexes = [
            # freezing: what somebody had of late
            models.Index(fields=["application", "owner", "at"], name="cap_use_of_owner"),
            models.Index(fields=["at"], name="cap_use_by_age"),  # forgetting
        ]
