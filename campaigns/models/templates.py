"""Words that are kept to be used again: whole contents by name, and short pieces of text."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse

from devices.models import Application

if TYPE_CHECKING:
    from campaigns.models.campaigns import Campaign


class ContentTemplate(models.Model):
    """What a campaign said, in all its languages and variants, to begin others with.

    `contents` are as CampaignVersion.draft keeps them. A campaign copies them: what becomes of
    the template later changes no campaign.
    """

    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="content_templates", db_index=False
    )
    name = models.CharField(max_length=100)
    contents = models.JSONField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    changed_at = models.DateTimeField(auto_now=True)
    campaigns: "models.Manager[Campaign]"

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "name"], name="template_names_differ_in_an_application"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("campaigns:template", args=[self.application_id, self.pk])


class Snippet(models.Model):
    """A short text with a name, to be put into titles and texts: a greeting, a legal line."""

    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="snippets", db_index=False
    )
    name = models.CharField(max_length=100)
    text = models.TextField(max_length=1000)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "name"], name="snippet_names_differ_in_an_application"
            ),
        ]

    def __str__(self) -> str:
        return self.name
