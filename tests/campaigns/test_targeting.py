from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns.errors import RuleError
from campaigns.models import ListMember, Segment, StaticList
from campaigns.targeting import DEPTH, NODES, Rule, compiled, expanded, sentence, to_q
from campaigns.targeting.values import VALUES
from devices.models import Application, Platform, Registration
from devices.versions import pack_version
from tests.factories import (
    make_application,
    make_campaign,
    make_person,
    make_registration,
    make_registrations,
)

pytestmark = pytest.mark.django_db


def matched(application: Application, rule: Rule) -> set[int]:
    found = Registration.objects.filter(to_q(rule, application), application=application)
    return set(found.values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("test", "fits", "differs"),
    [
        ({"field": "platform", "op": "is", "value": "ios"}, {"platform": 2}, {"platform": 1}),
        ({"field": "platform", "op": "not_in", "value": ["iOS"]}, {"platform": 1}, {"platform": 2}),
        (
            {"field": "language", "op": "in", "value": ["de", "fr"]},
            {"language": "fr"},
            {"language": "en"},
        ),
        (
            {"field": "language", "op": "is_not", "value": "de"},
            {"language": ""},
            {"language": "de"},
        ),
        (
            {"field": "language", "op": "starts_with", "value": "de"},
            {"language": "de-AT"},
            {"language": "en-DE"},
        ),
        (
            {"field": "app_version", "op": "gte", "value": "4.10"},
            {"app_version": pack_version("4.10.0")},
            {"app_version": pack_version("4.9.9")},
        ),
        (
            {"field": "app_version", "op": "lt", "value": "4.10"},
            {"app_version": pack_version("4.9")},
            {"app_version": 0},  # never told
        ),
        ({"field": "secure", "op": "is", "value": False}, {"secure": None}, {"secure": True}),
        (
            {"field": "last_seen", "op": "within_days", "value": 7},
            {},
            {"last_seen_day": timezone.now().date() - timedelta(days=8)},
        ),
        (
            {"field": "tag", "op": "has", "value": "vip"},
            {"person_tags": ["vip", "x"]},
            {"person_tags": ["VIP"]},
        ),
        (
            {"field": "tag", "op": "has_not", "value": "vip"},
            {"person_tags": []},
            {"person_tags": ["vip"]},
        ),
        (
            {"field": "attribute:plan", "op": "is", "value": "gold"},
            {"attributes": {"plan": "gold"}},
            {"attributes": {"plan": ["gold"]}},
        ),
        (
            {"field": "attribute:plan", "op": "is_not", "value": "gold"},
            {"attributes": {}},
            {"attributes": {"plan": "gold"}},
        ),
        (
            {"field": "attribute:ltv", "op": "gt", "value": 100},
            {"attributes": {"ltv": 100.5}},
            {"attributes": {"ltv": True}},
        ),
        (
            {"field": "attribute:since", "op": "lt", "value": "2026-02-01"},
            {"attributes": {"since": "2026-01-31"}},
            {"attributes": {"since": 5}},
        ),
        (
            {"field": "attribute:plan", "op": "empty"},
            {"attributes": {"other": 1}},
            {"attributes": {"plan": ""}},
        ),
        # names that look like lookups or SQL are only names
        (
            {"field": "attribute:a__gt", "op": "is", "value": 1},
            {"attributes": {"a__gt": 1}},
            {"attributes": {"a": 2}},
        ),
        (
            {"field": "attribute:x'); DROP TABLE people; --", "op": "gte", "value": 1},
            {"attributes": {"x'); DROP TABLE people; --": 1}},
            {"attributes": {}},
        ),
    ],
)
def test_a_condition_tells_devices_apart(
    test: Rule, fits: dict[str, Any], differs: dict[str, Any]
) -> None:
    application = make_application()
    yes = make_registration(application, **{"platform": Platform.ANDROID, **fits})
    no = make_registration(application, **{"platform": Platform.ANDROID, **differs})

    assert matched(application, test) == {yes.pk}
    assert matched(application, {"not": test}) == {no.pk}  # the set complement


@pytest.mark.parametrize(
    ("field", "value"),
    [("external_id", "u-1"), ("phone", "+41793026727"), ("email", "ANA@example.com")],
)
def test_an_identity_finds_the_devices_of_its_person(field: str, value: str) -> None:
    application = make_application()
    person = make_person(external_id="u-1", phone="41793026727", email="ana@example.com")
    owned = make_registration(application, person=person)
    anonymous = make_registration(application)

    rule = {"field": field, "op": "is", "value": value}
    assert matched(application, rule) == {owned.pk}
    assert matched(application, {"not": rule}) == {anonymous.pk}


def test_an_empty_all_is_everybody_and_an_empty_any_is_nobody() -> None:
    application = make_application()
    device = make_registration(application)

    assert matched(application, {}) == matched(application, {"all": []}) == {device.pk}
    assert matched(application, {"any": []}) == set()
    assert matched(application, {"not": {"any": []}}) == {device.pk}


def deep(levels: int) -> Rule:
    rule: Rule = {"all": []}
    for _ in range(levels):
        rule = {"all": [rule]}
    return rule


@pytest.mark.parametrize(
    ("rule", "path", "part"),
    [
        ({"all": [{"field": "colour"}]}, "all[0].field", "no field 'colour'"),
        ({"any": [{"all": "x"}]}, "any[0].all", "expected a list"),
        ({"field": "platform", "op": "gt"}, "op", "takes one of"),
        ({"field": "platform", "op": "is", "value": "Symbian"}, "value", "one of: Android"),
        ({"field": "last_seen", "op": "before", "value": "2026-02-30"}, "value", "a day such as"),
        ({"field": "last_seen", "op": "within_days", "value": True}, "value", "number of days"),
        ({"field": "app_version", "op": "lt", "value": "new"}, "value", "a version such as"),
        ({"field": "tag", "op": "has", "value": "a\x00b"}, "value", "not empty"),
        ({"field": "attribute:x", "op": "is", "value": {"y": 1}}, "value", "expected a text"),
        ({"field": "attribute:x", "op": "gt", "value": True}, "value", "no order"),
        ({"all": [], "any": []}, "", "exactly one"),
        ({"not": 5}, "not", "expected an object"),
        ({"all": [{"all": []}] * NODES}, f"all[{NODES - 1}]", "at most"),
        ({"all": [{"all": []}] * 10_000}, f"all[{NODES - 1}]", "at most"),
        ({"all": [], "op": "is"}, "", "has no 'op'"),
        ({"field": "tag", "op": "has", "value": "x", "zone": "UTC"}, "", "has no 'zone'"),
        ({"field": 7}, "field", "expected a text"),
        ({"field": "attribute:"}, "field", "no field"),
        ({"field": "attribute:" + "x" * 300}, "field", "no field"),
        ({"field": "attribute:\ud800"}, "field", "no field"),
        ({"field": "attribute:\x00"}, "field", "no field"),
        ({"field": "platform", "op": ["is"], "value": "iOS"}, "op", "takes one of"),
        ({"field": "platform", "value": ["iOS", "Android"]}, "value", "not a list"),
        ({"field": "tag", "op": "has", "value": "\ud800"}, "value", "not empty"),
        ({"field": "tag", "op": "has_any", "value": ["a", 5]}, "value[1]", "not empty"),
        ({"field": "tag", "op": "has_any", "value": []}, "value", "at least one"),
        ({"field": "email", "op": "in", "value": ["a"] * (VALUES + 1)}, "value", "100,000"),
        ({"field": "attribute:x", "op": "in", "value": [1, None]}, "value[1]", "expected a text"),
        ({"field": "attribute:x", "op": "gt", "value": float("nan")}, "value", "a number"),
        ({"field": "attribute:x", "op": "gt", "value": 10**400}, "value", "a number"),
        ({"field": "attribute:x", "op": "gt", "value": "big"}, "value", "a day such as"),
        ({"field": "attribute:x", "op": "between", "value": [1]}, "value", "list of two"),
        ({"field": "attribute:x", "op": "has_item", "value": [1]}, "value", "an object"),
        (
            {"field": "created", "op": "between", "value": ["2026-02-02", "2026-02-01"]},
            "value",
            "after the last",
        ),
        (
            {"field": "created", "op": "is", "value": "2026-02-01", "zone": "../../etc/passwd"},
            "zone",
            "a zone such as",
        ),
        (
            {"field": "created", "op": "is", "value": "2026-02-01", "zone": ["UTC"]},
            "zone",
            "a zone such as",
        ),
        ({"field": "birthday", "op": "anniversary_within", "value": 10**9}, "value", "days from 0"),
        ({"field": "timezone", "op": "gt", "value": 40_000}, "value", "a whole number"),
        ({"field": "known", "value": "yes"}, "value", "true or false"),
        ({"field": "seen", "op": "ever", "campaign": 10**30}, "campaign", "number of a campaign"),
        ({"field": "seen", "op": "ever", "campaign": 4_000_000}, "campaign", "no campaign 4000000"),
        ({"not": {"field": "list", "op": "in", "value": 4_000_000}}, "not.value", "no list"),
        ({"field": "segment", "op": "in", "value": 4_000_000}, "value", "no segment"),
        ({"field": "event:"}, "field", "no field"),
        ({"field": "event:buy", "op": "ever", "times": 0}, "times", "number of times from 1"),
        ({"field": "event:buy", "op": "ever", "value": 3}, "value", "takes no value"),
        ({"field": "event:buy", "op": "ever", "where": {}}, "where", "expected a list"),
        (
            {"field": "event:buy", "op": "ever", "where": [{"op": "is"}]},
            "where[0].property",
            "name of a property",
        ),
        (
            {"field": "event:buy", "op": "ever", "where": [{"property": "a", "op": "has_item"}]},
            "where[0].op",
            "a property takes",
        ),
        (
            {"field": "event:buy", "op": "ever", "where": [{"property": "a", "value": []}]},
            "where[0].value",
            "expected a text",
        ),
        (
            {"field": "event:buy", "op": "ever", "where": [{"property": "a", "value": 1, "x": 1}]},
            "where[0]",
            "has no 'x'",
        ),
    ],
)
def test_a_fault_names_its_place(rule: Any, path: str, part: str) -> None:
    with pytest.raises(RuleError) as fault:
        to_q(rule, make_application())
    assert fault.value.path == path
    assert part in fault.value.problem


def test_groups_nest_only_so_deep() -> None:
    to_q(deep(DEPTH), make_application())
    with pytest.raises(RuleError, match="nest at most"):
        to_q(deep(1000), make_application())


def test_a_rule_reads_as_a_sentence() -> None:
    rule = {
        "all": [
            {"field": "platform", "op": "is", "value": "iOS"},
            {"any": [
                {"field": "tag", "op": "has", "value": "vip"},
                {"field": "app_version", "op": "lt", "value": "4.10"},
            ]},
            {"not": {"field": "attribute:plan", "op": "empty"}},
        ]
    }  # fmt: skip
    assert sentence(rule) == (
        "platform is iOS and (tag has vip or app version is older than 4.10)"
        " and not (plan is empty)"
    )
    assert sentence({}) == "every device"


def test_a_sentence_names_what_a_rule_refers_to() -> None:
    application = make_application()
    campaign = make_campaign(application, name="Friday sale")
    testers = StaticList.objects.create(application=application, name="Testers")
    rule = {
        "any": [
            {"field": "clicked", "op": "not_within_days", "value": 30, "campaign": campaign.pk},
            {"field": "list", "op": "not_in", "value": testers.pk},
            {"field": "segment", "op": "in", "value": 4_000_000},
            {"field": "created", "op": "within_days", "value": 1, "zone": "recipient"},
            {
                "field": "event:purchase",
                "op": "within_days",
                "value": 30,
                "times": 2,
                "where": [{"property": "total", "op": "gt", "value": 50}],
            },
            {"field": "session", "op": "never"},
            {"field": "email", "op": "in", "value": [f"{n}@example.com" for n in range(12)]},
        ]
    }
    assert sentence(rule) == (
        "tapped “Friday sale” not in the last 30 days or is not on list “Testers”"
        " or is in segment 4000000, which was deleted"
        " or registered in the last 1 day (recipient's time)"
        " or did “purchase” at least 2 times in the last 30 days where total is more than 50"
        " or never used the app"
        " or e-mail is any of 0@example.com or 1@example.com or 2@example.com or 3@example.com"
        " or 4@example.com or 5@example.com or 6@example.com or 7@example.com"
        " or 8@example.com or 9@example.com or 2 others"
    )


def test_a_segment_may_name_another_but_not_itself_through_it() -> None:
    application = make_application()
    one = Segment.objects.create(application=application, name="one")
    two = Segment.objects.create(
        application=application,
        name="two",
        rule={"any": [{"field": "segment", "op": "not_in", "value": one.pk}]},
    )
    vip, plain = make_registration(application, person_tags=["vip"]), make_registration(application)
    one.rule = {"field": "tag", "op": "has", "value": "vip"}
    one.save()

    names_two = {"field": "segment", "op": "in", "value": two.pk}
    assert matched(application, names_two) == {plain.pk}
    assert matched(application, {"not": names_two}) == {vip.pk}
    assert expanded(names_two, application) == {"any": [{"not": one.rule}]}

    one.rule = {"all": [names_two]}
    one.save()
    with pytest.raises(RuleError, match="refers to itself") as fault:
        to_q({"all": [names_two]}, application)
    assert fault.value.path == (f"all[0]→segment {two.pk}.any[0]→segment {one.pk}.all[0].value")


def test_segments_that_name_each_other_twice_do_not_explode() -> None:
    application = make_application()
    rule: Rule = {"field": "tag", "op": "has", "value": "x"}
    for number in range(20):
        found = Segment.objects.create(application=application, name=str(number), rule=rule)
        rule = {"any": [{"field": "segment", "op": "in", "value": found.pk}] * 2}
    with pytest.raises(RuleError, match=f"at most {NODES:,}"):
        to_q(rule, application)


def test_what_belongs_to_another_application_cannot_be_named() -> None:
    mine, other = make_application(), make_application()
    theirs = StaticList.objects.create(application=other, name="x")
    segment = Segment.objects.create(application=other, name="x")
    campaign = make_campaign(other)
    for rule in (
        {"field": "list", "op": "in", "value": theirs.pk},
        {"field": "segment", "op": "in", "value": segment.pk},
        {"field": "seen", "op": "ever", "campaign": campaign.pk},
    ):
        with pytest.raises(RuleError, match="this application has no"):
            to_q(rule, mine)


def test_a_list_holds_people_with_all_their_devices_and_single_devices() -> None:
    application = make_application()
    found = StaticList.objects.create(application=application, name="Testers")
    person = make_person()
    phone, tablet = (make_registration(application, person=person) for _ in range(2))
    alone, nobody = make_registration(application), make_registration(application)
    ListMember.objects.create(list=found, person=person)
    ListMember.objects.create(list=found, registration=alone)

    on = {"field": "list", "op": "in", "value": found.pk}
    assert matched(application, on) == {phone.pk, tablet.pk, alone.pk}
    assert matched(application, {"not": on}) == {nobody.pk}


def test_a_hundred_thousand_identities_are_one_condition() -> None:
    application = make_application()
    known = make_registration(application, person=make_person(external_id="u-99999"))
    make_registrations(application, 3)
    rule = {"field": "external_id", "op": "in", "value": [f"u-{n}" for n in range(VALUES)]}

    assert matched(application, rule) == {known.pk}


def test_the_deepest_and_the_largest_rule_can_be_asked() -> None:
    application = make_application()
    device = make_registration(application, platform=Platform.IOS)
    ios: Rule = {"field": "platform", "op": "is", "value": "iOS"}
    nested = ios
    for _ in range(DEPTH // 2):
        nested = {"not": {"any": [nested]}}
    assert matched(application, nested) == (set() if DEPTH // 2 % 2 else {device.pk})
    wide = [
        {"not": {"field": f"attribute:{n}", "op": "gt", "value": n}} for n in range(NODES // 2 - 1)
    ]
    assert matched(application, {"all": wide}) == {device.pk}


@pytest.mark.parametrize(
    ("zone", "registered"), [("UTC", 0), ("Pacific/Auckland", 1), ("recipient", 2)]
)
def test_whose_midnight_counts_is_said_by_the_zone(zone: str, registered: int) -> None:
    now = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)  # 12:30 of the 22nd in Auckland
    application = make_application()
    make_registration(application, created_at=now, timezone_offset=0)
    make_registration(application, created_at=now, timezone_offset=60)

    rule = {"field": "created", "op": "is", "value": "2026-11-22", "zone": zone}
    condition = compiled(rule, application, now=now).condition
    assert Registration.objects.filter(condition).count() == {0: 0, 1: 2, 2: 1}[registered]
    today = {"field": "created", "op": "within_days", "value": 0, "zone": zone}
    condition = compiled(today, application, now=now).condition
    assert Registration.objects.filter(condition).count() == 2


def test_who_was_born_on_the_29th_of_february_celebrates_every_year() -> None:
    application = make_application()
    person = make_person(birthday=date(2000, 2, 29))
    make_registration(application, person=person)
    rule = {"field": "birthday", "op": "anniversary_within", "value": 0}
    celebrated = []
    for day in (date(2027, 2, 28), date(2027, 3, 1), date(2028, 2, 28), date(2028, 2, 29)):
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        condition = compiled(rule, application, now=noon).condition
        if Registration.objects.filter(condition).exists():
            celebrated.append(day)
    assert celebrated == [date(2027, 2, 28), date(2028, 2, 29)]
