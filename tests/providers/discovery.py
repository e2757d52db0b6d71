"""Google's own description of FCM's bodies, as a JSON schema.

The discovery document is not JSON Schema, but close. Source: contract/providers.md 2.9.
"""

from __future__ import annotations

import importlib.resources
import json
from functools import cache
from typing import Any

import jsonschema

FORMATS: dict[str, dict[str, Any]] = {
    "google-duration": {"pattern": r"^\d+(\.\d{1,9})?s$"},
    "google-datetime": {
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$"
    },
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
}


def checked(body: bytes) -> dict[str, Any]:
    """A body as JSON, after it was held against Google's description of it."""
    value = json.loads(body)
    faults = [f"{'.'.join(map(str, each.path))}: {each.message}" for each in violations(value)]
    assert not faults, faults
    assert isinstance(value, dict)
    return value


def violations(body: object) -> list[jsonschema.ValidationError]:
    return list(_validator().iter_errors(body))


@cache
def _validator() -> jsonschema.Draft202012Validator:
    package = importlib.resources.files("googleapiclient")
    document = json.loads((package / "discovery_cache/documents/fcm.v1.json").read_text())
    schemas = {name: _schema(node) for name, node in document["schemas"].items()}
    return jsonschema.Draft202012Validator({"$ref": "#/$defs/SendMessageRequest", "$defs": schemas})


def _schema(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return {"$ref": "#/$defs/" + node["$ref"]}
    if node.get("type") == "any":
        return {}
    made: dict[str, Any] = {name: node[name] for name in ("type", "enum") if name in node}
    made |= FORMATS.get(node.get("format", ""), {})
    if node.get("type") == "array":
        made["items"] = _schema(node["items"])
    elif node.get("type") == "object" and "additionalProperties" in node:
        made["additionalProperties"] = _schema(node["additionalProperties"])
    elif node.get("type") == "object":
        known = node.get("properties", {})
        made["properties"] = {name: _schema(each) for name, each in known.items()}
        made["additionalProperties"] = False
    return made
