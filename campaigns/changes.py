"""What changed from one version of a draft to another, field by field, as people say it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from campaigns import canaries, comparing, scheduling, variants, winners
from campaigns.comparing import Part, Sides
from campaigns.content_forms import where_stored
from campaigns.history import Draft
from campaigns.models import CampaignContent, RepeatPolicy, Scenario, Segment
from campaigns.targeting import sentence
from campaigns.timing import Timing

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that two versions differ in."""

    label: str
    before: list[Part]
    after: list[Part]
    where: str = ""  # of which content, where there are several


def changes(before: Draft, after: Draft) -> list[Change]:
    """All that differs, in the order of the composer's page."""
    return [*_of_contents(before, after), *_of_draft(before, after)]


def labels(before: Draft, after: Draft) -> list[str]:
    """What changed, in a few words."""
    return list(dict.fromkeys(change.label for change in changes(before, after)))


def _of_contents(before: Draft, after: Draft) -> Iterator[Change]:
    old, new = _placed(before), _placed(after)
    several = len(old) > 1 or len(new) > 1
    for place in sorted(old | new):
        where = where_stored({"language": place[0], "variant": place[1]}) if several else ""
        if place not in old:
            yield _change("Content", "", f"{where} added", where)
        elif place not in new:
            yield _change("Content", f"{where}", "", where)
        else:
            for label, mine, theirs in _fields(old[place], new[place]):
                yield _change(label, mine, theirs, where)


def _placed(draft: Draft) -> dict[tuple[str, int], dict[str, Any]]:
    return {(each["language"], each["variant"]): each for each in draft["contents"]}


CONTENT: dict[str, str] = {
    "title": "Title",
    "text": "Text",
    "image_url": "Image",
    "on_tap": "A tap opens",
    "target": "Address",
}
OPTIONS: dict[str, str] = {
    "carousel": "Cards",
    "carousel_kind": "Pictures",
    "custom_payload": "Data",
    "in_app_style": "Inside the app",
    "in_app_expires_in": "Stays inside the app",
    "in_app_open_title": "Button that opens",
    "in_app_dismiss_title": "Button that dismisses",
    "thread_id": "Thread",
    "channel_id": "Channel",
}


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, label in CONTENT.items():
        if old[name] != new[name]:
            yield label, _content(name, old[name]), _content(name, new[name])
    for name in dict.fromkeys([*old["options"], *new["options"]]):
        mine, theirs = old["options"].get(name), new["options"].get(name)
        if mine != theirs:
            label = OPTIONS.get(name, name.replace("_", " ").capitalize())
            yield label, _option(name, mine), _option(name, theirs)


def _content(name: str, value: str) -> str:
    return CampaignContent.OnTap(value).label if name == "on_tap" else value


def _option(name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if name == "carousel":
        return "\n".join(_card(place, item) for place, item in enumerate(value, start=1))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _card(place: int, item: Mapping[str, Any]) -> str:
    links = " ".join(item.get("deep_links", {}).values())
    said = (item["headline"], item.get("description", ""), item.get("image_url", ""), links)
    return f"{place}. {' · '.join(each for each in said if each)}"


def _name(model: type[Segment | Scenario], nothing: str) -> Callable[[Any], str]:
    def say(pk: Any) -> str:
        if pk is None:
            return nothing
        found = model.objects.filter(pk=pk).first()
        return found.name if found is not None else "deleted"

    return say


DRAFT: dict[str, tuple[str, Callable[[Any], str]]] = {
    "name": ("Name", str),
    "segment": ("Segment", _name(Segment, "Everybody")),
    "rule": ("Audience", sentence),
    "primary_only": ("Only primary devices", lambda only: "yes" if only else "no"),
    "split": (
        "Variants",
        lambda split: ", ".join(
            f"{name} {percent} %" for name, percent in variants.split_of(split).named
        ),
    ),
    "timing": ("Goes out", lambda timing: scheduling.sentence(Timing.of(timing))),
    "canary": ("Try first", canaries.sentence),
    "winner": ("Winner", winners.sentence),
    "ttl": ("Keep trying for", lambda seconds: f"{seconds / 3600:g} hours"),
    "throttle": ("Messages a second, at most", lambda rate: f"{rate:,}" if rate else "no limit"),
    "scenario": ("If it does not arrive", _name(Scenario, "Nothing more is sent")),
    "repeat_policy": ("Send again", lambda policy: str(RepeatPolicy(policy).label)),
    "transactional": ("Transactional", lambda is_so: "yes" if is_so else "no"),
}


def _of_draft(before: Draft, after: Draft) -> Iterator[Change]:
    for name, (label, say) in DRAFT.items():
        # what a version does not have, drafts did not have then
        old, new = before.get(name, {}), after.get(name, {})
        if old != new:
            yield _change(label, say(old), say(new))


def _change(label: str, before: str, after: str, where: str = "") -> Change:
    sides: Sides = comparing.by_word(before, after)
    old, new = (side or [Part(NOTHING)] for side in sides)
    return Change(label, old, new, where)
