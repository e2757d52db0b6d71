"""Who outside is told what has happened, and every try to tell them."""

from urllib.parse import urlsplit, urlunsplit

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from devices.fields import EncryptedJSONField
from devices.models import Application


class WebhookEvent(models.IntegerChoices):
    """What can be told: each is a bit of the masks `events` and `tells`."""

    ENDED = 1, "Delivery reports"
    ON_ITS_WAY = 2, "Handed to the cloud"
    SEEN = 4, "Seen"
    CLICKED = 8, "Tapped"
    INBOUND = 16, "Messages from devices"
    TEST = 32, "Test"


class Webhook(models.Model):
    """An address that is told of whatever happens in an application."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="+")
    url = models.CharField(max_length=2000)
    events = models.PositiveSmallIntegerField(default=WebhookEvent.ENDED)  # bits of WebhookEvent
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application", "url"], name="an_application_tells_an_address_once"
            ),
            models.CheckConstraint(
                condition=Q(events__gte=1, events__lte=31), name="webhook_tells_something"
            ),
        ]

    def __str__(self) -> str:
        return shown(self.url)

    @property
    def told(self) -> list[str]:
        return [event.label for event in WebhookEvent if self.events & event]


class WebhookSecret(models.Model):
    """What an application's webhooks are signed with. Shown once, when it is made."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="+")
    data = EncryptedJSONField()  # {"secret": base64}
    created_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField(null=True)  # replaced: from then on nothing is signed with it

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application"],
                condition=Q(ends_at=None),
                name="an_application_signs_with_one_secret",
            ),
        ]

    def __str__(self) -> str:
        return f"secret of {self.application}"


class WebhookTarget(models.Model):
    """An address without its query: how it has answered lately, whoever it was for."""

    url = models.TextField()
    digest = models.BinaryField(max_length=32, unique=True)  # SHA-256 of the url
    failures = models.PositiveIntegerField(default=0)  # in a row
    paused_until = models.DateTimeField(null=True)
    last_failure = models.CharField(max_length=200, blank=True, default="")
    failed_at = models.DateTimeField(null=True)
    worked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return shown(self.url)


class WebhookNote(models.Model):
    """Something has happened that somebody wants to hear of; not written up yet.

    Written in the transaction of what happened, deleted in the one that writes the delivery.
    Without keys in the database: the ledger never waits for it.
    """

    event = models.SmallIntegerField(choices=WebhookEvent)
    application_id = models.BigIntegerField(null=True)
    bulk_id = models.BigIntegerField(null=True)  # of a message
    message_id = models.UUIDField(null=True)
    destination_id = models.BigIntegerField(null=True)  # of a flow
    step = models.SmallIntegerField(null=True)
    inbound_id = models.BigIntegerField(null=True)
    webhook_id = models.BigIntegerField(null=True)  # that is tested

    def __str__(self) -> str:
        return f"note {self.pk}"


class WebhookDelivery(models.Model):
    """One body for one address, tried until it is taken. Its public id goes with each try."""

    class State(models.IntegerChoices):
        WAITING = 0, "Waiting"
        TAKEN = 1, "Taken"
        GIVEN_UP = 2, "Given up"

    public_id = models.UUIDField(unique=True)
    application = models.ForeignKey(
        Application, null=True, on_delete=models.CASCADE, related_name="+",
        db_index=False,
    )  # fmt: skip
    target = models.ForeignKey(
        WebhookTarget, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    url = models.TextField()
    event = models.SmallIntegerField(choices=WebhookEvent)
    body = models.TextField()  # JSON, as it is posted
    items = models.PositiveSmallIntegerField(default=1)  # in its results
    state = models.SmallIntegerField(choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)  # NULL: it is over
    lease_until = models.DateTimeField(null=True)  # somebody is at it
    ends_at = models.DateTimeField()  # not tried any more afterwards
    last_status = models.PositiveSmallIntegerField(default=0)  # 0: there was no answer
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        indexes = [
            # what is to be posted, by address
            models.Index(
                fields=["target", "due_at"], condition=Q(state=0), name="webhook_delivery_due"
            ),
            models.Index(fields=["application", "-id"], name="webhook_delivery_newest"),  # log
            # log: what has failed
            models.Index(
                fields=["application", "-id"], condition=Q(state=2), name="webhook_delivery_failed"
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id)

    @property
    def address(self) -> str:
        return shown(self.url)


class WebhookAttempt(models.Model):
    """One try of a delivery, and what was answered."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempts")
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(default=0)  # 0: there was no answer
    answer = models.CharField(max_length=1000, blank=True, default="")  # its beginning, masked
    problem = models.CharField(max_length=200, blank=True, default="")  # why there was none

    def __str__(self) -> str:
        return f"try of {self.delivery_id}"


def shown(url: str) -> str:
    """An address for people: without the password or token that it may hold."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "…" if parts.query else ""
    return urlunsplit((parts.scheme, host, parts.path, query, ""))
