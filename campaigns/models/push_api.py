"""Campaigns of other systems: what they send under one number belongs together."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from campaigns.models.messages import Bulk
from devices.models import Application, Person


class PushApiCampaign(models.Model):
    """What a caller of Insider's API sends with one `camp_id`; it shows its latest send."""

    camp_id = models.BigIntegerField(unique=True)
    name = models.CharField(max_length=255)
    title = models.CharField(max_length=255)
    message = models.CharField(max_length=4000)
    image_url = models.TextField(blank=True, default="")
    deep_link = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    last_sent_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(camp_id__gt=0), name="camp_id_is_positive"),
        ]
        indexes = [
            models.Index(fields=["created_at"], name="push_api_campaign_created"),  # statistics
            models.Index(fields=["-last_sent_at", "-id"], name="push_api_campaign_newest"),
        ]

    def __str__(self) -> str:
        return self.name


class PushApiSend(models.Model):
    """One push of such a campaign, to the last active device of one person.

    Like the ledger it has no foreign key to what is dropped with its day.
    """

    campaign = models.ForeignKey(
        PushApiCampaign, on_delete=models.CASCADE, related_name="sends", db_index=False
    )
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="+")
    bulk = models.ForeignKey(Bulk, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey(
        Person, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    message_id = models.UUIDField(unique=True)
    counted = models.BooleanField(default=False)  # against the cap of its application
    sent_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["campaign", "application"], name="push_api_send_of_campaign"),
            # message centre, frequency cap
            models.Index(
                fields=["person", "-sent_at"],
                condition=Q(person__isnull=False),
                name="push_api_send_of_person",
            ),
            models.Index(fields=["sent_at"], name="push_api_send_day"),  # dropped when too old
        ]

    def __str__(self) -> str:
        return str(self.message_id)
