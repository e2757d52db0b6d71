"""Saved targeting rules, and what they said before."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from devices.models import Application


class Segment(models.Model):
    """A rule with a name. The rule is the tree that campaigns/targeting compiles."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="segments")
    name = models.CharField(max_length=100)
    rule = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1, db_default=1)  # rises with each change
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )  # nobody: another system made it
    # Nobody in it gets anything (campaigns/excluding.py).
    excludes = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "name"], name="segment_names_differ_in_an_application"
            ),
        ]
        indexes = [
            # every send: whom it leaves out
            models.Index(
                fields=["application"], condition=Q(excludes=True), name="segment_excluding"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("campaigns:segment", args=[self.application_id, self.pk])


class SegmentVersion(models.Model):
    """The rule of a segment as somebody saved it; the newest is the one that counts.

    A segment that was never changed, or not since versions are kept, may have none.
    """

    segment = models.ForeignKey(
        Segment, on_delete=models.CASCADE, related_name="versions", db_index=False
    )
    number = models.PositiveIntegerField()  # from 1
    rule = models.JSONField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )  # nobody: another system
    made_at = models.DateTimeField(db_default=Now())
    restored_from = models.PositiveIntegerField(null=True)  # number of the version it repeats

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "number"], name="a_segment_has_a_version_once"
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class SegmentDay(models.Model):
    """How many devices of a segment a push reached on a day, counted once (campaigns/trends.py)."""

    segment = models.ForeignKey(
        Segment, on_delete=models.CASCADE, related_name="days", db_index=False
    )
    day = models.DateField()  # UTC
    version = models.PositiveIntegerField()  # of the segment that was counted
    devices = models.PositiveIntegerField()
    error = models.PositiveIntegerField(default=0)  # of an estimate, at 95 %; 0 is exact

    class Meta:
        ordering = ["day"]
        constraints = [
            models.UniqueConstraint(fields=["segment", "day"], name="a_segment_has_a_day_once"),
        ]

    def __str__(self) -> str:
        return f"{self.devices} on {self.day}"
