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


APPS = ("/mobile", "/people", "/sdk", "/callbacks/huawei")


def test_everything_that_systems_call_has_a_test() -> None:
    call, without = "", []
    for line in LINES:
        if line.startswith("#"):
            call = line
        elif line.endswith(f"| {NOTHING} |") and not any(f" {path}" in call for path in APPS):
            without.append((call, line))

    families = {line.split(" | ")[0] for call, line in without if call == "# Refusals"}
    assert families <= {"| Callbacks of Huawei", "| Receipts and browsers", "| People: persons"}
    assert [row for row in without if row[0] != "# Refusals"] == []
