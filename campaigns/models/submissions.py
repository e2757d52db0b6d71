"""What other systems ask us to send, to whom, and what they have not been told yet."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Left, Now

from campaigns.models.messages import Bulk
from devices.models import Application, Registration


class Rejection(models.IntegerChoices):
    """Why a destination gets nothing. In the order of the checks (contract/push.md 2.3)."""

    NONE = 0, "Accepted"
    NO_APPLICATION = 1, "No such application"
    DUPLICATE = 2, "The message id was used within 48 hours"
    TOO_SHORT = 3, "The time to live is under 30 seconds"
    BAD_RULE = 4, "The rule cannot be read"
    UNKNOWN_TOPIC = 5, "No such inbox topic"
    INCOMPLETE_BUTTON = 6, "The button's action is incomplete"
    TOO_LARGE = 7, "The message is too large"
    NOBODY = 8, "No device fits"
    NO_CONTENT = 9, "There is no text"


class Submission(models.Model):
    """One message as another system submitted it; its bulks send it."""

    bulk_id = models.CharField(max_length=100)  # public, shared by a request's messages
    application = models.ForeignKey(
        Application, null=True, on_delete=models.CASCADE, related_name="+"
    )  # NULL: nobody knows the sender
    sender = models.CharField(max_length=255)  # as it was written
    content = models.JSONField(default=dict)  # as it was written: type, title, text, url
    callback_data = models.CharField(max_length=4000, blank=True, default="")
    reference = models.CharField(max_length=255, blank=True, default="")  # of their campaign
    entity_id = models.CharField(max_length=255, blank=True, default="")
    platform_application_id = models.CharField(max_length=255, blank=True, default="")
    # Where reports go: {"url", "intermediate": bool, "content_type"}; {}: nowhere.
    webhook = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["bulk_id"], name="submission_of_bulk_id"),  # reports, logs
            # the same, of one of their campaigns
            models.Index(
                fields=["reference"], condition=~Q(reference=""), name="submission_of_reference"
            ),
        ]

    def __str__(self) -> str:
        return self.bulk_id


class Destination(models.Model):
    """One destination of an API request.

    Of a person with several devices there is one row for each of them, all with one public
    id. A rule has a bulk of its own. Messages of a row are those whose id lies in
    [message_from, message_to]: one id for one device, the whole bulk's for a rule.
    """

    submission = models.ForeignKey(
        Submission, null=True, on_delete=models.CASCADE, related_name="destinations"
    )
    bulk = models.ForeignKey(
        Bulk, null=True, on_delete=models.CASCADE, related_name="destinations"
    )  # NULL: rejected
    public_id = models.CharField(max_length=100, db_index=True)
    to = models.TextField(blank=True, default="")  # as the caller is answered
    asked = models.JSONField(default=dict)  # kind, value, primary_only: until it is resolved
    rejection = models.SmallIntegerField(choices=Rejection, default=Rejection.NONE)
    devices = models.IntegerField(default=0)  # device messages of the public id; 0: not known yet
    registration = models.ForeignKey(
        Registration, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    message_from = models.UUIDField(null=True)
    message_to = models.UUIDField(null=True)
    starts_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            # reports: what a caller calls a message
            models.Index(
                fields=["message_from"],
                condition=Q(message_from__isnull=False),
                name="destination_of_message",
            ),
            models.Index(fields=["-starts_at", "-id"], name="destination_newest"),  # logs
            # logs of what was rejected
            models.Index(
                fields=["-starts_at", "-id"],
                condition=Q(rejection__gt=0),
                name="destination_rejected",
            ),
            models.Index(Left("to", 64), name="destination_to"),  # logs of one recipient
        ]

    def __str__(self) -> str:
        return self.public_id


class Report(models.Model):
    """The end of a device message, for whoever submitted it; handed out once.

    Written with the outcome or receipt that ended the message, kept for 48 hours. Like the
    ledger it has no foreign key in the database.
    """

    message_id = models.UUIDField(unique=True)
    bulk = models.ForeignKey(
        Bulk, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    at = models.DateTimeField(db_default=Now(), db_index=True)
    taken_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # handing out, newest first
            models.Index(fields=["-id"], condition=Q(taken_at=None), name="report_not_taken"),
            # handing out those of one bulk
            models.Index(fields=["bulk", "-id"], condition=Q(taken_at=None), name="report_of_bulk"),
        ]

    def __str__(self) -> str:
        return str(self.message_id)


class UsedId(models.Model):
    """An id that a caller gave a message; it may not come again for 48 hours."""

    value = models.CharField(max_length=100, primary_key=True, db_collation="C")
    used_at = models.DateTimeField(db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return self.value
