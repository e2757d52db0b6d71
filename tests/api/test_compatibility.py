"""docs/compatibility.md tells of everything the APIs have, and names tests that exist."""

import ast
import re
from functools import cache

from tests.api.compatibility import NOTHING, PAGE, ROOT, Member, members, refusals, states

LINES = PAGE.read_text().splitlines()
HOW = "tests/api/compatibility.py says how docs/compatibility.md is written anew"


def listed() -> tuple[set[Member], set[tuple[str, int]], set[str]]:
    """Members, refusals and statuses of the page."""
    call, found, refused, known = "", set(), set(), set()
    for line in LINES:
        if line.startswith("## "):
            call = line.removeprefix("## ")
        elif row := re.fullmatch(r"\| `(\S+)` \| (sent|got) \| .* \|", line):
            found.add(Member(call, row[2], row[1]))
        elif row := re.fullmatch(r"\| ([^`|]+) \| (\d+) \| .* \|", line):
            refused.add((row[1], int(row[2])))
        elif row := re.fullmatch(r"\| (\d+ [A-Z_0-9]+) \| .* \|", line):
            known.add(row[1])
    return found, refused, known


def test_every_member_refusal_and_status_stands_on_the_page_and_no_other() -> None:
    found, refused, known = listed()

    assert found == set(members()), HOW
    assert refused == set(refusals()), HOW
    assert known == set(states()), HOW


@cache
def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    named = {test for line in LINES for test in re.findall(r"`(tests/\S+::\w+)`", line)}
    assert len(named) > 100

    for test in named:
        path, _, name = test.partition("::")
        assert (ROOT / path).exists(), (test, HOW)
        assert name in names_in(path), (test, HOW)


def test_everything_that_systems_and_apps_call_has_a_test() -> None:
    assert [line for line in LINES if line.endswith(f"| {NOTHING} |")] == []


PARTS = {
    "mobile-sdk": (
        "1.1 1.2 1.3 2 2.1 2.2 2.3 2.4 3.1 3.2 3.3 3.4 3.5 3.6 4.1 4.2 4.3 4.4 4.5 4.6 5 6 7"
    ),
    "people": "1 2 2.1 2.2 3 4 5 5.1 5.2 6 7 8",
    "push": "1.1 1.2 1.3 1.4 2.1 2.2 2.3 3.1 3.2 4 5 6 7 8 9 10 11 12 13",
    "omni": "1 1.1 1.2 1.3 1.4 2 2.1 2.2 2.3 3 4 5 6",
    "insider": "1 2.1 2.2 2.3 3 4 4.1 4.2 5 6 7 8 9 10",
}


def test_every_part_of_the_contracts_names_its_tests() -> None:
    told = re.findall(
        r"^\| (mobile-sdk|people|push|omni|insider) ([\d.]+) \| .* `tests/\S+::\w+` \|$",
        PAGE.read_text(),
        re.MULTILINE,
    )

    assert told == [(name, part) for name, parts in PARTS.items() for part in parts.split()]
