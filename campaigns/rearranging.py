"""What somebody does to a rule in the builder: add, remove, duplicate, wrap, move, turn round."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from campaigns.building import (
    CHIPS,
    DEEPEST,
    MOST,
    TEST,
    Node,
    first_operator,
    scalars,
    with_typed,
)


@dataclass(frozen=True, slots=True)
class Done:
    """What an action did: where the keyboard goes on, and what a screen reader says."""

    focus: str = ""  # id of an element
    said: str = ""


def act(root: Node, action: str, key: int, index: int = 0) -> Done:
    """Change the tree as a button says. What cannot be done changes nothing."""
    if action == "enter":
        return _add_typed(root)
    found = _find(root, key)
    if found is None:
        return Done()
    above, node = found
    if action == "drop":
        return _drop(node, index)
    if action in _ALONE:
        return _ALONE[action](root, node)
    if action in _AMONG_OTHERS and above is not None:
        return _AMONG_OTHERS[action](root, above, node)
    return Done()


def _add_typed(root: Node) -> Done:
    """Enter: what stands in the fields of lists becomes values of them."""
    for node in root.walk():
        if not node.is_group and node.input == "chips" and node.typed.strip():
            values = with_typed(node)
            if len(values) <= CHIPS:
                node.values, node.typed = values, ""
                continue
            with suppress(ValueError):  # said beside what is typed, which stays
                node.large = scalars(node, values)
                node.values, node.typed = [], ""
    return Done()


def _drop(node: Node, index: int) -> Done:
    if not 0 <= index < len(node.values):
        return Done()
    return Done(f"w{node.key}", f"{node.values.pop(index)} removed")


def _empty_list(root: Node, node: Node) -> Done:
    node.large = None
    return Done(f"w{node.key}", "List emptied")


def _turn(root: Node, node: Node) -> Done:
    node.negated = not node.negated
    said = "Now the opposite is asked" if node.negated else "No longer the opposite"
    return Done(f"not-{node.key}", said)


def _ask_another(root: Node, node: Node) -> Done:
    node.values, node.typed, node.large, node.more = [], "", None, {}
    node.op = first_operator(node)
    return Done(f"f{node.key}")


def _ask_otherwise(root: Node, node: Node) -> Done:
    return Done(f"o{node.key}")


def _add_test(root: Node, group: Node) -> Done:
    if not group.is_group:
        return Done()
    if _size(root) + 1 > MOST:
        return Done(f"add-test-{group.key}", f"A rule has at most {MOST} conditions here")
    test = Node(_next(root), TEST)
    group.members.append(test)
    return Done(f"f{test.key}", "Condition added")


def _add_group(root: Node, above: Node) -> Done:
    if not above.is_group:
        return Done()
    if _size(root) + 2 > MOST:
        return Done(f"add-group-{above.key}", f"A rule has at most {MOST} conditions here")
    if _depth(root, above) + 2 > DEEPEST:
        return Done(f"add-group-{above.key}", f"Groups nest at most {DEEPEST} deep")
    test = Node(_next(root), TEST)
    kind = "all" if above.kind == "any" else "any"
    above.members.append(Node(test.key + 1, kind, members=[test]))
    return Done(f"f{test.key}", "Group added")


def _wrap(root: Node, above: Node, node: Node) -> Done:
    if _depth(root, node) + _height(node) > DEEPEST:
        return Done(f"wrap-{node.key}", f"Groups nest at most {DEEPEST} deep")
    if _size(root) + 1 > MOST:
        return Done(f"wrap-{node.key}", f"A rule has at most {MOST} conditions here")
    group = Node(_next(root), "any", members=[node])
    above.members[above.members.index(node)] = group
    return Done(f"k{group.key}", "Put into a group of its own")


def _unwrap(root: Node, above: Node, node: Node) -> Done:
    if not node.is_group or node.negated or (node.kind != above.kind and len(node.members) > 1):
        # its members would ask something else outside
        return Done(f"unwrap-{node.key}", "This group asks something else than the one around it")
    place = above.members.index(node)
    above.members[place : place + 1] = node.members
    return Done(f"add-test-{above.key}", "Group dissolved")


def _find(root: Node, key: int) -> tuple[Node | None, Node] | None:
    if root.key == key:
        return None, root
    for above in root.walk():
        for member in above.members:
            if member.key == key:
                return above, member
    return None


def _next(root: Node) -> int:
    return max(node.key for node in root.walk()) + 1


def _remove(root: Node, above: Node, node: Node) -> Done:
    place = above.members.index(node)
    above.members.remove(node)
    said = "Group removed" if node.is_group else "Condition removed"
    if place < len(above.members):
        return Done(f"remove-{above.members[place].key}", said)
    if above.members:
        return Done(f"remove-{above.members[-1].key}", said)
    return Done(f"add-test-{above.key}", said)


def _duplicate(root: Node, above: Node, node: Node) -> Done:
    if _size(root) + _size(node) > MOST:
        return Done(f"duplicate-{node.key}", f"A rule has at most {MOST} conditions here")
    copy = _copy(node, iter(range(_next(root), _next(root) + MOST + 1)))
    above.members.insert(above.members.index(node) + 1, copy)
    return Done(f"duplicate-{copy.key}", "Duplicated")


def _copy(node: Node, keys: Iterator[int]) -> Node:
    return Node(
        key=next(keys),
        kind=node.kind,
        negated=node.negated,
        members=[_copy(member, keys) for member in node.members],
        field=node.field,
        op=node.op,
        type=node.type,
        values=list(node.values),
        typed=node.typed,
        large=node.large,
        more=dict(node.more),
    )


def _size(node: Node) -> int:
    return sum(1 for _ in node.walk())


def _height(node: Node) -> int:
    return 1 + max((_height(member) for member in node.members), default=0)


def _depth(root: Node, node: Node) -> int:
    found, depth = _find(root, node.key), 0
    while found is not None and found[0] is not None:
        depth += 1
        found = _find(root, found[0].key)
    return depth


def _up(root: Node, above: Node, node: Node) -> Done:
    return _move(root, above, node, -1)


def _down(root: Node, above: Node, node: Node) -> Done:
    return _move(root, above, node, 1)


def _move(root: Node, above: Node, node: Node, step: int) -> Done:
    """One place up or down as the page reads: into a group beside it, and out at its ends."""
    focus = f"{'up' if step < 0 else 'down'}-{node.key}"
    said = "Moved up" if step < 0 else "Moved down"
    place = above.members.index(node)
    beside = place + step
    if 0 <= beside < len(above.members):
        other = above.members[beside]
        if other.is_group and _depth(root, other) + _height(node) <= DEEPEST:
            above.members.remove(node)
            other.members.insert(len(other.members) if step < 0 else 0, node)
            return Done(focus, f"{said}, into the group")
        above.members[place], above.members[beside] = other, node
        return Done(focus, said)
    found = _find(root, above.key)
    if found is None or found[0] is None:
        return Done(focus, "It is the first already" if step < 0 else "It is the last already")
    outer = found[0]
    above.members.remove(node)
    outer.members.insert(outer.members.index(above) + (0 if step < 0 else 1), node)
    return Done(focus, f"{said}, out of the group")


_ALONE: dict[str, Callable[[Node, Node], Done]] = {
    "add-test": _add_test,
    "add-group": _add_group,
    "not": _turn,
    "field": _ask_another,
    "op": _ask_otherwise,
    "empty-list": _empty_list,
}
_AMONG_OTHERS: dict[str, Callable[[Node, Node, Node], Done]] = {
    "remove": _remove,
    "duplicate": _duplicate,
    "wrap": _wrap,
    "unwrap": _unwrap,
    "up": _up,
    "down": _down,
}
