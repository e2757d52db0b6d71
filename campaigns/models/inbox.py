"""What an app shows in its inbox, long after the push itself has expired."""

from django.db import models
from django.db.models import Q

from campaigns.models.messages import Bulk
from devices.models import Person, Registration


class InboxMessage(models.Model):
    """The one copy of a message that a person has, whichever devices it went to.

    Written in the transaction that records its window. One for a device that belonged to nobody
    then has no person: it is in the inbox of whoever the device belongs to. Like the ledger it
    has no foreign keys in the database, so that recording never waits or fails for them.
    """

    person = models.ForeignKey(
        Person, null=True, on_delete=models.CASCADE, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
    registration = models.ForeignKey(
        Registration, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
    bulk = models.ForeignKey(
        Bulk, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    topic = models.CharField(max_length=100)
    language = models.CharField(max_length=35, default="", db_collation="C")  # at sending
    variant = models.SmallIntegerField(default=0)
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person", "bulk"],
                condition=Q(person__isnull=False),
                name="a_person_has_one_copy_of_a_message",
            ),
            models.UniqueConstraint(
                fields=["registration", "bulk"],
                condition=Q(person__isnull=True),
                name="a_device_of_nobody_has_one_copy_of_a_message",
            ),
        ]
