"""A schema as rows of a table: each member by its path, what it may be, and what it means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from api.endpoint import Json

DEEPEST = 12  # levels; no body of ours has as many
TYPES = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}
MANY = {**TYPES, "string": "strings", "integer": "integers", "object": "objects"}


@dataclass(frozen=True, slots=True)
class Row:
    """One member, or a heading: from here on, members of one of several forms."""

    parents: str  # `messages[].`
    name: str
    kind: str = ""
    needed: bool = False
    says: str = ""
    heading: str = ""


def rows_of(schema: Json, components: Mapping[str, Json]) -> list[Row]:
    return list(_members(schema, components, "", 0))


def _members(schema: Json, known: Mapping[str, Json], path: str, depth: int) -> Iterator[Row]:
    """Rows of the members of an object, of what an array holds, of each of several forms."""
    schema = _plain(schema, known)
    if depth == DEEPEST:
        return
    if "items" in schema:
        yield from _members(schema["items"], known, f"{path}[]", depth + 1)
    for part in schema.get("allOf", ()):
        yield from _members(part, known, path, depth)
    forms = [each for each in _forms(schema, known) if "properties" in each]
    for number, form in enumerate(forms, 1):
        yield Row("", "", heading=_heading(form, path, number, len(forms)))
        yield from _members(form, known, path, depth)
    if forms:
        return
    needed = schema.get("required", ())
    for name, told in schema.get("properties", {}).items():
        parents = f"{path}." if path else ""
        says = told.get("description", "")
        yield Row(parents, name, kind_of(told, known), name in needed, says)
        inner = _plain(told, known)
        suffix = "" if "items" not in inner else "[]"
        within = inner.get("items", inner)
        yield from _members(within, known, f"{parents}{name}{suffix}", depth + 1)


def _plain(schema: Json, known: Mapping[str, Json]) -> Json:
    """Without references, and without the `null` that may stand instead."""
    while True:
        if "$ref" in schema:
            schema = known[schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema and len(_besides_null(schema["anyOf"])) == 1:
            (schema,) = _besides_null(schema["anyOf"])
        else:
            return schema


def _besides_null(forms: list[Json]) -> list[Json]:
    return [each for each in forms if each.get("type") != "null"]


def _forms(schema: Json, known: Mapping[str, Json]) -> list[Json]:
    several = schema.get("oneOf") or schema.get("anyOf") or ()
    return [_plain(each, known) for each in _besides_null(list(several))]


def _heading(form: Json, path: str, number: int, count: int) -> str:
    kind = form["properties"].get("type", {}).get("const")
    where = f"{path} " if path else ""
    return f"{where}with type {kind}" if kind else f"{where}form {number} of {count}"


def kind_of(schema: Json, known: Mapping[str, Json]) -> str:
    """`string, at most 50 characters`."""
    plain = _plain(schema, known)
    if "const" in plain:
        return f"“{plain['const']}”"
    if "enum" in plain:
        return ", ".join(str(each) for each in plain["enum"])
    if forms := _forms(plain, known):
        return " or ".join(dict.fromkeys(kind_of(each, known) for each in forms))
    kind = plain.get("type")
    if kind == "array":
        return ", ".join(["array of " + _many(plain.get("items", {}), known), *_limits(plain)])
    if kind is None:
        return "anything"
    word = plain.get("format") if kind == "string" else None
    return ", ".join([word or TYPES[kind], *_limits(plain)])


def _many(items: Json, known: Mapping[str, Json]) -> str:
    plain = _plain(items, known)
    if "enum" in plain:
        return ", ".join(str(each) for each in plain["enum"])
    return MANY.get(plain.get("type", "object"), "objects")


def _limits(schema: Json) -> Iterator[str]:
    if "maxLength" in schema:
        yield f"at most {schema['maxLength']:,} characters"
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least and most:
        yield f"{least:,} to {most:,}"
    elif most:
        yield f"at most {most:,}"
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and least > -(2**31):
        yield (
            f"{least:,} or more" if most is None or most >= 2**31 - 1 else f"{least:,} to {most:,}"
        )
    if "default" in schema:
        yield f"{_word(schema['default'])} unless given"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
