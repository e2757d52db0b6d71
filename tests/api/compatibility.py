"""docs/compatibility.md: every member and answer of every call, with a test of it.

What stands there is what tests really sent and got. To write it anew:

    PUSHADMIN_RECORD=FOLDER python3 manage.py test tests/api -k "not hostile"
    python3 manage.py shell -c "from tests.api.compatibility import write; write('FOLDER')"
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from api.infobip import omni_statuses, sms_statuses, statuses
from api.infobip.statuses import Fault, Status
from api.openapi.document import calls, document, refusals_of
from api.openapi.rows import rows_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/compatibility.md"
NOTHING = "no test yet"
BEGINS = "\n# Calls\n"  # what stands before it is written by hand


class Member(NamedTuple):
    """A member of a call: where it is sent, or got."""

    call: str  # `POST /push/3/messages`
    way: str  # sent, got, null
    name: str  # `messages[].content.text`


def members() -> list[Member]:
    """Every member of the OpenAPI document, in its order."""
    told = document("")
    known = told["components"]["schemas"]
    found = []
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            call = f"{method.upper()} {path}"
            names = [
                each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
            ]
            for schema in _schemas([operation.get("requestBody", {})]):
                names += _names(schema, known)
            found += [Member(call, "sent", name) for name in dict.fromkeys(names)]
            successes = [
                at for status, at in operation["responses"].items() if status.startswith("2")
            ]
            got = [name for schema in _schemas(successes) for name in _names(schema, known)]
            found += [Member(call, "got", name) for name in dict.fromkeys(got)]
    return found


def _schemas(places: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for place in places:
        for media in place.get("content", {}).values():
            yield media["schema"]


def _names(schema: dict[str, Any], known: Mapping[str, Any]) -> list[str]:
    rows = rows_of(schema, known)
    return [f"{row.parents}{row.name}" for row in rows if not row.heading]


def refusals() -> list[tuple[str, int]]:
    """Every family with each status other than 2xx that the document tells of."""
    told = [
        (family.name, status) for family, call in calls() for status in refusals_of(family, call)
    ]
    return sorted(set(told))


def _families() -> dict[str, str]:
    """Which family a path is of: also a method that it does not know is refused in its words."""
    return {call.path: family.name for family, call in calls()}


def states() -> list[str]:
    """Every status and error that a message here can have."""
    told: list[Status | Fault] = [
        *statuses.FAULTS.values(), statuses.NO_ERROR, statuses.UNAVAILABLE, statuses.NO_APNS_LOGIN,
        statuses.ACCEPTED, statuses.ENROUTE, statuses.NOT_DELIVERED, statuses.DELIVERED,
        statuses.EXPIRED, statuses.NEVER_LEARNED, *statuses.REJECTED.values(),
        *(status for status, _ in omni_statuses.FAILED.values()), sms_statuses.NOT_SENT,
        *(status for status, _ in omni_statuses.REJECTED.values()),
        *(fault for _, fault in (*omni_statuses.FAILED.values(), *omni_statuses.REJECTED.values())),
        *sms_statuses.OF_NAME.values(), *sms_statuses.FAULT_OF_NAME.values(),
    ]  # fmt: skip
    return [f"{number} {name}" for number, name in sorted({(each.id, each.name) for each in told})]


# ------------------------------------------------------------------- writing


def write(folder: str) -> None:
    """Write the page, of what tests have written down in a folder."""
    tests: dict[object, dict[str, int]] = defaultdict(dict)  # what → test → how much is in it
    families = _families()
    for file in Path(folder).glob("*.jsonl"):
        for line in file.read_text().splitlines():
            told = json.loads(line)
            path = told["call"].partition(" ")[2]
            for what, weight in _seen(told, families.get(path, "")):
                tests[what][told["test"]] = min(weight, tests[what].get(told["test"], weight))
    head = PAGE.read_text().partition(BEGINS)[0]
    PAGE.write_text("\n".join([head + BEGINS.rstrip(), *_lines(tests)]) + "\n")


def _lines(tests: Mapping[object, Mapping[str, int]]) -> Iterator[str]:
    last = ""
    for member in members():
        if member.call != last:
            last = member.call
            yield f"\n## {member.call}\n\n| member | | test |\n| --- | --- | --- |"
        test = _best(tests.get(member))
        if test == NOTHING and (null := tests.get(member._replace(way="null"))):
            test = f"always `null`: {_best(null)}"
        yield f"| `{member.name}` | {member.way} | {test} |"
    yield "\n# Refusals\n\n| family | status | test |\n| --- | --- | --- |"
    for family, status in refusals():
        yield f"| {family} | {status} | {_best(tests.get((family, status)))} |"
    yield "\n# Statuses and errors of messages\n\n| status | test |\n| --- | --- |"
    for state in states():
        yield f"| {state} | {_best(tests.get(state))} |"


def _seen(told: Mapping[str, Any], family: str) -> Iterator[tuple[object, int]]:
    """What a call of a test is about, and how much else is in it."""
    call, status, size = told["call"], told["status"], len(told["sent"])
    for state in told["states"]:
        yield state, len(told["states"])
    if status >= 300:
        yield (family, status), size
        return
    for name in told["sent"]:
        yield Member(call, "sent", name), size
    for name in told["got"]:
        yield Member(call, "got", name), len(told["got"])
    for name in told["null"]:
        yield Member(call, "null", name), len(told["got"])


def _best(tests: Mapping[str, int] | None) -> str:
    """The test that is about little else."""
    if not tests:
        return NOTHING
    return f"`{min(tests, key=lambda each: (tests[each], each))}`"
