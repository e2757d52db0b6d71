"""Who changed what."""

from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Lower, Now

from devices.models.applications import Application

_PAST = {"undo": "undid", "stop": "stopped", "withdraw": "withdrew", "send": "sent", "keep": "kept",
         "make": "made", "set": "set"}  # fmt: skip


class AuditEntry(models.Model):
    """One change, with the state before and after. Written once, never changed."""

    at = models.DateTimeField(db_default=Now())
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    actor_name = models.CharField(max_length=150)  # outlives the account
    action = models.CharField(max_length=64)  # verb and object: "launch campaign"
    application = models.ForeignKey(
        Application, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=64)
    object_name = models.CharField(max_length=250, blank=True, default="")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    address = models.GenericIPAddressField(null=True)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-at", "-pk"]
        indexes = [
            # the history on the page of an object
            models.Index(fields=["object_type", "object_id", "-at"], name="audit_of_object"),
            # erasure and export of a person: who they were before they were known
            models.Index(
                KeyTransform("merged_into", "after"),
                condition=Q(action="merge person"),
                name="audit_of_merge",
            ),
            # device base: what was deleted of late
            models.Index(
                fields=["at"], condition=Q(action="delete device"), name="audit_of_deletion"
            ),
            # the Audit page, by each way to search it; read backwards
            models.Index("at", "id", name="audit_newest"),
            models.Index("application", "at", "id", name="audit_of_application"),
            models.Index(Lower("actor_name"), "at", "id", name="audit_of_actor"),
            models.Index("action", "at", "id", name="audit_of_action"),
            models.Index(
                OpClass(Lower("object_name"), name="text_pattern_ops"), name="audit_of_name"
            ),
        ]

    @property
    def done(self) -> str:
        """The action as something that happened: "launched campaign"."""
        verb, _, rest = self.action.partition(" ")
        past = _PAST.get(verb) or (f"{verb}d" if verb.endswith("e") else f"{verb}ed")
        return f"{past} {rest}".rstrip()

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.action} {self.object_name}"
