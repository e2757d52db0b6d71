"""What the builder of rules takes on the server, with a rule of twenty conditions."""

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from benchmarks.pages import measure
from benchmarks.results import Row
from campaigns import building
from campaigns.building import Node
from campaigns.targeting import Rule
from devices.models import Application

CONDITIONS = 20
GOAL = 150  # milliseconds
ACTIONS = {  # what a click or a key posts; %d is the key of a condition
    "add a condition": "add-test:0",
    "add a group": "add-group:0",
    "ask something else": "field:%d",
    "another operator": "op:%d",
    "duplicate": "duplicate:%d",
    "move": "down:%d",
    "wrap": "wrap:%d",
    "turn round": "not:%d",
    "remove": "remove:%d",
}


def rows(application: Application, rule: Rule, user: User, rounds: int) -> list[Row]:
    """95 of 100 of each action, and of the count while somebody types."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    root = building.tree_of(rule, {})
    form, key = fields_of(root), next(each.key for each in root.walk() if not each.is_group)
    named = {"count while typing": ("segment-count", "")}
    named |= {name: ("segment-build", action) for name, action in ACTIONS.items()}
    named["condition by condition"] = ("segment-draft-clauses", "")
    found = []
    for name, (path, action) in named.items():
        address = reverse(f"campaigns:{path}", args=[application.pk])
        typed = form | {"do": action % key if "%d" in action else action}

        def ask(address: str = address, typed: dict[str, object] = typed) -> None:
            answer = client.post(address, typed, headers={"HX-Request": "true"})
            assert answer.status_code == 200, f"{address}: {answer.status_code}"

        took = measure(ask, rounds)
        count = sum(1 for each in root.walk() if not each.is_group)
        note = f"median {took.median:.0f} ms, {count} conditions"
        goal = None if path == "segment-draft-clauses" else GOAL
        found.append(Row(f"builder: {name}, 95 of 100", took.p95, "ms", note, ceiling=goal))
    return found


def fields_of(root: Node) -> dict[str, object]:
    """The fields that the page posts for a tree."""
    nodes: list[str] = []
    form: dict[str, object] = {"node": nodes, "name": "Measured"}

    def write(node: Node, above: str) -> None:
        nodes.append(f"{node.key}:{above}:{node.kind}:{int(node.negated)}")
        if node.is_group:
            form[f"k{node.key}"] = node.kind
        else:
            form[f"f{node.key}"], form[f"o{node.key}"] = node.field, node.op
            form[f"y{node.key}"], form[f"v{node.key}"] = node.type, list(node.values)
        for member in node.members:
            write(member, str(node.key))

    write(root, "")
    return form
