"""What people do in an app."""

from django.db import models
from django.db.models import Q

from devices.models.applications import Application
from devices.models.people import Person
from devices.models.registrations import Registration


class Event(models.Model):
    """Something that happened on a device, as its app tells it. Kept, never changed.

    The table is parted by day of `at`, so that a rule about the last days reads those alone and
    old days are dropped whole; it has no foreign keys. The key is made of what is told, so that
    an app may tell it again.
    """

    class Kind(models.IntegerChoices):
        SESSION = 1, "Session"
        CUSTOM = 2, "Custom event"

    id = models.UUIDField(primary_key=True)  # together with `at`
    at = models.DateTimeField()
    application = models.ForeignKey(
        Application, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
    registration = models.ForeignKey(
        Registration, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
    person = models.ForeignKey(
        Person, null=True, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False,
        related_name="+",
    )  # whoever the device belonged to when it was told  # fmt: skip
    kind = models.SmallIntegerField(choices=Kind)
    name = models.CharField(max_length=255, default="", db_collation="C")
    properties = models.JSONField(default=dict)  # of a session: its seconds, once it has ended

    class Meta:
        indexes = [
            # rules: who did this, how often, in which days
            models.Index(
                fields=["application", "kind", "name", "at"],
                include=["registration"],
                name="event_by_name",
            ),
            # device page: what happened there, newest first
            models.Index(fields=["registration", "at"], name="event_of_registration"),
            # export and erasure of a person
            models.Index(
                fields=["person", "at"], condition=Q(person__isnull=False), name="event_of_person"
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.get_kind_display()
