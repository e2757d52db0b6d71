"""A CSV file on its way into devices and people, or onto a list."""

from django.conf import settings
from django.db import models

from devices.models.applications import Application


class ImportRun(models.Model):
    """One file: how far it got, what it changed, what it refused."""

    class Status(models.TextChoices):
        REVIEW = "review", "To be looked at"  # nobody has started it yet
        CHECKED = "checked", "Checked"  # a dry run told what it would do
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Stopped"

    class Purpose(models.TextChoices):
        DEVICES = "devices", "Devices and people"
        PEOPLE = "people", "People"
        LIST = "list", "Members of a list"  # campaigns/listing_files.py

    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="import_runs"
    )
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    purpose = models.CharField(
        max_length=7, choices=Purpose, default=Purpose.DEVICES, db_default=Purpose.DEVICES
    )
    filename = models.CharField(max_length=250)
    size = models.PositiveBigIntegerField(default=0)  # bytes
    bytes_read = models.PositiveBigIntegerField(default=0)
    columns = models.JSONField(default=list)  # header as read, and what each became
    # What each column should become, where somebody said so (devices/csv_rows.py); []: by its name.
    mapping = models.JSONField(db_default=models.Value([], models.JSONField()), default=list)
    dry = models.BooleanField(db_default=False, default=False)  # tells what it would do
    status = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    rows = models.PositiveBigIntegerField(default=0)
    created = models.PositiveBigIntegerField(default=0)
    updated = models.PositiveBigIntegerField(default=0)
    refused = models.PositiveBigIntegerField(default=0)
    error = models.TextField(blank=True, default="")  # why it stopped, and the fix
    lease_until = models.DateTimeField(null=True)
    starts = models.PositiveSmallIntegerField(db_default=0, default=0)  # since it last got on
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.filename


class ImportPiece(models.Model):
    """A slice of an uploaded file, kept until the import ends: no shared disk is needed."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="pieces")
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="import_pieces_are_in_order"),
        ]


class ImportRefusal(models.Model):
    """A row that was left out, and what must be mended in it."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="refusals")
    line = models.PositiveBigIntegerField()  # counted from 1, the header is line 1
    column = models.CharField(max_length=256, blank=True, default="")
    reason = models.CharField(max_length=500)
    row = models.JSONField(default=list)  # the cells as they were read

    class Meta:
        ordering = ["line", "pk"]
