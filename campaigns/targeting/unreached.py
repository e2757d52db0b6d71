"""Devices that a bulk did not reach, for reasons that somebody chose.

A device may have it again only if nobody can have got it there: neither of the bulk itself,
nor of any other that was sent again to those whom the same first bulk did not reach. Where
the outcome is not known it may have arrived, and it takes a choice of its own.
"""

from typing import Any

from django.db.models import BigIntegerField, Exists, F, Func, OuterRef, Q

from campaigns.errors import RuleError
from campaigns.ids import id_range
from campaigns.models import Bulk, Chunk, Medium, Message, Reason
from campaigns.targeting import values
from campaigns.targeting.context import Context, Test
from campaigns.targeting.expressions import complement

# Reasons after which it may have arrived all the same, or be fetched by the app later.
UNSURE = frozenset(
    {
        Reason.WORKER_LOST,
        Reason.NO_ANSWER,
        Reason.NEVER_LEARNED,
        Reason.NOT_IN_TIME,
        Reason.WITHDRAWN,
        Reason.REPLACED,
        Reason.NO_TOKEN,
        Reason.PROVIDER_OFF,
    }
)
# It ended, no try of it was left in doubt, and no phone has said otherwise since.
ENDED = Q(state__gte=Message.State.FAILED, delivered_at=None)
CERTAIN = ENDED & Q(repeated=False) & ~Q(reason__in=sorted(UNSURE))
IN_DOUBT = (Q(state=Message.State.UNKNOWN) | ENDED) & ~CERTAIN


class _Rest(Func):
    """Recipients of a chunk that have no outcome yet."""

    template = "unnest(%(expressions)s + 1 :])"
    arg_joiner = "["
    output_field = BigIntegerField()


def unreached_test(context: Context, test: Test) -> Q:
    """{"bulk": its key, "reasons": numbers of Reason, "unsure": whether doubt is enough}."""
    told = test.value
    if not isinstance(told, dict) or set(told) != {"bulk", "reasons", "unsure"}:
        raise RuleError(test.place, "expected an object of bulk, reasons and unsure.")
    bulk = _bulk(context, told["bulk"], values.join(test.place, "bulk"))
    reasons = _reasons(told["reasons"], values.join(test.place, "reasons"))
    unsure = told["unsure"]
    if not isinstance(unsure, bool):
        raise RuleError(values.join(test.place, "unsure"), "expected true or false.")
    chosen = CERTAIN & Q(reason__in=reasons)
    if unsure:
        chosen |= IN_DOUBT
    harmless = CERTAIN | IN_DOUBT if unsure else CERTAIN
    linked = linked_to(bulk)
    ranges = Q(*(Q(pk__range=id_range(each)) for each in linked), _connector=Q.OR)
    may_have_it = Message.objects.filter(ranges, registration=OuterRef("pk")).exclude(harmless)
    on_the_way = (
        Chunk.objects.filter(bulk__in=[each.pk for each in linked], status=Chunk.Status.OPEN)
        .exclude(platform=Medium.SMS)
        .values_list(_Rest(F("recipients"), F("cursor")))
    )
    missed = Message.objects.of_bulk(bulk).filter(chosen).values("registration_id")
    return Q(pk__in=missed) & complement(Q(Exists(may_have_it))) & complement(Q(pk__in=on_the_way))


def linked_to(bulk: Bulk) -> list[Bulk]:
    """The first bulk, and every other that was sent again to those whom it did not reach."""
    first = first_of(bulk)
    again = Bulk.objects.filter(
        origin=Bulk.Origin.CAMPAIGN, campaign__resend_of=first, application=bulk.application_id
    )
    return [first, *again.only("pk", "starts_at").order_by("pk")]


def first_of(bulk: Bulk) -> Bulk:
    """The bulk that was sent first of those it is linked to; often itself."""
    first = bulk.campaign.resend_of if bulk.campaign is not None else None
    return bulk if first is None else first


def _bulk(context: Context, number: Any, place: str) -> Bulk:
    key = values.key(number, place, "a bulk")
    found = (
        Bulk.objects.filter(
            pk=key, application=context.application, origin=Bulk.Origin.CAMPAIGN, flow=None
        )
        .select_related("campaign__resend_of")
        .first()
    )
    if found is None:
        raise RuleError(place, f"this application sent no bulk {key} of one step.")
    return found


def _reasons(given: Any, place: str) -> list[int]:
    known = {int(reason) for reason in Reason if reason}
    if not isinstance(given, list) or any(
        isinstance(each, bool) or each not in known for each in given
    ):
        raise RuleError(place, "expected a list of reasons' numbers.")
    return [int(each) for each in given]
