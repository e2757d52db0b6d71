"""Segments and their pages: who may see and change them, who is in them, who uses them."""

from typing import Any

import pytest
from django.urls import reverse
from django.utils.html import strip_tags
from pytest_django import DjangoAssertNumQueries

from campaigns import composing, explaining, segmenting
from campaigns.errors import NameTakenError, RuleError, SegmentInUseError, StaleDraftError
from campaigns.models import Segment
from campaigns.targeting import Rule
from devices.models import Application, AuditEntry, Platform, Role
from devices.permissions import RIGHTS, Right
from devices.versions import pack_version
from tests.factories import (
    make_application,
    make_campaign,
    make_person,
    make_registration,
    make_registrations,
    make_user,
    signed_in,
)

pytestmark = pytest.mark.django_db
GERMAN: Rule = {"all": [{"field": "language", "op": "in", "value": ["de", "de-AT"]}]}


@pytest.fixture
def shop() -> Application:
    application = make_application(name="Shop")
    make_registrations(application, 3, language="de")
    make_registration(application, platform=Platform.IOS, language="de-AT")
    make_registration(application, language="de", notifications_enabled=False)
    make_registrations(application, 2, language="en")
    return application


def make_segment(
    application: Application, rule: Rule | None = None, *, name: str = "German"
) -> Segment:
    user = make_user(Role.MARKETER, application)
    return segmenting.create(application, user, name=name, rule=GERMAN if rule is None else rule)


def url(name: str, segment: Segment) -> str:
    return reverse(f"campaigns:{name}", args=[segment.application_id, segment.pk])


def in_segment(segment: Segment, op: str = "in") -> Rule:
    return {"field": "segment", "op": op, "value": segment.pk}


# ------------------------------------------------------------------------------ the steps


def test_a_change_is_written_down_with_what_it_was_before(shop: Application) -> None:
    segment, user = make_segment(shop), make_user(Role.MARKETER, shop)

    segmenting.change(segment, user, version=1, name="Austrian", rule=GERMAN)

    entry = AuditEntry.objects.filter(object_type="segment").first()
    assert entry is not None
    assert (entry.action, entry.actor) == ("change segment", user)
    assert (entry.before, entry.after) == ({"name": "German"}, {"name": "Austrian"})


def test_a_change_that_did_not_see_the_last_one_is_refused(shop: Application) -> None:
    segment, user = make_segment(shop), make_user(Role.MARKETER, shop)
    segmenting.change(segment, user, version=1, name="Theirs", rule=GERMAN)

    with pytest.raises(StaleDraftError):
        segmenting.change(segment, user, version=1, name="Mine", rule=GERMAN)

    segment.refresh_from_db()
    assert segment.name == "Theirs"


def test_two_segments_of_an_application_have_two_names(shop: Application) -> None:
    make_segment(shop)
    with pytest.raises(NameTakenError):
        make_segment(shop)


def test_a_segment_that_would_name_itself_through_another_is_refused(shop: Application) -> None:
    first = make_segment(shop)
    second = make_segment(shop, {"all": [in_segment(first)]}, name="Second")
    user = make_user(Role.MARKETER, shop)

    with pytest.raises(RuleError, match="refers to itself"):
        segmenting.change(first, user, version=1, name="German", rule=in_segment(second))

    first.refresh_from_db()
    assert first.rule == GERMAN


@pytest.mark.parametrize(
    "used",
    [
        lambda segment: make_campaign(segment.application, segment=segment),
        lambda segment: make_campaign(
            segment.application, rule={"all": [{"not": {"any": [in_segment(segment)]}}]}
        ),
        lambda segment: make_segment(
            segment.application, {"all": [in_segment(segment, "not_in")]}, name="Other"
        ),
    ],
    ids=["chosen", "excluded by a campaign", "excluded by a segment"],
)
def test_a_segment_in_use_is_not_deleted(shop: Application, used: Any) -> None:
    segment = make_segment(shop)
    user = used(segment)

    with pytest.raises(SegmentInUseError, match=user.name):
        segmenting.delete(segment, make_user(Role.MARKETER, shop))

    assert Segment.objects.filter(pk=segment.pk).exists()
    assert [use.user for use in segmenting.uses(shop)[segment.pk]] == [user]


def test_a_campaign_goes_to_its_segment_and_its_own_rule(shop: Application) -> None:
    segment = make_segment(shop)
    own = {"all": [{"field": "platform", "op": "in", "value": ["iOS"]}]}

    rule = composing.rule_of(make_campaign(shop, segment=segment, rule=own))

    assert rule == {"all": [in_segment(segment), *own["all"]]}


# ------------------------------------------------------------------- does this device match


def test_the_conditions_that_say_no_are_named(shop: Application) -> None:
    person = make_person(external_id="c-1", tags=["vip"])
    device = make_registration(
        shop,
        platform=Platform.IOS,
        language="fr",
        person=person,
        person_tags=["vip"],
        app_version=pack_version("4.11"),
    )
    rule: Rule = {
        "all": [
            {"field": "platform", "op": "in", "value": ["iOS", "Huawei"]},
            {"field": "language", "op": "in", "value": ["de", "de-AT"]},
            {"any": [{"field": "tag", "op": "empty"}, {"field": "known", "value": True}]},
            {"not": {"field": "tag", "op": "has", "value": "vip"}},
        ]
    }  # fmt: skip

    verdict = explaining.explain(rule, device)

    assert not verdict.matches
    assert [each.text for each in verdict.no] == [
        "language is any of de or de-AT",
        "not: tag has vip",
    ]
    assert [each.value for each in verdict.no] == ["fr", "vip"]
    assert [member.matches for member in verdict.members] == [True, False, True, False]


def test_under_a_group_of_which_none_may_match_the_one_that_does_is_named(
    shop: Application,
) -> None:
    device = make_registration(shop, language="de")
    rule: Rule = {
        "not": {
            "any": [
                {"field": "language", "value": "de"},
                {"field": "platform", "value": "iOS"},
                {"all": [{"field": "enabled", "value": True}, {"field": "tag", "op": "empty"}]},
            ]
        }
    }

    verdict = explaining.explain(rule, device)

    assert [each.text for each in verdict.no] == [
        "language is de",
        "switched on is yes",
        "tag is empty",
    ]


def test_a_segment_in_a_rule_is_explained_by_its_own_conditions(shop: Application) -> None:
    device = make_registration(shop, language="en")

    verdict = explaining.explain(in_segment(make_segment(shop)), device)

    assert [each.text for each in verdict.no] == ["language is any of de or de-AT"]


# ------------------------------------------------------------------------------ the pages


def test_a_segment_is_read_counted_and_asked(shop: Application) -> None:
    segment = make_segment(shop)
    make_campaign(shop, name="Friday sale", segment=segment)
    person = make_person(external_id="c-77", phone="491701234567", first_name="Ana")
    make_registration(shop, person=person, language="en")
    client = signed_in(shop)

    text = " ".join(strip_tags(client.get(url("segment", segment)).content.decode()).split())
    members = client.get(url("segment-members", segment)).content.decode()
    answer = strip_tags(client.get(url("segment-match", segment), {"q": "c-77"}).content.decode())

    assert "Language is any of de or de-AT." in text
    assert "4 devices would get a push now exact" in text
    assert "Android3iOS1" in text
    assert "1Notifications are switched off" in text
    assert "Friday sale" in text
    assert members.count("<li>") == 4
    answer = " ".join(answer.split())
    assert "It does not match. What says no: language is any of de or de-AT." in answer
    assert "This device: en" in answer


def test_a_device_that_matches_and_cannot_be_reached_is_told_so(shop: Application) -> None:
    segment = make_segment(shop)
    muted = shop.registrations.get(notifications_enabled=False)

    page = signed_in(shop).get(url("segment-match", segment), {"q": str(muted.address.public_id)})

    assert "It matches, and gets no push: notifications are switched off" in page.content.decode()


def test_the_statement_is_shown_to_those_who_see_settings(shop: Application) -> None:
    segment = make_segment(shop)

    developer = signed_in(shop, Role.DEVELOPER).get(url("segment", segment)).content.decode()
    marketer = signed_in(shop, Role.MARKETER).get(url("segment", segment)).content.decode()

    assert "devices_registration" in developer
    assert "devices_registration" not in marketer


PAGES = {
    "segment": Right.SEE_CAMPAIGNS,
    "segment-size": Right.SEE_CAMPAIGNS,
    "segment-members": Right.SEE_DEVICES,
    "segment-match": Right.SEE_DEVICES,
    "segment-delete": Right.EDIT_CAMPAIGNS,
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", PAGES)
def test_the_server_asks_for_the_right_of_each_page(
    shop: Application, name: str, role: Role
) -> None:
    segment = make_segment(shop)
    client = signed_in(shop, role)

    call = client.post if name == "segment-delete" else client.get
    status = call(url(name, segment)).status_code

    assert (status == 403) == (PAGES[name] not in RIGHTS[role])


@pytest.mark.parametrize("name", PAGES)
def test_another_applications_segment_is_not_found(shop: Application, name: str) -> None:
    theirs = make_segment(make_application())
    address = reverse(f"campaigns:{name}", args=[shop.pk, theirs.pk])
    client = signed_in(shop)

    call = client.post if name == "segment-delete" else client.get
    assert call(address).status_code == 404


def test_deleting_a_segment_in_use_says_who_uses_it(shop: Application) -> None:
    segment = make_segment(shop)
    make_campaign(shop, name="Friday sale", segment=segment)

    page = signed_in(shop).post(url("segment-delete", segment), follow=True)

    assert "in use by the campaign “Friday sale”" in page.content.decode()


def test_a_rule_whose_list_was_deleted_has_a_page_that_says_so(shop: Application) -> None:
    segment = make_segment(shop)
    Segment.objects.filter(pk=segment.pk).update(rule={"field": "list", "op": "in", "value": 99})
    client = signed_in(shop)

    assert "has no list 99" in client.get(url("segment", segment)).content.decode()
    for name in ("segment-size", "segment-members", "segment-match"):
        assert client.get(url(name, segment), {"q": "491"}).status_code == 200


def test_the_list_costs_as_many_statements_for_many_segments_as_for_one(
    shop: Application, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in(shop)
    address = reverse("campaigns:segments", args=[shop.pk])
    segments = [make_segment(shop, name=f"Segment {number}") for number in range(3)]
    make_campaign(shop, name="Friday sale", segment=segments[0])
    client.get(address)

    with django_assert_num_queries(11):
        page = client.get(address).content.decode()

    assert page.index("Segment 2") < page.index("Segment 0")
    assert "Friday sale" in page
    assert "Segment 1" not in client.get(address, {"q": "ment 2"}).content.decode()
