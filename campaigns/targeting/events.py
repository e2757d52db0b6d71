"""What people did in an app: how often, in which days, with which properties."""

from datetime import timedelta

from django.db.models import Count, Exists, OuterRef, Q

from campaigns.errors import RuleError
from campaigns.targeting import values
from campaigns.targeting.attributes import attribute_test
from campaigns.targeting.context import Context, Test
from campaigns.targeting.expressions import complement
from campaigns.targeting.fields import OPERATORS, OPPOSITE, SESSION, Field
from devices.models import Event

MOST = 1_000_000  # times
CONDITIONS = 20  # on properties of one event


def event_test(context: Context, test: Test) -> Q:
    """Whether a device did something `times` times or more, in the last days or ever.

    `where` holds conditions on the event's properties, like those on custom attributes; all
    of them hold for each event that counts.
    """
    events = Event.objects.filter(
        application=context.application, registration=OuterRef("pk"), **_what(test)
    )
    if test.op == "within_days":
        since = context.now - timedelta(days=values.days(test.value, test.place))
        events = events.filter(at__gte=since, at__lte=context.now)
    elif test.value is not None:
        raise RuleError(test.place, f"{test.op} takes no value.")
    for condition in _properties(context, test):
        events = events.filter(condition)
    place = values.join(test.path, "times")
    times = values.whole(
        test.rule.get("times", 1), place, least=1, most=MOST, what="a number of times"
    )
    if times > 1:
        often = events.order_by().values("registration").annotate(n=Count("pk"))
        return Q(Exists(often.filter(n__gte=times)))
    return Q(Exists(events))


def _what(test: Test) -> dict[str, object]:
    if test.field.column == SESSION:
        return {"kind": Event.Kind.SESSION}
    return {"kind": Event.Kind.CUSTOM, "name": test.field.column}


def _properties(context: Context, test: Test) -> list[Q]:
    given = test.rule.get("where", [])
    place = values.join(test.path, "where")
    if not isinstance(given, list) or len(given) > CONDITIONS:
        raise RuleError(place, f"expected a list of at most {CONDITIONS} conditions.")
    return [
        _property(context, condition, f"{place}[{number}]")
        for number, condition in enumerate(given)
    ]


def _property(context: Context, condition: object, path: str) -> Q:
    if not isinstance(condition, dict):
        raise RuleError(path, "expected an object with property, op and value.")
    name, op = condition.get("property"), condition.get("op", "is")
    if not isinstance(name, str) or not name or not values.storable(name):
        raise RuleError(values.join(path, "property"), "expected the name of a property.")
    if not isinstance(op, str) or op not in OPERATORS["property"]:
        fitting = ", ".join(OPERATORS["property"])
        raise RuleError(values.join(path, "op"), f"a property takes one of: {fitting}.")
    if extra := set(condition) - {"property", "op", "value"}:
        raise RuleError(path, f"a condition on a property has no {min(map(str, extra))[:60]!r}.")
    field = Field(name, name, "property")
    found = attribute_test(context, Test(field, OPPOSITE.get(op, op), condition, path))
    return complement(found) if op in OPPOSITE else found
