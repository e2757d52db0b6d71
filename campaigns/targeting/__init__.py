"""Rule → database condition.

A rule is a tree: `{"all": [...]}`, `{"any": [...]}`, `{"not": rule}`, or a test
`{"field": str, "op": str, "value": ...}`. Everybody compiles the same tree here: the composer,
saved segments and the APIs.
"""

from campaigns.targeting.compiling import DEPTH, NODES, Compiled, compiled, expanded, to_q
from campaigns.targeting.fields import (
    ATTRIBUTE,
    EVENT,
    EVERYBODY,
    FIELDS,
    OPERATORS,
    PERSON_ATTRIBUTE,
    Rule,
)
from campaigns.targeting.wording import Piece, pieces, sentence

__all__ = [
    "ATTRIBUTE",
    "DEPTH",
    "EVENT",
    "EVERYBODY",
    "FIELDS",
    "NODES",
    "OPERATORS",
    "PERSON_ATTRIBUTE",
    "Compiled",
    "Piece",
    "Rule",
    "compiled",
    "expanded",
    "pieces",
    "sentence",
    "to_q",
]
