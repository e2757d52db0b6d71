"""A saved targeting rule."""

from django.db import models

from devices.models import Application


class Segment(models.Model):
    """A rule with a name. The rule is the tree that campaigns/targeting.py compiles."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="segments")
    name = models.CharField(max_length=100)
    rule = models.JSONField(default=dict)
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
