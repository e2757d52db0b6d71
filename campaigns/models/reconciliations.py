"""Whether the counters say what the rows say."""

from django.db import models
from django.db.models.functions import Now


class Reconciliation(models.Model):
    """One comparison of all counters with the rows they count: how far it got, what differed."""

    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)  # NULL: somebody goes on after `after`
    since = models.DateTimeField()  # bulks that started before are not compared
    after = models.BigIntegerField(default=0)  # bulks up to this number are done
    bulks = models.PositiveBigIntegerField(default=0)  # compared so far
    differing = models.PositiveBigIntegerField(default=0)  # of these, counted otherwise than so
    repaired = models.PositiveBigIntegerField(default=0)  # of these, corrected: they agree now
    # The first of them: [{"bulk", "what", "counted", "found", "places", "repaired"}]
    differences = models.JSONField(default=list)

    class Meta:
        ordering = ["-pk"]

    @property
    def wrong(self) -> int:
        """Bulks whose counters still say otherwise than their rows."""
        return self.differing - self.repaired

    def __str__(self) -> str:
        return f"reconciliation of {self.started_at:%Y-%m-%d %H:%M}"
