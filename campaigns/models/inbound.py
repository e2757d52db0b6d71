"""What people write back from the app."""

from django.db import models
from django.db.models.functions import Now

from devices.models import Application, Registration


class Inbound(models.Model):
    """A message that an app sent to us; read once by push.md 12."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="+")
    registration = models.ForeignKey(
        Registration, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    message_id = models.CharField(max_length=100)  # the app's own
    destination = models.CharField(max_length=255, blank=True, default="")
    text = models.TextField()
    initial_message_id = models.CharField(max_length=100, blank=True, default="")
    bulk_id = models.CharField(max_length=100, blank=True, default="")
    custom_payload = models.JSONField(default=dict, blank=True)
    received_at = models.DateTimeField(db_default=Now())
    taken_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["registration", "message_id"], name="an_app_sends_a_message_once"
            ),
        ]
        indexes = [
            # push.md 12: what nobody has read yet, oldest first
            models.Index(
                fields=["id"], condition=models.Q(taken_at=None), name="inbound_not_taken"
            ),
        ]

    def __str__(self) -> str:
        return self.message_id
