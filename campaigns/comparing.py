"""Two versions of a rule: what was said before and after, and who enters and leaves."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from campaigns.targeting import Piece, Rule, pieces
from campaigns.targeting.wording import SHOWN

WORDS = 400  # of a condition that is compared word by word; a longer one is marked whole


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a sentence, and whether the other version does not have it."""

    text: str
    changed: bool = False


Sides = tuple[list[Part], list[Part]]  # before, after


def compare(before: Rule, after: Rule) -> Sides:
    """The sentences of two rules, with the parts marked in which they differ.

    Compared by condition, and within a condition that asks the same field, by word. Values that
    a sentence does not name, because there are many, are counted.
    """
    old, new = list(pieces(before)), list(pieces(after))
    sides: Sides = ([], [])
    matcher = SequenceMatcher(None, [_key(each) for each in old], [_key(each) for each in new])
    for kind, first, last, new_first, new_last in matcher.get_opcodes():
        gone, come = old[first:last], new[new_first:new_last]
        if kind == "equal":
            for side, same in zip(sides, (gone, come), strict=True):
                side.extend(Part(each.text) for each in same)
        else:
            _differ(gone, come, sides)
    return _joined(sides[0]), _joined(sides[1])


def _key(piece: Piece) -> str:
    return repr(_plain(piece.test)) if piece.test is not None else piece.text


def _plain(value: object) -> object:
    """Whatever order its names were written in; `is` need not be said."""
    if isinstance(value, dict):
        said = {"op": "is", **value} if "field" in value else value
        return sorted((key, _plain(member)) for key, member in said.items())
    return [_plain(member) for member in value] if isinstance(value, list) else value


def _differ(gone: Sequence[Piece], come: Sequence[Piece], sides: Sides) -> None:
    """Conditions on one field stand for each other; all else is marked whole."""
    before, after = sides
    waiting = list(come)
    for piece in gone:
        match = next((each for each in waiting if _same_field(piece, each)), None)
        if match is None:
            before.append(Part(piece.text, changed=True))
            continue
        while (skipped := waiting.pop(0)) is not match:
            after.append(Part(skipped.text, changed=True))
        old_words, new_words = _worded(piece, match)
        before.extend(old_words)
        after.extend(new_words)
    after.extend(Part(each.text, changed=True) for each in waiting)


def _same_field(one: Piece, other: Piece) -> bool:
    if one.test is None or other.test is None:
        return False
    return bool(one.test["field"] == other.test["field"])


def _worded(old: Piece, new: Piece) -> Sides:
    if old.text == new.text:
        return [Part(old.text)], [Part(new.text), Part(_unsaid(old, new), changed=True)]
    sides = by_word(old.text, new.text)
    if max(len(_values(old)), len(_values(new))) > SHOWN:
        sides[1].append(Part(_unsaid(old, new), changed=True))
    return sides


def by_word(old: str, new: str) -> Sides:
    """Two texts, with the words marked in which they differ; long ones are marked whole."""
    before, after = _words(old), _words(new)
    if max(len(before), len(after)) > WORDS:
        return [Part(old, changed=True)], [Part(new, changed=True)]
    sides: Sides = ([], [])
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, first, last, new_first, new_last in matcher.get_opcodes():
        for side, words in zip(sides, (before[first:last], after[new_first:new_last]), strict=True):
            if words:
                side.append(Part("".join(words), changed=kind != "equal"))
    return sides


def _words(text: str) -> list[str]:
    return re.findall(r"\s+|\S+", text)


def _unsaid(old: Piece, new: Piece) -> str:
    """What changed in a list that is too long to be read out."""
    before, after = (set(map(repr, _values(each))) for each in (old, new))
    come, gone = len(after - before), len(before - after)
    if not come and not gone:
        return " (in another order)"
    changes = [f"{come:,} added" if come else "", f"{gone:,} removed" if gone else ""]
    return f" ({', '.join(filter(None, changes))})"


def _values(piece: Piece) -> list[object]:
    value = (piece.test or {}).get("value")
    return value if isinstance(value, list) else [value]


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Neighbours of one kind as one, as a page marks them."""
    return list(_merge(parts))


def _merge(parts: Sequence[Part]) -> Iterator[Part]:
    text, changed = "", False
    for part in parts:
        if part.changed != changed and text:
            yield Part(text, changed)
            text = ""
        text, changed = text + part.text, part.changed
    if text:
        yield Part(text, changed)


# ------------------------------------------------------------------- who enters, who leaves


def entering(before: Rule, after: Rule) -> Rule:
    """Whom the version after matches, and the one before does not."""
    return {"all": [after or {"all": []}, {"not": before or {"all": []}}]}


def leaving(before: Rule, after: Rule) -> Rule:
    return entering(after, before)
