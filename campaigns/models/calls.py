"""Calls of other systems that may be repeated without being done again."""

from django.db import models
from django.db.models.functions import Now


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
