"""What came of each step of a flow, and what a step could reach and cost."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import OperationalError
from django.db.models import Count, F, Sum

from campaigns import boarding, counting, texting
from campaigns.merging import Lack
from campaigns.models import Bulk, Campaign, Journey, Stage
from campaigns.targeting import Rule
from campaigns.texting import Length

PATIENCE = 300  # milliseconds, while somebody composes
CHANNELS = {"PUSH": "Push", "SMS": "Text message"}


@dataclass(slots=True)
class StepFigures:
    """People whose journey came to a step, by what the step came to."""

    number: int  # from 1
    channel: str
    seconds: int
    running: int = 0
    delivered: int = 0  # or accepted, where that is enough
    failed: int = 0
    expired: int = 0
    cancelled: int = 0
    cost: dict[str, Decimal] = field(default_factory=dict)  # by currency

    @property
    def index(self) -> int:
        return self.number - 1

    @property
    def people(self) -> int:
        return self.running + self.delivered + self.failed + self.expired + self.cancelled


_COUNTED = {
    Journey.State.RUNNING: "running",
    Journey.State.DELIVERED: "delivered",
    Journey.State.ACCEPTED: "delivered",
    Journey.State.FAILED: "failed",
    Journey.State.EXPIRED: "expired",
    Journey.State.CANCELLED: "cancelled",
}


def names(bulk: Bulk) -> list[tuple[int, str]]:
    """The steps of a bulk's flow that have messages: their numbers from 0, and what to call them.

    None for a bulk of one step.
    """
    if bulk.flow is None:
        return []
    have = set(Bulk.objects.filter(flow=bulk.flow).values_list("step", flat=True))
    return [
        (number, f"{number + 1}. {CHANNELS.get(said['channel'], said['channel'])}")
        for number, said in enumerate(bulk.flow.steps)
        if number in have
    ]


def figures(bulk: Bulk) -> list[StepFigures]:
    """The steps of a bulk's flow, in order; none for a bulk of one step."""
    if bulk.flow is None:
        return []
    found = [
        StepFigures(number, CHANNELS.get(said["channel"], said["channel"]), said["validity"])
        for number, said in enumerate(bulk.flow.steps, start=1)
    ]
    journeys = Journey.objects.filter(flow=bulk.flow)
    stages = Stage.objects.filter(journey__flow=bulk.flow)
    for rows in (journeys, stages):
        counted = rows.values_list("step", "state", "currency").annotate(
            number=Count("pk"), price=Sum(F("parts") * F("price"))
        )
        for step, state, currency, number, price in counted.order_by("step", "state"):
            here = found[step]
            name = _COUNTED[Journey.State(state)]
            setattr(here, name, getattr(here, name) + number)
            if price:
                here.cost[currency] = here.cost.get(currency, Decimal(0)) + price
    return found


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom the text messages of a campaign could reach, and what that costs at most."""

    people: int | None  # None: too many to count while somebody waits
    length: Length  # SMS for each of them
    price: Decimal  # of one; 0: nobody has written it down
    cost: Decimal | None
    currency: str
    lacks: list[Lack]  # values that the text asks for; how many people have none


def reach(campaign: Campaign, rule: Rule) -> Reach | None:
    """If the campaign's scenario has a text message. Counts people with a phone number."""
    steps: list[Mapping[str, object]] = campaign.scenario.steps if campaign.scenario else []
    if not any(step["channel"] == "SMS" for step in steps):
        return None
    application = campaign.application
    people = None
    with suppress(OperationalError), counting.patience(PATIENCE):
        people = texting.numbers(application, rule).values("person").distinct().count()
    text = texting.text_of(campaign)
    price, currency = boarding.price_of(application.pk)
    length = texting.length(text, application, rule)
    cost = Decimal(price) * length.most * people if price and people is not None else None
    lacks = texting.lacks(text, application, rule)
    return Reach(people, length, Decimal(price), cost, currency, lacks)
