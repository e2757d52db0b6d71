"""A message that is tried step after step: where each recipient stands."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from campaigns.models.messages import Bulk
from campaigns.models.reasons import Reason
from devices.models import Person, Registration


class Flow(models.Model):
    """The steps of one launch or one request, as the scenario said them then.

    `steps` is a list of {"channel", "sender", "validity": seconds, "accepted_is_enough": bool,
    "primary_only": bool, "refused": Reason}. A step that can run has a bulk (and siblings, where
    one device is meant twice); one that is refused has none, and is passed over.
    """

    steps = models.JSONField(default=list)
    tells = models.PositiveSmallIntegerField(default=0, db_default=0)  # its request's: WebhookEvent
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"flow {self.pk}"


class Journey(models.Model):
    """One recipient's way through a flow: a person, a device of nobody, or a number.

    Only campaigns/failover.py moves it on, under the lock of its row. What it left behind is in
    Stage. Like the ledger it has no foreign keys to people and devices in the database.
    """

    class State(models.IntegerChoices):
        RUNNING = 0, "On its way"
        DELIVERED = 1, "Delivered"
        ACCEPTED = 2, "Accepted, which is enough here"
        FAILED = 3, "Failed"
        EXPIRED = 4, "Expired"
        CANCELLED = 5, "Cancelled"

    flow = models.ForeignKey(
        Flow, on_delete=models.CASCADE, related_name="journeys", db_index=False
    )
    person = models.ForeignKey(
        Person, null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
    registration = models.ForeignKey(
        Registration, null=True, on_delete=models.DO_NOTHING, db_constraint=False,
        db_index=False, related_name="+",
    )  # fmt: skip
    number = models.CharField(max_length=20, blank=True, default="", db_default="")  # digits
    step = models.SmallIntegerField(default=0)  # -1: it starts at its deadline
    state = models.SmallIntegerField(choices=State, default=State.RUNNING)
    reason = models.SmallIntegerField(choices=Reason, default=Reason.NONE, db_default=0)
    started_at = models.DateTimeField()  # its step
    deadline = models.DateTimeField()  # of its step
    ended_at = models.DateTimeField(null=True)
    parts = models.SmallIntegerField(default=0, db_default=0)  # of its SMS
    price = models.DecimalField(max_digits=10, decimal_places=5, default=0, db_default=0)
    currency = models.CharField(max_length=3, default="", db_default="")  # price of a part

    class Meta:
        indexes = [
            models.Index(fields=["flow", "step", "state"], name="journey_of_flow"),  # figures
            # the timetable: whose step is over
            models.Index(fields=["deadline"], condition=Q(state=0), name="journey_due"),
            # timeline of a person: their text messages
            models.Index(
                fields=["person"], condition=Q(person__isnull=False), name="journey_of_person"
            ),
        ]

    def __str__(self) -> str:
        return f"journey {self.pk}"


class Stage(models.Model):
    """A step that a journey has left behind, and what came of it."""

    journey = models.ForeignKey(
        Journey, on_delete=models.CASCADE, related_name="stages", db_index=False
    )
    step = models.SmallIntegerField()
    state = models.SmallIntegerField(choices=Journey.State)
    reason = models.SmallIntegerField(choices=Reason, default=Reason.NONE)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    parts = models.SmallIntegerField(default=0)
    price = models.DecimalField(max_digits=10, decimal_places=5, default=0)
    currency = models.CharField(max_length=3, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["journey", "step"], name="a_journey_leaves_a_step_once"
            ),
        ]

    def __str__(self) -> str:
        return f"step {self.step} of journey {self.journey_id}"


class Leg(models.Model):
    """Whose message is part of which journey: of a device, or of the journey itself (SMS)."""

    bulk = models.ForeignKey(Bulk, on_delete=models.CASCADE, related_name="+", db_index=False)
    recipient = models.BigIntegerField()  # as in the id of the message
    journey = models.ForeignKey(Journey, on_delete=models.CASCADE, related_name="legs")
    # What a text message with merge tags says to its recipient; "": what the bulk says.
    text = models.TextField(blank=True, default="", db_default="")

    class Meta:
        indexes = [
            # what is forgotten: texts that name somebody
            models.Index(fields=["bulk"], condition=~Q(text=""), name="leg_with_text"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["bulk", "recipient"], name="a_message_is_part_of_one_journey"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bulk_id}/{self.recipient}"


class JourneyNote(models.Model):
    """Something happened to a journey that nobody has looked at yet.

    Written in the transaction of what happened, deleted in the one that draws the
    consequences. Without keys in the database, so that neither ever waits for the other.
    """

    flow_id = models.BigIntegerField()
    journey_id = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["flow_id"], name="journey_note_of_flow")]

    def __str__(self) -> str:
        return f"note on journey {self.journey_id}"


class FlowDestination(models.Model):
    """One destination of a request of another system that goes through a flow."""

    class Rejection(models.IntegerChoices):
        NONE = 0, "Accepted"
        DUPLICATE = 1, "The message id was used within 48 hours"
        BAD_NUMBER = 2, "What is given as a phone number is none"

    journey = models.OneToOneField(
        Journey, null=True, on_delete=models.CASCADE, related_name="destination"
    )  # NULL: rejected
    bulk_id = models.CharField(max_length=100, blank=True, default="", db_index=True)  # public
    public_id = models.CharField(max_length=100, db_index=True)  # what callers call the message
    to = models.JSONField(default=dict)  # as it was given
    channel = models.CharField(max_length=16)  # of its first step
    rejection = models.SmallIntegerField(choices=Rejection, default=Rejection.NONE)
    # Where reports go: {"url", "intermediate": bool}; {}: nowhere.
    notify = models.JSONField(default=dict, blank=True)
    callback_data = models.CharField(max_length=4000, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), db_index=True)
    taken_at = models.DateTimeField(null=True)  # its report

    class Meta:
        indexes = [
            # reports that nobody has taken yet
            models.Index(
                fields=["id"], condition=Q(taken_at=None), name="flow_destination_not_taken"
            ),
        ]

    def __str__(self) -> str:
        return self.public_id
