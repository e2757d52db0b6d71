"""Infobip's `$and` and `$or` as a rule (contract/push.md 3.2).

A leaf is an object; several members of one must all hold.
"""

from collections.abc import Iterator, Mapping, Sequence

from api.endpoint import Json
from campaigns.errors import RuleError
from campaigns.targeting import ATTRIBUTE, Rule, to_q
from devices import normalizing
from devices.models import Application, Platform

TEXTS = {
    "deviceManufacturer": "manufacturer",
    "deviceModel": "model",
    "osLanguage": "language",
    "externalUserId": "external_id",
    "phoneNumber": "phone",
    "email": "email",
    "pushRegistrationId": "registration_id",
}
VERSIONS = {
    "sdkVersion": "sdk_version",
    "osVersion": "os_version",
    "applicationVersion": "app_version",
}
FLAGS = {"deviceSecure": "secure", "notificationsEnabled": "notifications"}
# What people's API calls Android too (people.md 2): a phone of Huawei's runs its apps.
PLATFORMS = {
    "android": [Platform.ANDROID.label, Platform.HUAWEI.label],
    "ios": [Platform.IOS.label],
}

Leaf = Mapping[str, object]


def to_rule(
    application: Application, *, every: Sequence[Leaf] = (), some: Sequence[Leaf] = ()
) -> Rule:
    """The rule of a MULTIPLE destination: `every` is its `$and`, `some` its `$or`.

    Side by side, an attribute of both lists has its values of both as alternatives of one
    condition. Every other leaf of `$and` must hold, and of `$or`'s other leaves at least one:
    so `$and` iOS and personal with `$or` business is iOS and (personal or business), as the
    vendor's second example wants it.

    An alternative with several members stands beside the conditions it shares an attribute
    with. Raises RuleError with the path of the first fault.
    """
    if not every and not some:
        raise RuleError("$and", "expected $and or $or with at least one object.")
    conditions: dict[str, list[Rule]] = {}  # of each attribute of `$and`
    for name, test in (pair for leaf in _leaves(application, every, "$and") for pair in leaf):
        conditions.setdefault(name, []).append(test)
    if not some:
        return {"all": [test for tests in conditions.values() for test in tests]}
    groups = [{name} for name in conditions]
    shared: list[tuple[set[str], Rule]] = []  # alternatives of several members
    others: list[Rule] = []
    known: set[str] = set()  # attributes with alternatives of their own
    for pairs in _leaves(application, some, "$or"):
        names = {name for name, _ in pairs} & set(conditions)
        tests = [test for _, test in pairs]
        if not names:
            others.append({"all": tests})
            continue
        known |= names
        if len(pairs) == 1:
            conditions[pairs[0][0]].append(tests[0])
        else:
            shared.append((names, {"all": tests}))
            joined = set().union(*(group for group in groups if group & names))
            groups = [group for group in groups if not group & names] + [joined]
    members: list[Rule] = []
    for group in groups:
        own: list[Rule] = []
        for name in sorted(group):
            own += [{"any": conditions[name]}] if name in known else conditions[name]
        beside = [test for names, test in shared if names <= group]
        members.append({"any": [{"all": own}, *beside]} if beside else {"all": own})
    return {"all": [*members, {"any": others}] if others else members}


def _leaves(
    application: Application, leaves: Sequence[Leaf], list_name: str
) -> Iterator[list[tuple[str, Rule]]]:
    for number, leaf in enumerate(leaves):
        path = f"{list_name}[{number}]"
        if not isinstance(leaf, Mapping) or not leaf:
            raise RuleError(path, "expected an object with at least one attribute.")
        yield [
            (name, _test(application, name, value, f"{path}.{name[:60]}"))
            for name, value in leaf.items()
        ]


def _test(application: Application, name: str, value: object, path: str) -> Rule:
    try:
        test = _read(name, value)
        to_q(test, application)
    except RuleError as fault:
        raise RuleError(path, fault.problem) from fault
    return test


def _read(name: str, value: object) -> Json:
    if name == "platform":
        if not isinstance(value, str) or value.lower() not in PLATFORMS:
            raise RuleError(name, "expected Android or iOS.")
        return {"field": name, "op": "in", "value": PLATFORMS[value.lower()]}
    if name == "osLanguage" and isinstance(value, str):
        value = normalizing.language(value)
    if name in TEXTS:
        return {"field": TEXTS[name], "op": "is", "value": value}
    if name in VERSIONS:  # as it is written, not as it counts: 4.10 is not 4.10.0
        return {"field": VERSIONS[name], "op": "written", "value": value}
    if name in FLAGS:
        return {"field": FLAGS[name], "op": "is", "value": value}
    if name == "tags":
        return {"field": "tag", "op": "has", "value": value}
    return {"field": ATTRIBUTE + name, "op": "is", "value": value}
