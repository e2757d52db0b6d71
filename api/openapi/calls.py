"""How a call is described: what goes in, what comes out, who may.

The files beside this one describe the calls of one family each. What goes in is read from the
models that read it, so that it cannot differ; tests compare every answer with what stands here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from api.endpoint import Json

# A JSON schema in which a model may stand for its own: `{"$model": Model}`.
Shape: TypeAlias = dict[str, Any]
Words: TypeAlias = Mapping[type[BaseModel], Mapping[str, str]]  # what members mean
MODEL = "$model"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the query, or a header."""

    name: str
    says: str
    shape: Shape
    where: Literal["query", "header", "path"] = "query"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One method of one path."""

    method: str
    path: str  # `/push/1/applications/{applicationCode}`
    title: str
    says: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Shape | None = None
    body_is_needed: bool = True
    body_type: str = JSON
    status: int = 200
    answer: Shape | None = None  # None: the answer is empty
    also: Mapping[int, Shape | None] = field(default_factory=dict)  # other answers of success
    replays: bool = False  # takes an Idempotency-Key
    public: bool = False  # anybody may call: its address is the secret
    refusals: tuple[int, ...] = ()  # beyond those of its family
    plain: tuple[int, ...] = ()  # refusals that are, or may be, plain text
    scopes: tuple[str, ...] = ()  # one of them opens it
    example: Any = None
    answer_example: Any = None
    limit: str = ""  # how often it may be called


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Calls that share who may call, and how errors look."""

    name: str
    says: str
    prefix: str  # of the names of its models
    security: tuple[str, ...]
    error: Shape
    calls: tuple[Call, ...]
    words: Words = field(default_factory=dict)
    refusals: tuple[int, ...] = (401, 405, 429, 500, 503)
    empty: frozenset[int] = frozenset()  # refusals without a body
    body_refusals: tuple[int, ...] = (400, 413)  # of calls with a body


def security_of(family: Family, call: Call) -> tuple[str, ...]:
    """What a caller proves with: any of these; nothing is needed where there is none."""
    return () if call.public else family.security


# ------------------------------------------------------------------- shapes

TEXT: Shape = {"type": "string"}
WHOLE: Shape = {"type": "integer"}
NUMBER: Shape = {"type": "number"}
FLAG: Shape = {"type": "boolean"}
ANY_OBJECT: Shape = {"type": "object"}
UUID: Shape = {"type": "string", "format": "uuid"}
LINE: Shape = {"type": "string", "pattern": "^[^\\x00]*$"}  # what a query may carry


def known(schema: type[BaseModel]) -> Shape:
    return {MODEL: schema}


def only(members: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """An object with these members and no others."""
    return {
        "type": "object",
        "properties": {**members, **(optional or {})},
        **({"required": list(members)} if members else {}),
        "additionalProperties": False,
    }


def array(items: Shape, **limits: int) -> Shape:
    return {"type": "array", "items": items, **limits}


def one_of(*values: str) -> Shape:
    return {"type": "string", "enum": list(values)}


def or_null(shape: Shape) -> Shape:
    return {"anyOf": [shape, {"type": "null"}]}


def told(shape: Shape, says: str) -> Shape:
    return {**shape, "description": says}


def whole(least: int, most: int | None = None, usual: int | None = None) -> Shape:
    limits = {"minimum": least, "maximum": most, "default": usual}
    return {"type": "integer", **{name: at for name, at in limits.items() if at is not None}}


def exception(*codes: str) -> Shape:
    """Infobip's older error body (contract/push.md 1.2, B)."""
    code: Shape = one_of(*codes) if codes else TEXT
    service = only({"messageId": code, "text": TEXT})
    return only({"requestError": only({"serviceException": service})})


def refused(code: str, text: str) -> Json:
    return {"requestError": {"serviceException": {"messageId": code, "text": text}}}


SWITCH: Shape = {"type": "boolean", "default": False}  # of a query
