"""A rule clause by clause: how many devices are left after each, and what is no clause."""

import random
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import audience, counting, sampling, segmenting, tasks, waterfall
from campaigns.models import Reason, Segment
from campaigns.targeting import Rule
from campaigns.waterfall import clauses
from devices.models import Application, Platform, Registration, Role
from tests.factories import (
    do_not_contact,
    make_application,
    make_person,
    make_registration,
    make_user,
    signed_in,
)

pytestmark = pytest.mark.django_db
IOS: Rule = {"field": "platform", "op": "is", "value": "iOS"}
GERMAN: Rule = {"field": "language", "op": "in", "value": ["de", "de-AT"]}
SECURE: Rule = {"field": "secure", "value": True}
KNOWN: Rule = {"field": "known", "value": True}


@pytest.fixture
def shop() -> Application:
    """Ten devices; of six iPhones four speak German, of which one takes no notifications."""
    application = make_application(name="Shop")
    for number in range(10):
        make_registration(
            application,
            platform=Platform.IOS if number < 6 else Platform.ANDROID,
            language="de" if number < 4 else "en",
            notifications_enabled=number > 0,
            secure=number % 2 == 0,
        )
    return application


def left(found: waterfall.Waterfall | None) -> list[int]:
    assert found is not None
    return [step.size.total for step in found.steps]


@pytest.mark.parametrize(
    ("rule", "kind", "found"),
    [
        ({}, "all", []),
        (IOS, "all", [IOS]),
        ({"all": [IOS, GERMAN]}, "all", [IOS, GERMAN]),
        ({"any": [IOS, GERMAN]}, "any", [IOS, GERMAN]),
        ({"any": [{"all": [IOS, GERMAN]}]}, "all", [IOS, GERMAN]),
        ({"all": [IOS, {"all": [GERMAN, SECURE]}]}, "all", [IOS, GERMAN, SECURE]),
        ({"all": [IOS, {"any": [GERMAN, SECURE]}]}, "all", [IOS, {"any": [GERMAN, SECURE]}]),
        ({"not": {"any": [IOS, GERMAN]}}, "all", [{"not": IOS}, {"not": GERMAN}]),
        ({"not": {"all": [IOS, {"not": GERMAN}]}}, "any", [{"not": IOS}, GERMAN]),
        ({"all": [IOS, {"not": {"any": [GERMAN, SECURE]}}]}, "all",
         [IOS, {"not": GERMAN}, {"not": SECURE}]),
        ({"any": []}, "any", [{"any": []}]),
    ],
)  # fmt: skip
def test_clauses_are_the_members_of_the_outermost_group(
    rule: Rule, kind: str, found: list[Rule]
) -> None:
    assert clauses(rule) == (kind, found)


def test_each_clause_of_all_leaves_fewer(shop: Application) -> None:
    found = waterfall.live(shop, {"all": [IOS, GERMAN, {"not": SECURE}]})

    assert found is not None
    assert found.every == 10
    assert left(found) == [6, 4, 2]
    assert [step.text for step in found.steps] == [
        "platform is iOS", "language is any of de or de-AT", "not (screen lock is yes)",
    ]  # fmt: skip
    assert [step.kept for step in found.steps] == [0.6, 4 / 6, 0.5]
    assert (found.reached.size.total, found.exact) == (2, True)


def test_each_clause_of_any_adds_some(shop: Application) -> None:
    found = waterfall.live(shop, {"any": [GERMAN, IOS, SECURE]})

    assert found is not None
    assert left(found) == [4, 6, 8]
    assert [step.kept for step in found.steps] == [None, None, None]
    assert found.reached.size.total == 7


@pytest.mark.parametrize(("rule", "all_of_them"), [({}, 10), ({"any": []}, 0)])
def test_a_rule_without_conditions_has_its_ends(
    shop: Application, rule: Rule, all_of_them: int
) -> None:
    found = waterfall.live(shop, rule)

    assert found is not None
    assert found.reached.size.total == audience.of(shop, rule).count()
    assert found.reached.size.total == max(0, all_of_them - 1)


def test_whoever_gets_nothing_is_taken_away_last(shop: Application) -> None:
    person = make_person(external_id="c-1")
    make_registration(shop, platform=Platform.IOS, person=person)
    do_not_contact(shop, person)

    found = waterfall.live(shop, IOS)

    assert found is not None
    assert left(found) == [7]
    size = audience.size(shop, IOS)
    assert size.left_out[Reason.DO_NOT_CONTACT] == 1
    assert found.reached.size.total == size.total == 5


def test_clauses_after_the_fortieth_are_counted_together(shop: Application) -> None:
    rule = {"all": [IOS, *[{"field": "timezone", "op": "empty"}] * 60]}

    found = waterfall.live(shop, rule)

    assert found is not None
    assert len(found.steps) == waterfall.MOST
    assert found.steps[-1].text == "22 more conditions"
    assert found.reached.size.total == audience.of(shop, rule).count()


RULES = st.recursive(
    st.sampled_from([IOS, GERMAN, SECURE, KNOWN]),
    lambda inner: st.one_of(
        st.builds(lambda rules: {"all": rules}, st.lists(inner, max_size=3)),
        st.builds(lambda rules: {"any": rules}, st.lists(inner, max_size=3)),
        st.builds(lambda rule: {"not": rule}, inner),
    ),
    max_leaves=8,
)


def test_the_last_clause_leaves_whom_the_rule_matches(shop: Application) -> None:
    """And each before it those that match it with all before, whatever the tree is."""

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(RULES)
    def check(rule: Rule) -> None:
        found = waterfall.live(shop, rule)
        kind, asked = clauses(rule)
        expected = [
            audience.matching(shop, {kind: asked[:number]}).count()
            for number in range(1, len(asked) + 1)
        ]
        assert left(found) == expected
        assert found is not None
        assert found.reached.size.total == audience.of(shop, rule).count()
        if asked:
            assert expected[-1] == audience.matching(shop, rule).count()

    check()


def test_a_group_inside_counts_the_devices_that_come_to_it(shop: Application) -> None:
    rule = {"all": [IOS, {"any": [GERMAN, {"all": [SECURE, {"not": KNOWN}]}]}]}

    found = waterfall.live(shop, rule, (1,))
    deeper = waterfall.live(shop, rule, (1, 1))

    assert found is not None
    assert deeper is not None
    assert (found.kind, found.every, found.come.total, left(found)) == ("any", 10, 6, [4, 5])
    assert [step.parts for step in found.steps] == [0, 2]
    # of the two iPhones that are not German, one has a screen lock
    assert (deeper.kind, deeper.come.total, left(deeper)) == ("all", 2, [1, 1])
    assert [step.kept for step in deeper.steps] == [0.5, 1.0]


def test_the_clauses_of_a_group_come_to_what_the_group_does(shop: Application) -> None:
    def check_inside(rule: Rule, path: waterfall.Path) -> None:
        found = waterfall.live(shop, rule, path)
        assert found is not None
        before = 0
        for number, step in enumerate(found.steps):
            here = (*path, number)
            if step.parts:
                inside = waterfall.live(shop, rule, here)
                assert inside is not None
                assert len(inside.steps) == step.parts
                assert left(inside)[-1] == step.size.total - before
                check_inside(rule, here)
            if found.kind == "any":
                before = step.size.total

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(RULES)
    def check(rule: Rule) -> None:
        check_inside(rule, ())

    check()


# ------------------------------------------------------------------------- large applications


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Application:
    """A sample of about half of 4,000 devices: three of four iPhones speak German."""
    monkeypatch.setattr(sampling, "SIZE", 2000)
    monkeypatch.setattr(sampling, "LEAST", 1000)
    monkeypatch.setattr(waterfall, "PATIENCE", 60_000)
    application = make_application(name="Large")
    dice = random.Random(7)
    Registration.objects.bulk_create(
        Registration(
            application=application,
            platform=Platform.IOS if number % 2 else Platform.ANDROID,
            language="de" if dice.random() < 0.75 else "en",
        )
        for number in range(4000)
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")  # the same sample each time
    sampling.rebuild(application)
    return application


def test_a_large_application_is_estimated_with_its_error_bound(large: Application) -> None:
    rule = {"all": [IOS, GERMAN, KNOWN]}

    found = waterfall.live(large, rule)

    assert found is not None
    assert not found.exact
    assert found.every == 4000
    german = audience.matching(large, {"all": [IOS, GERMAN]}).count()
    for step, true in zip(found.steps, (2000, german), strict=False):
        assert step.size.error > 0
        assert abs(step.size.total - true) <= 2 * step.size.error
    assert found.steps[2].size.total == 0
    assert found.steps[2].size.at_most is not None  # too few were drawn to say


def test_an_exact_count_of_each_clause_replaces_the_estimate(large: Application) -> None:
    rule = {"all": [IOS, GERMAN]}

    tasks.count_clauses(large.pk, rule)

    found = waterfall.live(large, rule)
    assert found is not None
    assert found.exact
    assert left(found) == [2000, audience.matching(large, rule).count()]
    counted = counting.count_exactly(large, rule, primary_only=False)
    assert counted is not None
    assert found.reached.size.total == counted.total


def test_the_clauses_of_a_group_are_counted_exactly_as_well(large: Application) -> None:
    rule = {"all": [IOS, {"any": [GERMAN, KNOWN]}]}
    estimate = waterfall.live(large, rule, (1,))

    tasks.count_clauses(large.pk, rule, [1])

    found = waterfall.live(large, rule, (1,))
    assert estimate is not None
    assert found is not None
    assert (estimate.exact, found.exact) == (False, True)
    german = audience.matching(large, {"all": [IOS, GERMAN]}).count()
    assert (found.come.total, left(found)) == (2000, [german, german])
    whole = waterfall.live(large, rule)
    assert whole is not None
    assert not whole.exact, "each group is counted by itself"


def test_an_exact_count_of_clauses_is_asked_for_beside_that_of_the_whole(
    large: Application,
) -> None:
    assert counting.may_ask(counting.key_of(large, IOS, primary_only=False))
    assert counting.may_ask(waterfall.key_of(large, IOS))


# ------------------------------------------------------------------------------------- pages


def make_segment(application: Application, rule: Rule) -> Segment:
    user = make_user(Role.MARKETER, application)
    return segmenting.create(application, user, name="German iPhones", rule=rule)


def test_the_page_of_a_segment_shows_its_clauses(shop: Application) -> None:
    segment = make_segment(shop, {"all": [IOS, GERMAN]})
    client = signed_in(shop, Role.ANALYST)
    address = reverse("campaigns:segment-clauses", args=[shop.pk, segment.pk])

    assert address in client.get(segment.get_absolute_url()).content.decode()
    page = client.get(address).content.decode()

    for part in (
        "Every device",
        "Platform is iOS",
        "Language is any of de or de-AT",
        "66.7",
        "75.0",
    ):
        assert part in page
    assert "Count exactly" not in page


def test_an_estimate_is_counted_exactly_on_demand(
    large: Application, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def run_now(*, kwargs: dict[str, Any], expires: int) -> None:
        tasks.count_clauses(**kwargs)

    monkeypatch.setattr(tasks.count_clauses, "apply_async", run_now)
    segment = make_segment(large, {"all": [IOS, GERMAN]})
    client = signed_in(large)
    address = reverse("campaigns:segment-clauses", args=[large.pk, segment.pk])

    assert "Count exactly" in client.get(address).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(address, {"exactly": "1"})
    assert "counting exactly" in answer.content.decode()
    assert "2,000" in (exact := client.post(address, {"exactly": "1"}).content.decode())
    assert "counting exactly" not in exact


def test_groups_are_opened_and_closed_one_by_one(shop: Application) -> None:
    rule = {"all": [IOS, {"any": [GERMAN, {"all": [SECURE, {"not": KNOWN}]}]}]}
    segment = make_segment(shop, rule)
    client = signed_in(shop)
    address = reverse("campaigns:segment-clauses", args=[shop.pk, segment.pk])

    def told(**given: Any) -> str:
        return " ".join(client.post(address, given).content.decode().split())

    closed = client.get(address).content.decode()
    assert "Show its 2 conditions" in closed
    assert "come here" not in closed
    opened = told(toggle="1")
    assert "Of the 6 that come here, those found so far" in opened
    assert '<input type="hidden" name="open" value="1">' in opened
    both = told(open="1", toggle="1.1")
    assert "Of the 2 that come here, those left after each" in both
    assert both.count('aria-expanded="true"') == 2
    assert "come here" not in told(open=["1", "1.1"], toggle="1")


@pytest.mark.parametrize("place", ["", "x", "7", "0", "1.9", "-1", "1." * 400 + "1", "9" * 500])
def test_a_place_where_no_group_stands_opens_nothing(shop: Application, place: str) -> None:
    segment = make_segment(shop, {"all": [IOS, {"any": [GERMAN, SECURE]}]})
    address = reverse("campaigns:segment-clauses", args=[shop.pk, segment.pk])

    answer = signed_in(shop).post(address, {"open": place})

    assert answer.status_code == 200
    assert "come here" not in answer.content.decode()


def test_a_clause_that_names_what_is_gone_says_so(shop: Application) -> None:
    segment = make_segment(shop, IOS)
    Segment.objects.update(rule={"field": "list", "op": "in", "value": 4_000_000})
    address = reverse("campaigns:segment-clauses", args=[shop.pk, segment.pk])

    answer = signed_in(shop).get(address)

    assert answer.status_code == 200
    assert "has no list" in answer.content.decode()


def test_the_builder_counts_the_clauses_that_are_complete(shop: Application) -> None:
    form = {
        "node": ["0::all:0", "1:0:test:0", "2:0:test:0"],
        "f1": "platform", "o1": "in", "v1": ["iOS"], "f2": "language", "o2": "in",
    }  # fmt: skip

    page = signed_in(shop).post(reverse("campaigns:segment-draft-clauses", args=[shop.pk]), form)

    told = page.content.decode()
    assert "Platform is any of iOS" in told
    assert "anguage" not in told


@pytest.mark.parametrize(("role", "status"), [(Role.SUPPORT, 403), (Role.MARKETER, 200)])
def test_the_builder_counts_clauses_for_those_who_edit(
    shop: Application, role: Role, status: int
) -> None:
    address = reverse("campaigns:segment-draft-clauses", args=[shop.pk])
    assert signed_in(shop, role).post(address, {"node": ["0::all:0"]}).status_code == status
