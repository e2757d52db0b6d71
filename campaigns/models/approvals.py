"""What a second person said of a draft before it may be launched."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from campaigns.models.campaigns import Campaign


class Approval(models.Model):
    """Somebody asked for it, and somebody else decided. It holds for what the draft said then."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="approvals")
    digest = models.BinaryField(max_length=32)  # SHA-256 of all that would be launched
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_at = models.DateTimeField(db_default=Now())
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    approved = models.BooleanField(null=True)  # NULL: nobody has decided
    note = models.CharField(max_length=500, blank=True, default="")  # why it was sent back

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(approved=None, decided_at=None)
                | Q(approved__isnull=False, decided_at__isnull=False),
                name="a_decision_has_its_time",
            ),
        ]
