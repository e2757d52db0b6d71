"""A saved targeting rule."""

from django.conf import settings
from django.db import models
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
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "name"], name="segment_names_differ_in_an_application"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("campaigns:segment", args=[self.application_id, self.pk])
