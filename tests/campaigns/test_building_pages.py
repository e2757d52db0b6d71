"""The pages on which rules are built."""

import pytest
from django.urls import reverse

from campaigns import building
from campaigns.building import TEST, Node
from campaigns.models import Segment
from campaigns.targeting import FIELDS, Rule, to_q
from devices.models import Application, AttributeDefinition, AuditEntry, Platform, Role
from devices.permissions import RIGHTS, Right
from tests.campaigns.rule_forms import GERMAN, IOS, LAPSED, form_of
from tests.factories import (
    make_application,
    make_campaign,
    make_person,
    make_registration,
    make_registrations,
    signed_in,
)


@pytest.fixture
def shop(db: None) -> Application:
    application = make_application(name="Shop")
    make_registrations(application, 3, language="de")
    make_registration(application, platform=Platform.IOS, language="de-AT")
    make_registrations(application, 2, language="en")
    return application


def url(name: str, application: Application, *more: object) -> str:
    return reverse(f"campaigns:{name}", args=[application.pk, *more])


def test_a_rule_is_built_saved_and_changed(shop: Application) -> None:
    client = signed_in(shop)
    form = form_of(building.tree_of(LAPSED, {})) | {"name": "Lapsed"}

    saved = client.post(url("segment-new", shop), form)

    segment = Segment.objects.get(application=shop)
    assert saved.headers["HX-Redirect"] == url("segment", shop, segment.pk)
    assert (segment.name, segment.rule) == ("Lapsed", LAPSED)
    assert AuditEntry.objects.filter(action="create segment").count() == 1
    assert segment.created_by is not None
    edit = client.get(url("segment-edit", shop, segment.pk)).content.decode()
    assert 'value="de-AT"' in edit
    changed = form_of(building.tree_of({"all": [GERMAN]}, {})) | {"name": "German", "version": "1"}
    client.post(url("segment-edit", shop, segment.pk), changed)
    segment.refresh_from_db()
    assert (segment.name, segment.rule, segment.version) == ("German", {"all": [GERMAN]}, 2)
    again = client.post(url("segment-edit", shop, segment.pk), changed | {"name": "Mine"})
    assert "Somebody else changed this segment" in again.content.decode()


def test_the_largest_rule_the_builder_shows_is_posted_changed_and_saved(shop: Application) -> None:
    """Ten values each: 298 conditions are some 5,000 fields."""
    values = [f"Phone {n}" for n in range(10)]
    rule: Rule = {
        "all": [{"field": "model", "op": "not_in", "value": [*values, f"{number}"]}
                for number in range(building.MOST - 2)]
    }  # fmt: skip
    client, root = signed_in(shop), building.tree_of(rule, {})
    form = form_of(root) | {"name": "Large"}

    more = client.post(url("segment-build", shop), form | {"do": "add-test:0"})
    saved = client.post(url("segment-new", shop), form)

    assert f'id="f{building.MOST - 1}"' in more.content.decode()
    segment = Segment.objects.get(application=shop)
    assert saved.headers["HX-Redirect"] == url("segment", shop, segment.pk)
    assert segment.rule == rule
    edit = client.get(url("segment-edit", shop, segment.pk))
    assert edit.content.decode().count("data-node") == building.MOST - 1


def test_a_rule_that_is_full_says_so_and_loses_nothing(shop: Application) -> None:
    full: Rule = {"all": [GERMAN] * (building.MOST - 1)}
    form = form_of(building.tree_of(full, {})) | {"do": "add-test:0"}

    page = signed_in(shop).post(url("segment-build", shop), form).content.decode()

    assert f"A rule has at most {building.MOST} conditions here" in page
    assert page.count("data-node") == building.MOST


def test_faults_stand_at_their_conditions_and_nothing_is_saved(shop: Application) -> None:
    rule: Rule = {"all": [GERMAN, {"any": [{"field": "app_version", "op": "lt", "value": "new"}]}]}
    form = form_of(building.tree_of(rule, {})) | {"name": ""}

    page = signed_in(shop).post(url("segment-new", shop), form).content.decode()

    assert '<li data-for="3">Expected a version such as 4.10.2.</li>' in page
    assert "Give the segment a name." in page
    assert not Segment.objects.exists()


def test_typing_counts_the_conditions_that_are_complete(shop: Application) -> None:
    form = form_of(building.tree_of({"all": [GERMAN]}, {}))
    form["node"].append("9:0:test:0")
    form |= {"f9": "app_version", "o9": "lt", "v9": ""}

    page = signed_in(shop).post(url("segment-count", shop), form).content.decode()

    assert "<strong>4</strong> devices would get it now" in page
    assert "In words: <span data-in-words>language is any of de or de-AT</span>." in page
    assert "1 condition is not complete" in page
    assert "data-for" not in page


def test_an_attribute_offers_what_fits_its_type_and_the_values_noted_of_it(
    shop: Application,
) -> None:
    AttributeDefinition.objects.create(
        scope=AttributeDefinition.Scope.DEVICE, application=shop, name="ltv", type="number",
        samples=[120, 80],
    )  # fmt: skip
    form = {"node": ["0::all:0", "1:0:test:0"], "f1": "attribute:ltv", "do": "field:1"}

    page = signed_in(shop).post(url("segment-build", shop), form).content.decode()

    assert '<option value="120">' in page
    assert '<option value="gt">is more than</option>' in page
    assert "starts with" not in page


def test_values_that_exist_are_suggested_the_commonest_first(shop: Application) -> None:
    form = {"node": ["0::all:0", "1:0:test:0"], "f1": "language", "do": "field:1"}

    page = signed_in(shop).post(url("segment-build", shop), form).content.decode()

    assert page.index('<option value="de">') < page.index('<option value="en">')


def test_a_click_before_the_script_is_there_gets_a_whole_page_and_saves_nothing(
    shop: Application,
) -> None:
    form = {"node": "0::all:0", "k0": "all", "name": "Early", "do": "add-test:0"}

    plain = signed_in(shop).post(url("segment-build", shop), form).content.decode()
    by_script = signed_in(shop).post(
        url("segment-build", shop), form, headers={"HX-Request": "true"}
    )

    assert plain.startswith("<!DOCTYPE html>")
    assert 'id="f1"' in plain
    assert "<html" not in by_script.content.decode()
    assert not Segment.objects.exists()


def test_a_rule_is_tried_before_it_is_saved(shop: Application) -> None:
    """Members, why a device is in it or not, and the statement that would be asked."""
    form = form_of(building.tree_of({"all": [GERMAN, IOS]}, {}))
    form["node"].append("9:0:test:0")  # not complete: not asked
    ana = make_person(first_name="Ana", external_id="c-ana")
    make_registration(shop, language="fr", platform=Platform.IOS, person=ana)
    client = signed_in(shop, Role.ADMINISTRATOR)

    members = client.post(url("segment-draft-members", shop), form).content.decode()
    answer = client.post(url("segment-draft-match", shop), form | {"q": "Ana"}).content.decode()
    statement = client.post(url("segment-draft-sql", shop), form).content.decode()

    assert members.count("<li") == 1
    assert "iOS" in members
    assert "language is any of de or de-AT</strong>" in answer
    assert "platform is any of iOS or Huawei" in answer
    assert "SELECT" in statement
    assert "de-AT" in statement
    nobody = client.post(url("segment-draft-match", shop), form | {"q": "nobody"})
    assert "No device of this application is found by that" in nobody.content.decode()


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("segment-draft-clauses", Right.EDIT_CAMPAIGNS),
        ("segment-draft-members", Right.SEE_DEVICES),
        ("segment-draft-match", Right.SEE_DEVICES),
        ("segment-draft-sql", Right.SEE_SETTINGS),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_a_draft_tells_each_role_what_its_segment_would(
    shop: Application, name: str, right: Right, role: Role
) -> None:
    answer = signed_in(shop, role).post(url(name, shop), {"node": ["0::all:0"]})
    assert answer.status_code == (200 if right in RIGHTS[role] else 403)


@pytest.mark.parametrize("name", ["segment-new", "segment-build", "segment-count"])
def test_only_who_may_edit_builds(shop: Application, name: str) -> None:
    assert signed_in(shop, Role.ANALYST).post(url(name, shop)).status_code == 403


def test_a_segment_cannot_be_chosen_for_itself(shop: Application) -> None:
    segment = Segment.objects.create(application=shop, name="Itself", rule={"all": [GERMAN]})
    Segment.objects.create(application=shop, name="Another", rule={"all": []})
    form = {
        "node": ["0::all:0", "1:0:test:0"], "f1": "segment", "o1": "in",
        "segment": str(segment.pk), "do": "op:1",
    }  # fmt: skip

    page = signed_in(shop).post(url("segment-build", shop), form).content.decode()

    assert "Another</option>" in page
    assert "Itself</option>" not in page


def test_a_campaign_goes_to_a_segment_without_others(shop: Application) -> None:
    german = Segment.objects.create(application=shop, name="German", rule={"all": [GERMAN]})
    ios = Segment.objects.create(application=shop, name="On iOS", rule={"all": [IOS]})
    campaign = make_campaign(shop)
    typed = {
        "name": "Sale", "text": "Today", "on_tap": "app", "hours": "48",
        "repeat_policy": "when_refused", "segment": german.pk, "without_segments": [ios.pk],
        "draft_version": "1",
    }  # fmt: skip

    page = signed_in(shop).post(url("edit", shop, campaign.pk), typed).content.decode()

    campaign.refresh_from_db()
    assert campaign.segment == german
    assert campaign.rule == {"all": [{"field": "segment", "op": "not_in", "value": ios.pk}]}
    assert "<dt>Android</dt><dd>3</dd>" in page
    shown = signed_in(shop).get(url("edit", shop, campaign.pk)).content.decode()
    assert f'<option value="{german.pk}" selected>German</option>' in shown
    assert "is in segment “German” and is not in segment “On iOS”" in shown


def test_every_operator_offered_can_be_compiled(shop: Application) -> None:
    """What the builder asks for is what the compiler takes."""
    samples = {
        "none": [], "days": ["3"], "chips": ["a"], "one": ["4.10"], "pair": ["1", "2"],
        "date": ["2026-01-01"], "dates": ["2026-01-01", "2026-02-01"], "yes-no": ["true"],
        "item": ['{"a": 1}'],
    }  # fmt: skip
    choices = {"platform": "iOS", "gender": "MALE", "person_type": "LEAD"}
    fields = [name for name in FIELDS if name not in ("list", "segment")]
    for name in [*fields, "event:buy", *(f"attribute:{type_}" for type_ in building.OF_TYPE)]:
        node = Node(1, TEST, field=name, type=name.removeprefix("attribute:"))
        for op in building.operators(node):
            node.op = op
            node.values = samples.get(node.input) or [choices.get(name, "")]
            if node.field_kind == "number" or node.type == "number":
                node.values = ["1", "2"][: len(node.values)]
            rule = building.rule_of(Node(0, "all", members=[node]))
            assert not node.problem, (name, op)
            to_q(rule, shop)
