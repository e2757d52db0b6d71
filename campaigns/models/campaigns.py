"""What a marketer writes: content, audience, delivery."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from campaigns.models.scenarios import Scenario
from campaigns.models.segments import Segment
from devices.models import Application


class RepeatPolicy(models.TextChoices):
    """What may be sent again (contract/providers.md 10.4)."""

    NEVER = "never", "Never when it may have arrived"
    WHEN_REFUSED = "when_refused", "When the cloud refused it"
    WHEN_UNSURE = "when_unsure", "Also when the cloud did not answer"


class Campaign(models.Model):
    """A push as it is composed. Once launched it is frozen; its bulks tell the rest."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="campaigns")
    name = models.CharField(max_length=100)
    segment = models.ForeignKey(Segment, null=True, blank=True, on_delete=models.PROTECT)
    rule = models.JSONField(default=dict, blank=True)  # own rule, besides the segment
    primary_only = models.BooleanField(default=False)
    scenario = models.ForeignKey(Scenario, null=True, blank=True, on_delete=models.PROTECT)
    ttl = models.PositiveIntegerField(default=172_800)  # seconds
    repeat_policy = models.CharField(
        max_length=12, choices=RepeatPolicy, default=RepeatPolicy.WHEN_REFUSED
    )
    throttle = models.PositiveIntegerField(null=True, blank=True)  # messages a second
    # Who gets which variant (campaigns/variants.py): {"shares", "holdout"}; {}: all the first.
    split = models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)
    # When it goes out (campaigns/timing.py); {}: as soon as it is launched.
    timing = models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)
    # Whom it tries first (campaigns/canaries.py); {}: everybody at once.
    canary = models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)
    # Whether the rest of the audience gets the best variant (campaigns/winners.py); {}: no.
    winner = models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)
    # It goes again to devices that a bulk did not reach (campaigns/resending.py): the first bulk of
    # those that are linked so, and {"bulk", "reasons", "unsure"}.
    resend_of = models.ForeignKey(
        "campaigns.Bulk", null=True, blank=True, on_delete=models.CASCADE, related_name="resends"
    )
    resend = models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)
    # What it was begun with, or was given last; the campaign has a copy of its contents.
    template = models.ForeignKey(
        "campaigns.ContentTemplate",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="campaigns",
    )
    transactional = models.BooleanField(db_default=False, default=False)  # no cap, no quiet hours
    version = models.PositiveIntegerField(default=1)  # rises with each save of the draft
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    launched_at = models.DateTimeField(null=True)
    launched_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    archived_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ttl__gte=30, ttl__lte=259_200),
                name="campaign_ttl_is_30_seconds_to_72_hours",
            ),
            models.CheckConstraint(
                condition=Q(resend_of=None, resend={}) | Q(resend_of__isnull=False),
                name="who_is_sent_it_again_is_of_a_bulk",
            ),
            models.CheckConstraint(
                condition=Q(throttle=None) | Q(throttle__gte=1), name="campaign_throttle_is_a_rate"
            ),
        ]
        indexes = [
            # campaign list of an application, newest first
            models.Index(fields=["application", "-id"], name="campaign_of_application"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_draft(self) -> bool:
        return self.launched_at is None

    def get_absolute_url(self) -> str:
        name = "campaigns:edit" if self.is_draft else "campaigns:detail"
        return reverse(name, args=[self.application_id, self.pk])


class CampaignContent(models.Model):
    """What a campaign says in one language and variant. Language "" is the default."""

    class OnTap(models.TextChoices):
        APP = "app", "Open the app"
        DEEP_LINK = "deep_link", "Open a screen of the app"
        BROWSER = "browser", "Open a web page"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="contents")
    language = models.CharField(max_length=35, blank=True, default="")
    variant = models.PositiveSmallIntegerField(default=0)
    title = models.CharField(max_length=200, blank=True, default="")
    text = models.TextField(max_length=4000, blank=True, default="")
    image_url = models.URLField(max_length=2000, blank=True, default="")
    on_tap = models.CharField(max_length=16, choices=OnTap, default=OnTap.APP)
    target = models.CharField(max_length=2000, blank=True, default="")  # address opened on tap
    options = models.JSONField(default=dict, blank=True)  # other fields of PushNotification

    class Meta:
        ordering = ["language", "variant"]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "language", "variant"],
                name="one_content_per_language_and_variant",
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        """The content as a bulk keeps it, in the words of providers.base.PushNotification."""
        content: dict[str, Any] = dict(self.options)
        content |= {"title": self.title, "text": self.text, "image_url": self.image_url}
        if self.on_tap == self.OnTap.DEEP_LINK:
            content["deep_link"] = self.target
        elif self.on_tap == self.OnTap.BROWSER:
            content["browser_url"] = self.target
        return content


class CampaignVersion(models.Model):
    """A draft as it once was, with all its contents: what can be restored."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()  # Campaign.version while it stood so
    draft = models.JSONField()  # columns of the campaign, and "contents"
    saved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    began_at = models.DateTimeField(db_default=Now())  # what is typed in one go is one version
    saved_at = models.DateTimeField()
    restored_from = models.PositiveIntegerField(null=True)  # number of the version it repeats
    # name of the template whose contents it took over
    template = models.CharField(max_length=100, blank=True, default="", db_default="")

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "number"], name="a_campaign_keeps_a_version_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign}, version {self.number}"
