"""Mails to members of a team: who wants reports, and what is to be mailed."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from devices.models import Application


class ReportOrder(models.Model):
    """A member who is mailed the report of an application, period after period."""

    class Every(models.TextChoices):
        DAY = "day", "Every day"
        WEEK = "week", "Every week"
        MONTH = "month", "Every month"

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    every = models.CharField(max_length=5, choices=Every)
    told_until = models.DateField(null=True)  # the last day that was reported
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application", "user"], name="a_member_has_one_report_by_mail"
            ),
        ]

    def __str__(self) -> str:
        return f"report {self.pk}"


class Letter(models.Model):
    """A mail to one member, and how far it is. Its key is that of what it tells: once each."""

    class State(models.IntegerChoices):
        WAITING = 0, "To be mailed"
        SENT = 1, "Mailed"
        GIVEN_UP = 2, "Given up"

    key = models.CharField(max_length=100, unique=True)
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    order = models.ForeignKey(ReportOrder, null=True, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=200)
    body = models.TextField()
    file_name = models.CharField(max_length=100, blank=True, default="")
    file = models.TextField(blank=True, default="")  # CSV
    state = models.SmallIntegerField(choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True)
    problem = models.CharField(max_length=100, blank=True, default="")  # of the last try
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            # the timetable: what is to be mailed
            models.Index(
                fields=["due_at"], condition=models.Q(state=0), name="letter_to_be_mailed"
            ),
        ]

    def __str__(self) -> str:
        return self.key
