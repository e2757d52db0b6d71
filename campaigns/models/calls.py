"""Calls of other systems that may be repeated without being done again."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from devices.models import Application


class ApiCall(models.Model):
    """The first answer to a call with a key of its caller's; repeats get it again."""

    caller = models.CharField(max_length=255)
    key = models.CharField(max_length=255, db_collation="C")  # the header Idempotency-Key
    request_digest = models.BinaryField(max_length=32)  # SHA-256 of path and body
    answer = models.TextField(blank=True, default="")  # JSON; "" while it is being made
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["caller", "key"], name="a_caller_uses_a_key_for_one_call"
            ),
        ]

    def __str__(self) -> str:
        return self.key


class RecordedCall(models.Model):
    """A call of another system as it came and was answered, without secrets.

    The newest of each application are kept, and as many of those that belong to none; of other
    systems so many, and of phones.
    """

    application = models.ForeignKey(
        Application, null=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )  # NULL: of the whole account, or of nobody
    at = models.DateTimeField()
    caller = models.CharField(max_length=255, blank=True, default="")  # name of a key or user
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=500)  # with its query, masked
    status = models.PositiveSmallIntegerField()
    milliseconds = models.PositiveIntegerField()
    request_id = models.CharField(max_length=36, blank=True, default="")
    body = models.TextField(blank=True, default="")  # its beginning, masked
    answer = models.TextField(blank=True, default="")
    names = ArrayField(models.CharField(max_length=100), default=list)  # ids of bulks, messages

    class Meta:
        indexes = [models.Index(fields=["application", "-id"], name="recorded_call_newest")]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
