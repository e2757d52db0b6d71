"""How many devices there were, day by day."""

from django.db import models

from devices.models.applications import Application
from devices.models.registrations import Platform


class BaseDay(models.Model):
    """An application's devices of a platform at the end of a day, or just now (UTC).

    Written by the timetable (devices/device_base.py); pages read it instead of the devices.
    """

    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="base_days", db_index=False
    )
    day = models.DateField()
    platform = models.SmallIntegerField(choices=Platform)
    devices = models.PositiveBigIntegerField(default=0)
    switched_on = models.PositiveBigIntegerField(default=0)
    reachable = models.PositiveBigIntegerField(default=0)  # and whose user allows notifications
    active = models.PositiveBigIntegerField(default=0)  # switched on, and seen within 30 days
    new = models.PositiveBigIntegerField(default=0)  # registered that day
    lost = models.PositiveBigIntegerField(default=0)  # closed by a cloud or deleted that day
    measured = models.BooleanField(default=True)  # False: worked out later from what was left
    counted_at = models.DateTimeField()

    class Meta:
        constraints = [
            # pages: the last days of an application
            models.UniqueConstraint(
                fields=["application", "day", "platform"], name="a_day_is_counted_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.get_platform_display()}"
