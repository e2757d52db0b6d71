"""What became of messages to a device, and who stands on a list."""

from datetime import timedelta

from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce

from campaigns.errors import RuleError
from campaigns.ids import id_range
from campaigns.models import Bulk, ListMember, Message, StaticList
from campaigns.targeting import values
from campaigns.targeting.context import Context, Test
from campaigns.targeting.expressions import NOBODY

State = Message.State
# How far a message came, and the columns that say when. A receipt can be lost: who tapped it
# received it.
STATES = {
    "sent": (State.ACCEPTED, State.DELIVERED, State.SEEN, State.CLICKED),
    "received": (State.DELIVERED, State.SEEN, State.CLICKED),
    "seen": (State.SEEN, State.CLICKED),
    "clicked": (State.CLICKED,),
}
TIMES = {
    "sent": ("sent_at",),
    "received": ("delivered_at", "seen_at", "clicked_at", "sent_at"),
    "seen": ("seen_at", "clicked_at", "sent_at"),
    "clicked": ("clicked_at", "sent_at"),
}


def behaviour_test(context: Context, test: Test) -> Q:
    """Of any message, or of one `campaign`'s."""
    how = test.field.column
    messages = Message.objects.filter(registration=OuterRef("pk"), state__in=STATES[how])
    if test.op == "within_days":
        since = context.now - timedelta(days=values.days(test.value, test.place))
        times = TIMES[how]
        moment = Coalesce(*times) if len(times) > 1 else F(times[0])
        messages = messages.annotate(moment=moment).filter(moment__gte=since)
    elif test.value is not None:
        raise RuleError(test.place, f"{test.op} takes no value.")
    if "campaign" in test.rule:
        place = values.join(test.path, "campaign")
        ranges = _ranges(context, values.key(test.rule["campaign"], place, "a campaign"), place)
        if not ranges:  # never launched: nobody has it
            return NOBODY
        messages = messages.filter(Q(*ranges, _connector=Q.OR))
    return Q(Exists(messages))


def _ranges(context: Context, campaign: int, place: str) -> list[Q]:
    """Where the messages of a campaign lie in the ledger: a few partitions of many."""
    if not context.application.campaigns.filter(pk=campaign).exists():
        raise RuleError(place, f"this application has no campaign {campaign}.")
    bulks = Bulk.objects.filter(campaign=campaign, application=context.application)
    return [Q(pk__range=id_range(bulk)) for bulk in bulks.only("pk", "starts_at")]


def list_test(context: Context, test: Test) -> Q:
    """A device stands on a list itself, or its person does."""
    number = values.key(test.value, test.place, "a list")
    if not StaticList.objects.filter(pk=number, application=context.application).exists():
        raise RuleError(test.place, f"this application has no list {number}.")
    members = ListMember.objects.filter(list_id=number)
    return Q(Exists(members.filter(registration=OuterRef("pk")))) | Q(
        Exists(members.filter(person=OuterRef("person_id")))
    )
