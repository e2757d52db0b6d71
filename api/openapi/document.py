"""One OpenAPI 3.1 document over everything that other systems may call."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from api.endpoint import Json
from api.idempotency import HEADER, LONGEST
from api.openapi.calls import JSON, MODEL, Call, Family, Shape, security_of
from api.openapi.insider import INSIDER
from api.openapi.lists import LISTS
from api.openapi.mobile import MOBILE
from api.openapi.omni import OMNI
from api.openapi.own import HUAWEI, RECEIVER, SMS
from api.openapi.people import CONTACTS, PERSONS
from api.openapi.push import PUSH
from api.openapi.push_older import OLDER
from api.openapi.segments import SEGMENTS

FAMILIES = (
    PUSH, OLDER, OMNI, INSIDER, CONTACTS, PERSONS, MOBILE, RECEIVER, SEGMENTS, LISTS, HUAWEI,
    SMS,
)  # fmt: skip
VERSION = "1"
TITLE = "pushadmin"
SAYS = (
    "Push campaigns to mobile apps: send messages, learn what became of them, and keep what is"
    " known of devices and people. The families have the paths, bodies and errors of the vendors"
    " whose callers they take over, each answer with its Content-Length."
)
SECURITY: Mapping[str, Json] = {
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`App KEY`: an API key, from Settings → API access.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "An API user."},
    "applicationCode": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`App CODE`: the application's code, as it stands in the app.",
    },
    "huaweiSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-HUAWEI-CALLBACK-ID",
        "description": "Time, nonce and what they are signed with.",
    },
}
REASONS = {
    400: "Something of the request is wrong; the answer names it.",
    401: "The caller is unknown.",
    403: "The caller may not.",
    404: "There is no such thing.",
    405: "The path does not know this method; the header Allow says which it knows.",
    409: "It does not go with what there is.",
    413: "The body is too long.",
    415: "The body is no JSON.",
    429: "Too many calls; the header Retry-After says how many seconds to wait.",
    500: "A fault of ours.",
    503: "Something we need is away; the header Retry-After says when to repeat it.",
}
_PARAMETER = re.compile(r"\{(\w+)\}")
_REFERENCE = "#/components/schemas/{model}"


def document(base_url: str) -> Json:
    """The document of the server at this address."""
    return {**_document(), "servers": [{"url": base_url}]}


@cache
def _document() -> Json:
    paths: dict[str, Json] = {}
    schemas: dict[str, Json] = {}
    for family in FAMILIES:
        names = _components(family, schemas)
        schemas[_error_name(family)] = family.error
        for call in family.calls:
            told = _operation(family, call)
            paths.setdefault(call.path, {})[call.method] = _with_references(told, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": SAYS},
        "tags": [{"name": each.name, "description": each.says} for each in FAMILIES],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": dict(SECURITY),
        },
    }


# ------------------------------------------------------------------- calls


def _operation(family: Family, call: Call) -> Json:
    told: Json = {
        "operationId": operation_id(family, call),
        "tags": [family.name],
        "summary": call.title,
    }
    if says := _description(call):
        told["description"] = says
    told["security"] = [{name: []} for name in security_of(family, call)]
    if parameters := _parameters(call):
        told["parameters"] = parameters
    if call.body is not None:
        content: Json = {"schema": call.body}
        if call.example is not None:
            content["example"] = call.example
        told["requestBody"] = {
            "required": call.body_is_needed,
            "content": {call.body_type: content},
        }
    told["responses"] = dict(_responses(family, call))
    return told


def operation_id(family: Family, call: Call) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", " ", f"{call.method} {call.path}").title().replace(" ", "")
    return f"{family.prefix}{words}"


def _description(call: Call) -> str:
    parts = [call.says] if call.says else []
    if call.scopes:
        parts.append("Scopes, any of: " + ", ".join(f"`{each}`" for each in call.scopes) + ".")
    if call.limit:
        parts.append(f"At most {call.limit}.")
    return "\n\n".join(parts)


def _parameters(call: Call) -> list[Json]:
    given = {each.name for each in call.parameters if each.where == "path"}
    told: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": _in_path(name)}
        for name in _PARAMETER.findall(call.path)
        if name not in given
    ]
    told += [
        {
            "name": each.name,
            "in": each.where,
            "required": each.required,
            "description": each.says,
            "schema": each.shape,
        }
        for each in call.parameters
    ]
    if call.replays:
        told.append(
            {
                "name": HEADER,
                "in": "header",
                "required": False,
                "description": "Repeat the call with the same key, and the first answer comes"
                " again; nothing is sent twice. Kept for 48 hours.",
                "schema": {"type": "string", "pattern": f"^[ -~]{{1,{LONGEST}}}$"},
            }
        )
    return told


def _in_path(name: str) -> Shape:
    match name:
        case "id" | "application" | "content":
            return {"type": "integer", "minimum": 0}
        case "messageId":
            return {"type": "string", "format": "uuid"}
    return {"type": "string", "minLength": 1}


def _responses(family: Family, call: Call) -> Iterator[tuple[str, Json]]:
    yield str(call.status), _success(call, call.status, call.answer)
    for status, shape in call.also.items():
        yield str(status), _success(call, status, shape)
    for status in refusals_of(family, call):
        reason: Json = {"description": REASONS[status]}
        if status not in family.empty:
            reference = _REFERENCE.format(model=_error_name(family))
            reason["content"] = {JSON: {"schema": {"$ref": reference}}}
        if status in call.plain:
            reason["content"]["text/plain"] = {"schema": {"type": "string"}}
        if status in {429, 503}:
            reason["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
        yield str(status), reason


def refusals_of(family: Family, call: Call) -> list[int]:
    of_body = family.body_refusals if call.body is not None else ()
    told = {*family.refusals, *call.refusals, *of_body}
    return sorted(told - {401} if call.public else told)


def _success(call: Call, status: int, shape: Shape | None) -> Json:
    told: Json = {"description": HTTPStatus(status).phrase}
    if shape is not None:
        content: Json = {"schema": shape}
        if call.answer_example is not None and status == call.status:
            content["example"] = call.answer_example
        told["content"] = {JSON: content}
    if call.replays:
        told["headers"] = {
            "Idempotency-Replayed": {
                "description": "`true` on an answer that comes again.",
                "schema": {"type": "string", "enum": ["true"]},
            }
        }
    return told


# ------------------------------------------------------------------- schemas


class _Schemas(GenerateJsonSchema):
    """As pydantic says it, without titles made of the members' names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _error_name(family: Family) -> str:
    return f"{family.prefix}Error"


def _components(family: Family, schemas: dict[str, Json]) -> Mapping[type[BaseModel], str]:
    """Add the models of a family; what each is called."""
    models = dict.fromkeys(
        model for call in family.calls for model in _models_in([call.body, call.answer])
    )
    if not models:
        return {}
    template = f"#/components/schemas/{family.prefix}{{model}}"
    references, told = models_json_schema(
        [(model, "validation") for model in models],
        by_alias=True,
        ref_template=template,
        schema_generator=_Schemas,
    )
    for name, schema in told.get("$defs", {}).items():
        if "__" in name:
            raise ValueError(f"{family.name} has two models of one name: {name}")
        schemas[family.prefix + name] = _tidied(schema)
    for model, words in family.words.items():
        known = schemas.get(family.prefix + model.__name__)
        for member, sentence in words.items() if known is not None else ():
            known["properties"][member]["description"] = sentence  # type: ignore[index]
    return {model: references[model, "validation"]["$ref"] for model in models}


def _models_in(shape: Any) -> Iterator[type[BaseModel]]:
    if isinstance(shape, dict):
        if MODEL in shape:
            yield shape[MODEL]
        for value in shape.values():
            yield from _models_in(value)
    elif isinstance(shape, list | tuple):
        for value in shape:
            yield from _models_in(value)


def _with_references(shape: Any, names: Mapping[type[BaseModel], str]) -> Any:
    if isinstance(shape, dict):
        if MODEL in shape:
            return {"$ref": names[shape[MODEL]]}
        return {name: _with_references(value, names) for name, value in shape.items()}
    if isinstance(shape, list):
        return [_with_references(value, names) for value in shape]
    return shape


def _tidied(shape: Any) -> Any:
    """Without the title that repeats the name, and the default that says nothing.

    A docstring is for whoever reads the code: what members mean stands in `words`.
    """
    return _without({name: at for name, at in shape.items() if name != "description"})


def _without(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {
            name: {each: _without(at) for each, at in value.items()}
            if name == "properties"
            else _without(value)
            for name, value in shape.items()
            if not (name == "title" and isinstance(value, str))
            and not (name == "default" and value is None)
        }
    if isinstance(shape, list):
        return [_without(value) for value in shape]
    return shape


def calls() -> Iterable[tuple[Family, Call]]:
    """Every call with its family, in the order of the document."""
    return ((family, call) for family in FAMILIES for call in family.calls)
