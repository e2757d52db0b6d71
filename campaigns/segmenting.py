"""Create, change, restore, delete a segment; who uses it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import BooleanField, F, Func, Q, Value

from campaigns.errors import NameTakenError, RuleError, SegmentInUseError, StaleDraftError
from campaigns.models import Campaign, Segment, SegmentVersion
from campaigns.targeting import DEPTH, Rule, to_q
from devices import audit
from devices.audit import Author
from devices.models import Application

SHOWN = 3  # users that a refusal names


@dataclass(frozen=True, slots=True)
class Use:
    """A campaign or a segment that names a segment."""

    user: Campaign | Segment

    @property
    def kind(self) -> str:
        return "campaign" if isinstance(self.user, Campaign) else "segment"


class _NamesASegment(Func):
    """Whether a rule has a condition on a segment, at any depth."""

    template = "jsonb_path_exists(%(expressions)s)"
    arg_joiner = ", "
    output_field = BooleanField()


def _author(by: User | Author) -> Author:
    return by if isinstance(by, Author) else audit.author_of(by)


def _refuse_empty_groups(rule: Any, path: str = "") -> None:
    """A group without conditions is forgotten more often than meant; all of nothing is everybody.

    What else is wrong with a rule is said when it is compiled.
    """
    if not isinstance(rule, dict) or path.count(".") > DEPTH:
        return
    for kind in ("all", "any"):
        place, members = f"{path}.{kind}" if path else kind, rule.get(kind)
        if members == [] and place != "all":
            raise RuleError(place, "a group needs at least one condition.")
        for number, member in enumerate(members if isinstance(members, list) else ()):
            _refuse_empty_groups(member, f"{place}[{number}]")
    _refuse_empty_groups(rule.get("not"), f"{path}.not" if path else "not")


def create(application: Application, by: User | Author, *, name: str, rule: Rule) -> Segment:
    """Raises RuleError for a rule that cannot be read, NameTakenError for a second of a name."""
    author = _author(by)
    _refuse_empty_groups(rule)
    with transaction.atomic():
        to_q(rule, application)
        segment = Segment(
            application=application, name=name, rule=rule, created_by_id=author.user_id
        )
        _saved(segment, name)
        SegmentVersion.objects.create(
            segment=segment, number=1, rule=rule, made_by_id=author.user_id
        )
        audit.note(author, "create segment", segment, after={"name": name, "rule": rule})
    return segment


def change(
    segment: Segment,
    by: User | Author,
    *,
    version: int,
    name: str,
    rule: Rule,
    restored_from: int | None = None,
) -> Segment:
    """Change name and rule; raises StaleDraftError when another change came in between.

    A rule that differs becomes a version of its own, and the one before it stays.
    """
    author = _author(by)
    _refuse_empty_groups(rule)
    to_q(rule, segment.application)  # a fault is said with its place in this rule
    with transaction.atomic():
        # All of them: two changes at once could make two segments name each other.
        rows = Segment.objects.select_for_update().filter(application=segment.application)
        stored = {each.pk: each for each in rows.order_by("pk")}.get(segment.pk)
        if stored is None:
            raise StaleDraftError("Somebody else deleted this segment meanwhile.")
        if stored.version != version:
            raise StaleDraftError(
                "Somebody else changed this segment. Open it again to see their version."
            )
        before = {"name": stored.name, "rule": stored.rule}
        after = {"name": name, "rule": rule}
        if before == after:
            return stored
        if rule != stored.rule:
            _keep(stored, rule, author, restored_from)
        stored.name, stored.rule, stored.version = name, rule, version + 1
        _saved(stored, name)
        # Read as others will: a segment that now names itself through another is refused.
        to_q({"field": "segment", "op": "in", "value": stored.pk}, segment.application)
        changed = [key for key in before if before[key] != after[key]]
        audit.note(
            author,
            "change segment" if restored_from is None else "restore segment",
            stored,
            before={key: before[key] for key in changed},
            after={key: after[key] for key in changed},
        )
    return stored


def _keep(segment: Segment, rule: Rule, author: Author, restored_from: int | None) -> None:
    """Write a version down; `segment` still has the rule before it, and its row is locked."""
    last = segment.versions.first()
    if last is None:  # it is older than versions are
        last = segment.versions.create(
            number=1,
            rule=segment.rule,
            made_by_id=segment.created_by_id,
            made_at=segment.created_at,
        )
    segment.versions.create(
        number=last.number + 1,
        rule=rule,
        made_by_id=author.user_id,
        restored_from=restored_from,
    )


def restore(segment: Segment, by: User | Author, *, number: int, version: int) -> Segment:
    """Let a segment have the rule of an older version again, as a new version.

    Raises RuleError when the rule names what was deleted meanwhile, StaleDraftError as `change`.
    """
    old = segment.versions.get(number=number)
    return change(
        segment, by, version=version, name=segment.name, rule=old.rule, restored_from=number
    )


def _saved(segment: Segment, name: str) -> Segment:
    try:
        with transaction.atomic():
            segment.save()
    except IntegrityError as error:
        raise NameTakenError(
            f"There is a segment “{name}” already. Choose another name."
        ) from error
    return segment


def delete(segment: Segment, by: User | Author) -> None:
    """Delete it; raises SegmentInUseError while anything names it."""
    with transaction.atomic():
        rows = Segment.objects.select_for_update().filter(application=segment.application)
        stored = {each.pk: each for each in rows.order_by("pk")}.get(segment.pk)
        if stored is None:
            return
        if stored.excludes:
            raise SegmentInUseError(
                "It leaves people out of every send. Send to them again first; nothing was deleted."
            )
        found = uses(segment.application).get(segment.pk, [])
        if found:
            named = ", ".join(f"the {each.kind} “{each.user}”" for each in found[:SHOWN])
            more = f" and {len(found) - SHOWN:,} others" if len(found) > SHOWN else ""
            raise SegmentInUseError(f"It is in use by {named}{more}. Nothing was deleted.")
        before = {"name": stored.name, "rule": stored.rule}
        audit.note(_author(by), "delete segment", stored, before=before)
        stored.delete()


def exclude(segment: Segment, by: User | Author, *, excludes: bool) -> bool:
    """Leave whoever is in it out of every send, or send to them again.

    False if it is so already.
    """
    with transaction.atomic():
        rows = Segment.objects.filter(pk=segment.pk).exclude(excludes=excludes)
        if not rows.update(excludes=excludes):
            return False
        segment.excludes = excludes
        action = "exclude segment" if excludes else "include segment"
        audit.note(
            _author(by), action, segment,
            before={"left out": not excludes}, after={"left out": excludes},
        )  # fmt: skip
    return True


def uses(application: Application) -> dict[int, list[Use]]:
    """What names each segment of an application, by the segment's key."""
    found: dict[int, list[Use]] = defaultdict(list)
    names = Q(_NamesASegment(F("rule"), Value('$.** ? (@.field == "segment")')))
    campaigns = Campaign.objects.filter(names | Q(segment__isnull=False), application=application)
    for campaign in campaigns.only("name", "rule", "segment", "launched_at", "application"):
        numbers = set(named(campaign.rule))
        if campaign.segment_id is not None:
            numbers.add(campaign.segment_id)
        for number in sorted(numbers):
            found[number].append(Use(campaign))
    for segment in Segment.objects.filter(names, application=application):
        for number in sorted(set(named(segment.rule))):
            found[number].append(Use(segment))
    return found


def named(rule: Any) -> Iterator[int]:
    """The segments that a rule names, in its own words."""
    if not isinstance(rule, dict):
        return
    if rule.get("field") == "segment" and isinstance(rule.get("value"), int):
        yield rule["value"]
    for kind in ("all", "any"):
        for member in rule.get(kind, ()):
            yield from named(member)
    yield from named(rule.get("not"))
