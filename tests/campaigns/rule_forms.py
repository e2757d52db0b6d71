"""Rules, and the form of the builder as a browser posts it."""

import json
from typing import Any

from django.http import QueryDict

from campaigns.building import Node
from campaigns.targeting import Rule

IOS: Rule = {"field": "platform", "op": "in", "value": ["iOS", "Huawei"]}
GERMAN: Rule = {"field": "language", "op": "in", "value": ["de", "de-AT"]}
OLD: Rule = {"field": "app_version", "op": "lt", "value": "4.10"}
BOUGHT: Rule = {"field": "event:purchase", "op": "within_days", "value": 30}
VIP: Rule = {"not": {"field": "tag", "op": "has", "value": "vip"}}
LAPSED: Rule = {"all": [IOS, GERMAN, OLD, BOUGHT, VIP]}


def form_of(root: Node) -> dict[str, Any]:
    """The fields that the page posts for a tree."""
    form: dict[str, Any] = {"node": []}

    def write(node: Node, above: str) -> None:
        key = node.key
        form["node"].append(f"{key}:{above}:{node.kind}:{int(node.negated)}")
        if node.is_group:
            form[f"k{key}"] = node.kind
        else:
            name, _, event = node.field.partition("event:")
            form.update({f"f{key}": name or "event:", f"o{key}": node.op, f"y{key}": node.type})
            if event:
                form[f"n{key}"] = event
            form[f"v{key}"] = list(node.values)
            form[f"w{key}"] = node.typed
            for prefix, part in (("c", "campaign"), ("t", "times"), ("z", "zone")):
                if part in node.more:
                    form[f"{prefix}{key}"] = str(node.more[part])
            if "where" in node.more:
                form[f"m{key}"] = json.dumps({"where": node.more["where"]})
            if node.large is not None:
                form[f"j{key}"] = json.dumps(node.large)
        for member in node.members:
            write(member, str(key))

    write(root, "")
    return form


def posted(form: dict[str, Any]) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, value in form.items():
        query.setlist(name, value if isinstance(value, list) else [value])
    return query


def rule_text(root: Node) -> str:
    """`all(1 any(2 3))`, by the fields of conditions."""
    if not root.is_group:
        return ("!" if root.negated else "") + (root.field or "?")
    return f"{'!' if root.negated else ''}{root.kind}({' '.join(map(rule_text, root.members))})"
