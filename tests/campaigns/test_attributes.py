"""The registry of attributes: what it shows to whom, and who may have an index built."""

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from campaigns.models import Segment
from campaigns.targeting import Rule
from devices import attributes, indexing, tasks
from devices.indexing import Condition, State
from devices.models import Application, AttributeDefinition, AuditEntry, Role
from devices.permissions import RIGHTS, Right
from tests.factories import (
    make_application,
    make_campaign,
    make_person,
    make_registration,
    signed_in,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Application:
    application = make_application(name="Shop")
    told = {"ltv": 120, "plan": "gold", "beta": True, "cart": [{"sku": "A-1"}]}
    attributes.check(application, told)
    attributes.check(None, {"loyalty": 77})
    make_registration(application, attributes=told, person=make_person(attributes={"loyalty": 77}))
    make_registration(application, attributes={"plan": "gold"})
    make_registration(application, attributes={"plan": "x" * 100})
    return application


def registry(application: Application) -> str:
    return reverse("campaigns:attributes", args=[application.pk])


def switch(definition: AttributeDefinition, application: Application) -> str:
    return reverse("campaigns:attribute-index", args=[application.pk, definition.pk])


def test_each_attribute_has_its_type_values_and_users(shop: Application) -> None:
    rule: Rule = {"any": [{"not": {"field": "attribute:ltv", "op": "gt", "value": 5}}]}
    Segment.objects.create(application=shop, name="Rich", rule=rule)
    loyal: Rule = {"field": "person_attribute:loyalty", "op": "gt", "value": 5}
    make_campaign(shop, name="Friday sale", rule=loyal)
    theirs = make_application()
    attributes.check(theirs, {"secret": 1})
    Segment.objects.create(application=theirs, name="Their secret", rule=rule)

    page = signed_in(shop, Role.ADMINISTRATOR).get(registry(shop)).content.decode()

    assert all(name in page for name in ("ltv", "plan", "beta", "cart", "loyalty"))
    assert "secret" not in page
    assert f"gold · {'x' * 39}…" in page  # the commonest first
    assert "1 item" in page
    assert ">Rich</a>" in page
    assert ">Friday sale</a>" in page
    assert "not needed" in page
    found = signed_in(shop, Role.ADMINISTRATOR).get(registry(shop), {"q": "TV"}).content.decode()
    assert "ltv" in found
    assert "loyalty" not in found


def test_a_search_that_finds_nothing_leads_back_to_all(shop: Application) -> None:
    client = signed_in(shop)
    for headers in ({}, {"HX-Request": "true"}):  # the page, and its table alone
        found = client.get(registry(shop), {"q": "none"}, headers=headers).content.decode()
        assert f'href="{registry(shop)}">Show every attribute</a>' in found


def test_values_are_shown_to_those_who_see_devices(shop: Application) -> None:
    page = signed_in(shop, Role.ANALYST).get(registry(shop)).content.decode()
    assert "ltv" in page
    assert "gold" not in page


def test_what_people_of_other_applications_have_is_not_shown(shop: Application) -> None:
    attributes.check(None, {"nickname": "Zorro"})
    make_person(attributes={"nickname": "Zorro"})
    page = signed_in(shop, Role.ADMINISTRATOR).get(registry(shop)).content.decode()
    assert "nickname" in page
    assert "Zorro" not in page


@pytest.mark.parametrize("role", Role)
def test_an_index_is_for_those_who_change_settings(shop: Application, role: Role) -> None:
    client = signed_in(shop, role)
    definition = AttributeDefinition.objects.get(name="ltv")
    offered = "Build index of ltv" in client.get(registry(shop)).content.decode()

    status = client.post(switch(definition, shop), {"indexed": "yes"}).status_code

    may = Right.EDIT_SETTINGS in RIGHTS[role]
    assert (status, offered) == (302 if may else 403, may)
    definition.refresh_from_db()
    assert definition.indexed == may


def test_an_index_is_asked_for_and_taken_back(
    shop: Application,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    queued: list[int] = []
    monkeypatch.setattr(tasks.fit_indexes, "delay", lambda: queued.append(1))
    client = signed_in(shop, Role.ADMINISTRATOR)
    definition = AttributeDefinition.objects.get(name="ltv")
    for wanted, said in (("yes", "is being built"), ("no", "is being dropped")):
        with django_capture_on_commit_callbacks(execute=True):
            page = client.post(switch(definition, shop), {"indexed": wanted}, follow=True)
        assert f"The index of ltv {said}" in page.content.decode()
    assert len(queued) == 2
    assert AuditEntry.objects.filter(object_type="attributedefinition").count() == 2

    beta = AttributeDefinition.objects.get(name="beta")
    refused = client.post(switch(beta, shop), {"indexed": "yes"}, follow=True)
    assert "Only numbers, dates and texts" in refused.content.decode()


def test_attributes_of_other_applications_are_not_found(shop: Application) -> None:
    theirs = make_application()
    attributes.check(theirs, {"ltv": 1})
    definition = AttributeDefinition.objects.get(application=theirs)
    assert (
        signed_in(shop, Role.ADMINISTRATOR)
        .post(switch(definition, shop), {"indexed": "yes"})
        .status_code
        == 404
    )


@pytest.mark.parametrize(
    ("condition", "shown", "asks_again"),
    [
        (Condition(State.WAITING), "Waiting", True),
        (Condition(State.BUILDING, 0.425, "reading the table"), "42.5 %", True),
        (Condition(State.DROPPING), "Dropping", True),
        (Condition(State.READY), "Indexed", False),
    ],
)
def test_a_page_follows_what_is_built(
    shop: Application,
    monkeypatch: pytest.MonkeyPatch,
    condition: Condition,
    shown: str,
    asks_again: bool,
) -> None:
    ltv = AttributeDefinition.objects.get(name="ltv")
    known = indexing.conditions

    def told(definitions: list[AttributeDefinition]) -> dict[int, Condition]:
        return {**known(definitions), ltv.pk: condition}

    monkeypatch.setattr(indexing, "conditions", told)
    page = signed_in(shop, Role.ADMINISTRATOR).get(registry(shop)).content.decode()
    assert shown in page
    assert ("every 2s" in page) == asks_again


def test_the_registry_costs_as_many_statements_for_many_as_for_one(
    shop: Application, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in(shop, Role.ADMINISTRATOR)
    client.get(registry(shop))
    attributes.check(shop, {f"a{number}": number for number in range(20)})
    with django_assert_num_queries(13):
        page = client.get(registry(shop)).content.decode()
    assert "a19" in page


def test_an_application_without_attributes_says_where_they_come_from() -> None:
    application = make_application()
    page = signed_in(application, Role.ADMINISTRATOR).get(registry(application)).content.decode()
    assert "No attribute yet" in page
