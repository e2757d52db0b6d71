"""docs/targeting.md says what the compiler does."""

import json
import re
from pathlib import Path

import pytest

from campaigns.targeting import DEPTH, FIELDS, NODES, OPERATORS, to_q
from campaigns.targeting.values import VALUES
from tests.factories import make_application

PAGE = (Path(__file__).resolve().parents[2] / "docs/targeting.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
FIELDS_TABLE = PAGE.partition("| fields | operators | values |")[2].partition("\n\n")[0]


@pytest.mark.django_db
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_compiled(example: str) -> None:
    to_q(json.loads(example), make_application())


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


def test_every_field_and_operator_is_named() -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert set(FIELDS) <= set(re.findall(r"`([a-z_]+)`", FIELDS_TABLE))
    assert {op for operators in OPERATORS.values() for op in operators} <= named


def test_limits_are_those_of_the_compiler() -> None:
    words = " ".join(PAGE.split())
    assert f"at most {NODES:,} groups and conditions, {DEPTH} deep" in words
    assert f"at most {VALUES:,} values" in words
