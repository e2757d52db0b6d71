"""How many a rule reaches, for pages that show it while somebody types."""

from functools import partial

from django.db import transaction

from campaigns import counting, tasks, waterfall
from campaigns.audience import AudienceSize
from campaigns.targeting import Rule
from campaigns.waterfall import Waterfall
from devices.models import Application


def size_of(
    application: Application, rule: Rule, *, primary_only: bool = False, exactly: bool = False
) -> AudienceSize:
    """The best answer at once. `exactly`: have an estimate replaced by whoever asks next."""
    size = counting.live(application, rule, primary_only=primary_only)
    if (
        exactly
        and not size.exact
        and counting.may_ask(application, rule, primary_only=primary_only)
    ):
        given = {"application_pk": application.pk, "rule": rule, "primary_only": primary_only}
        count = partial(tasks.count_audience.apply_async, kwargs=given, expires=30)
        transaction.on_commit(count, robust=True)
    return size


def waterfall_of(
    application: Application, rule: Rule, *, exactly: bool = False
) -> Waterfall | None:
    """A rule clause by clause, likewise. None where even an estimate takes too long."""
    found = waterfall.live(application, rule)
    exact = found is not None and found.exact
    if exactly and not exact and waterfall.may_ask(application, rule):
        given = {"application_pk": application.pk, "rule": rule}
        count = partial(tasks.count_clauses.apply_async, kwargs=given, expires=30)
        transaction.on_commit(count, robust=True)
    return found
