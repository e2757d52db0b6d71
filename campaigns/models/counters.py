"""Figures of bulks, and receipts that wait to be counted."""

from django.db import models
from django.db.models.functions import Now

from campaigns.models.messages import Bulk, Medium, Message
from campaigns.models.reasons import Reason


class Counter(models.Model):
    """Events of a bulk in one minute; changed in the transaction that changes the rows.

    sent = accepted + failed + expired + unknown; delivered, seen and clicked count those
    among the accepted, in the minute they became known.
    """

    bulk = models.ForeignKey(
        Bulk, on_delete=models.CASCADE, related_name="counters", db_index=False
    )
    minute = models.DateTimeField()
    platform = models.SmallIntegerField(choices=Medium)
    variant = models.SmallIntegerField(default=0)
    sent = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)
    delivered = models.BigIntegerField(default=0)
    seen = models.BigIntegerField(default=0)
    clicked = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    expired = models.BigIntegerField(default=0)
    unknown = models.BigIntegerField(default=0)
    repeated = models.BigIntegerField(
        db_default=0, default=0
    )  # of the sent: may have arrived twice

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bulk", "minute", "platform", "variant"], name="one_counter_per_minute"
            ),
        ]
        indexes = [
            # reports of a period: each API send has a counter of its own, for as long as it is kept
            models.Index(fields=["minute"], name="counter_by_minute"),
        ]


class ReasonCounter(models.Model):
    """How many messages of a bulk have a reason; changed together with Counter."""

    bulk = models.ForeignKey(
        Bulk, on_delete=models.CASCADE, related_name="reason_counters", db_index=False
    )
    platform = models.SmallIntegerField(choices=Medium)
    reason = models.SmallIntegerField(choices=Reason)
    messages = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bulk", "platform", "reason"], name="one_counter_per_reason"
            ),
        ]


class EarlyReceipt(models.Model):
    """A receipt that came before the send's own commit; tried again for ten minutes."""

    message_id = models.UUIDField()
    application_id = models.BigIntegerField()
    registration_id = models.BigIntegerField(null=True)
    state = models.SmallIntegerField(choices=Message.State)
    at = models.DateTimeField()
    reason = models.SmallIntegerField(choices=Reason, default=Reason.NONE, db_default=0)
    answer = models.CharField(max_length=200, default="", db_default="")
    arrived_at = models.DateTimeField(db_default=Now(), db_index=True)
