"""Versions of a segment: kept, compared, counted, restored."""

from typing import Any

import pytest
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import audience, comparing, segmenting
from campaigns.comparing import Part
from campaigns.errors import RuleError, StaleDraftError
from campaigns.models import Segment
from campaigns.targeting import Rule, sentence
from devices.audit import Author
from devices.models import Application, AuditEntry, Role
from tests.factories import (
    make_application,
    make_registration,
    make_registrations,
    make_user,
    signed_in,
)

GERMAN: Rule = {"all": [{"field": "language", "op": "in", "value": ["de", "de-AT"]}]}
FRENCH: Rule = {"all": [{"field": "language", "op": "in", "value": ["fr"]}]}
VIPS: Rule = {"field": "tag", "op": "has", "value": "vip"}


@pytest.fixture
def shop(db: None) -> Application:
    application = make_application(name="Shop")
    make_registrations(application, 3, language="de")
    make_registration(application, language="de-AT")
    make_registrations(application, 2, language="fr")
    make_registration(application, language="fr", notifications_enabled=False)
    return application


def make_segment(application: Application, rule: Rule = GERMAN) -> Segment:
    user = make_user(Role.MARKETER, application)
    return segmenting.create(application, user, name="Readers", rule=rule)


def changed(segment: Segment, rule: Rule) -> Segment:
    user = make_user(Role.MARKETER, segment.application)
    return segmenting.change(segment, user, version=segment.version, name=segment.name, rule=rule)


def url(name: str, segment: Segment, query: str = "") -> str:
    return reverse(f"campaigns:{name}", args=[segment.application_id, segment.pk]) + query


def numbers(segment: Segment) -> list[tuple[int, Rule]]:
    return [(each.number, each.rule) for each in segment.versions.all()]


# ------------------------------------------------------------------------------ keeping


def test_a_change_of_the_rule_keeps_the_one_before_with_who_and_when(shop: Application) -> None:
    segment, user = make_segment(shop), make_user(Role.MARKETER, shop)

    segmenting.change(segment, user, version=1, name="Readers", rule=FRENCH)

    assert numbers(segment) == [(2, FRENCH), (1, GERMAN)]
    new, old = segment.versions.all()
    assert (old.made_by, new.made_by) == (segment.created_by, user)
    assert old.made_at < new.made_at


def test_a_change_of_the_name_alone_is_no_version_of_the_rule(shop: Application) -> None:
    segment, user = make_segment(shop), make_user(Role.MARKETER, shop)
    segmenting.change(segment, user, version=1, name="Lecteurs", rule=GERMAN)
    assert numbers(segment) == [(1, GERMAN)]


def test_a_segment_older_than_versions_keeps_its_first_rule_too(shop: Application) -> None:
    segment = Segment.objects.create(application=shop, name="Old", rule=GERMAN)
    changed(segment, FRENCH)
    assert numbers(segment) == [(2, FRENCH), (1, GERMAN)]
    assert segment.versions.get(number=1).made_at == segment.created_at


def test_what_another_system_changes_is_a_version_of_nobody(shop: Application) -> None:
    segment = make_segment(shop)
    segmenting.change(segment, Author("key “crm”"), version=1, name="Readers", rule=FRENCH)
    assert segment.versions.get(number=2).made_by is None


def test_a_refused_change_leaves_no_version(shop: Application) -> None:
    segment = make_segment(shop)
    itself = {"field": "segment", "op": "in", "value": segment.pk}
    with pytest.raises(RuleError):
        changed(segment, itself)
    assert numbers(segment) == [(1, GERMAN)]


# ------------------------------------------------------------------------------ restoring


def test_restoring_a_version_is_a_new_version_that_says_which_it_repeats(
    shop: Application,
) -> None:
    segment = changed(make_segment(shop), FRENCH)
    user = make_user(Role.MARKETER, shop)

    segmenting.restore(segment, user, number=1, version=segment.version)

    segment.refresh_from_db()
    assert segment.rule == GERMAN
    newest = segment.versions.all()[0]
    assert (newest.number, newest.restored_from, newest.made_by) == (3, 1, user)
    entry = AuditEntry.objects.filter(object_type="segment").first()
    assert entry is not None
    assert (entry.action, entry.before) == ("restore segment", {"rule": FRENCH})


def test_restoring_from_a_page_that_is_behind_is_refused(shop: Application) -> None:
    segment = changed(make_segment(shop), FRENCH)
    with pytest.raises(StaleDraftError):
        segmenting.restore(
            segment, make_user(Role.MARKETER, shop), number=1, version=segment.version - 1
        )
    segment.refresh_from_db()
    assert segment.rule == FRENCH


def test_a_version_that_names_what_was_deleted_is_not_restored(shop: Application) -> None:
    other = segmenting.create(shop, make_user(Role.MARKETER, shop), name="Other", rule=FRENCH)
    named = {"field": "segment", "op": "in", "value": other.pk}
    segment = changed(make_segment(shop, {"all": [named]}), FRENCH)
    segmenting.delete(other, make_user(Role.MARKETER, shop))
    client = signed_in(shop)

    page = client.get(url("segment-versions", segment))
    assert "Version 1 cannot be read any more" in page.content.decode()

    answer = client.post(
        url("segment-restore", segment), {"number": "1", "version": segment.version}, follow=True
    )
    assert "Version 1 cannot be read any more" in answer.content.decode()
    segment.refresh_from_db()
    assert segment.rule == FRENCH


# ------------------------------------------------------------------------------ comparing


def plain(parts: list[Part]) -> str:
    return "".join(f"[{part.text}]" if part.changed else part.text for part in parts)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("before", "after", "said_before", "said_after"),
    [
        (
            GERMAN,
            FRENCH,
            "language is any of [de or de-AT]",
            "language is any of [fr]",
        ),
        (
            GERMAN,
            {"all": [*GERMAN["all"], VIPS]},
            "language is any of de or de-AT",
            "language is any of de or de-AT[ and tag has vip]",
        ),
        (
            {"all": [VIPS, *GERMAN["all"]]},
            GERMAN,
            "[tag has vip and ]language is any of de or de-AT",
            "language is any of de or de-AT",
        ),
        (VIPS, {"not": VIPS}, "tag has vip", "[not (]tag has vip[)]"),
        (VIPS, {"all": []}, "[tag has vip]", "[every device]"),
        ({**VIPS, "op": "has"}, {"op": "has", **VIPS}, "tag has vip", "tag has vip"),
    ],
)
def test_a_comparison_marks_what_differs(
    before: Rule, after: Rule, said_before: str, said_after: str
) -> None:
    old, new = comparing.compare(before, after)
    assert (plain(old), plain(new)) == (said_before, said_after)


@pytest.mark.django_db
def test_a_value_that_the_sentence_does_not_name_is_counted() -> None:
    def known(*more: str) -> Rule:
        return {"field": "external_id", "op": "in", "value": [*map(str, range(20)), *more]}

    longer = comparing.compare(known("a"), known("b", "c"))[1]
    assert plain(longer).endswith(" or [12] others[ (2 added, 1 removed)]")
    as_long = comparing.compare(known("a"), known("b"))[1]
    assert plain(as_long).endswith(" or 11 others[ (1 added, 1 removed)]")


TESTS = st.builds(
    lambda field, value: {"field": field, "op": "in", "value": value},
    st.sampled_from(["language", "model", "manufacturer"]),
    st.lists(st.sampled_from(["a", "b", "c", "d e"]), min_size=1, max_size=3, unique=True),
)
RULES = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds(lambda members: {"all": members}, st.lists(inner, max_size=4)),
        st.builds(lambda members: {"any": members}, st.lists(inner, max_size=4)),
        st.builds(lambda member: {"not": member}, inner),
    ),
    max_leaves=12,
)


@given(RULES, RULES)
@settings(max_examples=300, deadline=None)
def test_both_sides_of_a_comparison_say_their_whole_sentence(before: Rule, after: Rule) -> None:
    old, new = comparing.compare(before, after)
    assert "".join(part.text for part in old) == sentence(before)
    said = "".join(part.text for part in new).replace(" (in another order)", "")
    assert said == sentence(after)
    if before == after:
        assert not any(part.changed for part in (*old, *new))
    if sentence(before) != sentence(after):
        assert any(part.changed for part in (*old, *new))


@given(RULES, RULES)
@settings(max_examples=200, deadline=None)
def test_what_is_not_marked_is_the_same_on_both_sides(before: Rule, after: Rule) -> None:
    old, new = comparing.compare(before, after)
    same = ["".join(part.text for part in side if not part.changed) for side in (old, new)]
    assert same[0] == same[1]


# ------------------------------------------------------------------------------ who moves


@pytest.mark.parametrize(
    ("before", "after"), [(GERMAN, FRENCH), (GERMAN, VIPS), ({"all": []}, GERMAN), (GERMAN, GERMAN)]
)
def test_whoever_enters_or_leaves_is_whom_only_one_version_matches(
    shop: Application, before: Rule, after: Rule
) -> None:
    def keys(rule: Rule) -> set[int]:
        return set(audience.matching(shop, rule).values_list("pk", flat=True))

    old, new = keys(before), keys(after)
    assert keys(comparing.entering(before, after)) == new - old
    assert keys(comparing.leaving(before, after)) == old - new


def test_the_page_says_how_many_enter_and_leave_and_shows_some(shop: Application) -> None:
    segment = changed(make_segment(shop), FRENCH)
    client = signed_in(shop)

    page = client.get(url("segment-versions", segment)).content.decode()
    assert "<del>" in page
    assert "<ins>" in page
    moving = client.get(url("segment-versions", segment)).context["sizes"]
    assert (moving["enter"].total, moving["leave"].total) == (2, 4)  # one is not reachable

    enter = client.get(url("segment-moved", segment, "?way=enter"))
    assert len(enter.context["members"]) == 2
    back = client.get(url("segment-moving", segment, "?before=2&after=1"))
    assert back.context["sizes"]["enter"].total == 4


def test_versions_too_large_to_be_counted_together_say_so(shop: Application) -> None:
    def many(word: str) -> Rule:
        return {"any": [{"field": "model", "value": f"{word} {n}"} for n in range(1100)]}

    segment = changed(make_segment(shop, many("a")), many("b"))
    page = signed_in(shop).get(url("segment-versions", segment)).content.decode()
    assert "Both versions together are too large to be counted" in page


@pytest.mark.parametrize("query", ["?before=9", "?before=x", "?before=²", "?after=99999999999999"])
def test_a_version_that_does_not_exist_is_not_found(shop: Application, query: str) -> None:
    segment = changed(make_segment(shop), FRENCH)
    assert signed_in(shop).get(url("segment-versions", segment, query)).status_code == 404


def test_one_version_alone_says_what_will_stand_here(shop: Application) -> None:
    page = signed_in(shop).get(url("segment-versions", make_segment(shop)))
    assert "There is one version only" in page.content.decode()


@pytest.mark.parametrize(
    ("role", "status"), [(Role.MARKETER, 302), (Role.ANALYST, 403), (Role.SUPPORT, 403)]
)
def test_only_whoever_may_change_segments_restores_one(
    shop: Application, role: Role, status: int
) -> None:
    segment = changed(make_segment(shop), FRENCH)
    data: dict[str, Any] = {"number": 1, "version": segment.version}
    assert signed_in(shop, role).post(url("segment-restore", segment), data).status_code == status
    segment.refresh_from_db()
    assert segment.rule == (GERMAN if status == 302 else FRENCH)


def test_a_stranger_does_not_see_versions_of_another_application(shop: Application) -> None:
    segment = changed(make_segment(shop), FRENCH)
    stranger = signed_in(make_application())
    for name in ("segment-versions", "segment-moving", "segment-moved"):
        assert stranger.get(url(name, segment)).status_code == 404
