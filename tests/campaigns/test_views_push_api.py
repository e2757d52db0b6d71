"""Pages of Push API campaigns: campaigns.push_api, campaigns.views.push_api."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags
from pytest_django import DjangoAssertNumQueries

from campaigns import push_api
from campaigns.models import Message, Reason
from devices.models import Application, Person, Role
from tests.campaigns.push_api import every_state, make_campaign, push
from tests.factories import make_application, make_person, signed_in

pytestmark = pytest.mark.django_db
_S = Message.State


@pytest.fixture
def shop() -> Application:
    return make_application()


def url(name: str, application: Application, *more: object) -> str:
    return reverse(f"campaigns:{name}", args=[application.pk, *more])


def test_a_campaign_is_the_sum_of_its_pushes(shop: Application) -> None:
    campaign = make_campaign()
    every_state(shop, campaign)
    push(make_application(), campaign, _S.DELIVERED)

    (totals,) = push_api.totals([campaign], shop)

    assert (totals.targeted, totals.waiting, totals.accepted) == (9, 1, 4)
    assert (totals.delivered, totals.opened) == (3, 1)
    assert (totals.failed, totals.expired, totals.unknown) == (2, 1, 1)
    assert push_api.totals([campaign])[0].targeted == 10
    found = [(each.reason, each.count) for each in push_api.reasons(campaign, shop)]
    assert found == [(Reason.UNINSTALLED, 2), (Reason.TOO_LATE, 1), (Reason.NO_ANSWER, 1)]


def test_the_list_shows_what_reached_this_application(shop: Application) -> None:
    every_state(shop, make_campaign(name="<b>Back</b> in stock"))
    push(make_application(), make_campaign(8, name="Another app's"))

    page = signed_in(shop, Role.ANALYST).get(url("push-api", shop)).content.decode()

    assert "&lt;b&gt;Back&lt;/b&gt; in stock" in page
    assert "Another app" not in page
    numbers = strip_tags(page.split("<tbody>")[1].split("</tbody>")[0]).split()
    assert numbers[-5:] == ["9", "4", "3", "1", "2"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", [8, 7]),
        ("STOCK", [7]),
        ("8", [8]),
        ("sale 8", []),
        ("9" * 19, []),
        ("٨", []),
        ("a\x00b", []),
    ],
)
def test_a_campaign_is_found_by_its_name_or_number(
    shop: Application, search: str, found: list[int]
) -> None:
    push(shop, make_campaign(7))
    push(shop, make_campaign(8, name="Sale"))

    page = signed_in(shop, Role.ANALYST).get(url("push-api", shop), {"q": search})

    assert [each.campaign.camp_id for each in page.context["lines"]] == found


def test_a_campaign_says_what_was_sent_and_what_became_of_it(shop: Application) -> None:
    campaign = make_campaign(deep_link={"ins_dl_internal": "https://shop.example/sale"})
    every_state(shop, campaign)

    page = signed_in(shop, Role.ANALYST).get(url("push-api-detail", shop, 7))

    text = " ".join(strip_tags(page.content.decode()).split())
    balance = "9 pushes = 4 accepted + 2 failed + 1 expired + 1 unknown + 1 waiting"
    for said in (balance, "The app was removed from these devices.", "https://shop.example/sale"):
        assert said in text
    states = [line.state for line in page.context["lines"]]
    assert sorted(states) == sorted([*(each.name.lower() for each in _S), "failed", "waiting"])


def test_names_are_for_those_who_may_see_devices(shop: Application) -> None:
    send = push(shop, make_campaign(), person=make_person(first_name="Ana", last_name="Horvat"))
    path = url("push-api-detail", shop, 7)

    assert "Ana Horvat" in signed_in(shop, Role.SUPPORT).get(path).content.decode()
    analysts = signed_in(shop, Role.ANALYST).get(path).content.decode()
    assert "Ana Horvat" not in analysts
    assert f"Person {send.person_id}" in analysts
    Person.objects.all().delete()
    assert "deleted person" in signed_in(shop, Role.SUPPORT).get(path).content.decode()


@pytest.mark.parametrize("number", [8, 10**30])
def test_a_campaign_of_another_application_is_not_found(shop: Application, number: int) -> None:
    push(make_application(), make_campaign(8))

    assert (
        signed_in(shop, Role.ANALYST).get(url("push-api-detail", shop, number)).status_code == 404
    )


@pytest.mark.parametrize("name", ["push-api", "push-api-detail"])
def test_strangers_do_not_learn_that_there_is_anything(shop: Application, name: str) -> None:
    push(shop, make_campaign())
    path = url(name, shop, *([7] if name == "push-api-detail" else []))

    assert signed_in(make_application(), Role.ANALYST).get(path).status_code == 404
    assert Client().get(path).status_code == 302


def test_the_list_costs_the_same_for_many(
    shop: Application, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_in(shop, Role.ANALYST)
    for number in range(1, 30):
        push(shop, make_campaign(number), _S.DELIVERED)
        if number == 1:
            client.get(url("push-api", shop))
            with django_assert_num_queries(9):
                client.get(url("push-api", shop))

    with django_assert_num_queries(9):
        client.get(url("push-api", shop))


def test_a_search_replaces_the_table_alone(shop: Application) -> None:
    push(shop, make_campaign())

    part = signed_in(shop, Role.ANALYST).get(url("push-api", shop), headers={"HX-Request": "true"})

    assert "<html" not in part.content.decode()
    assert "Back in stock" in part.content.decode()


def test_an_empty_list_says_how_campaigns_come(shop: Application) -> None:
    assert "camp_id" in signed_in(shop, Role.ANALYST).get(url("push-api", shop)).content.decode()
    campaigns = signed_in(shop, Role.ANALYST).get(url("list", shop)).content.decode()
    assert url("push-api", shop) in campaigns
