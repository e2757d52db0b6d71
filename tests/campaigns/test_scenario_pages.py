"""The pages of scenarios: what is typed, who may change what, whom steps reach."""

import html
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from campaigns import reaching, scenarios
from campaigns.models import Scenario
from campaigns.reaching import Ways
from campaigns.scenarios import Draft
from devices.models import Application, AuditEntry, Registration, Role
from tests.factories import (
    make_application,
    make_campaign,
    make_gateway,
    make_person,
    make_registration,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Application:
    return make_application(name="Shop")


@pytest.fixture
def marketer(shop: Application) -> User:
    return make_user(Role.MARKETER, shop)


@pytest.fixture
def browser(client: Client, marketer: User) -> Client:
    client.force_login(marketer)
    return client


def make_scenario(
    shop: Application, *channels: str, name: str = "Both", default: bool = False
) -> Scenario:
    senders = {"PUSH": shop.code}
    steps = [
        {"channel": each, "sender": senders.get(each, "InfoSMS"), "validity": 3600}
        for each in channels or ("PUSH", "SMS")
    ]
    return scenarios.create(Draft(steps, name, default))


def typed(*channels: str, name: str = "Push, then SMS", **given: Any) -> dict[str, Any]:
    """What the form posts: an hour for each step."""
    keys = [f"k{number}" for number in range(len(channels))]
    data: dict[str, Any] = {"name": name, "step": keys, "channel": list(channels)}
    for key, channel in zip(keys, channels, strict=True):
        data |= {f"wait-{key}": "1", f"unit-{key}": "hours"}
        if channel == "SMS":
            data[f"sender-{key}"] = "InfoSMS"
    return data | given


def address(name: str, shop: Application, *numbers: int) -> str:
    return reverse(f"campaigns:{name}", args=[shop.pk, *numbers])


# ------------------------------------------------------------------- writing


def test_a_scenario_keeps_its_steps_in_the_order_they_stand(
    shop: Application, browser: Client
) -> None:
    data = typed("SMS", "PUSH", **{"unit-k1": "minutes", "wait-k1": "90", "enough-k1": "on"})

    answer = browser.post(address("scenario-new", shop), data)

    scenario = Scenario.objects.get()
    assert answer.headers["Location"] == address("scenario", shop, scenario.pk)
    assert scenario.steps == [
        {"channel": "SMS", "sender": "InfoSMS", "validity": 3600},
        {
            "channel": "PUSH",
            "sender": shop.code,
            "validity": 5400,
            "accepted_is_enough": True,
        },
    ]
    entry = AuditEntry.objects.get(action="create scenario")
    assert entry.application == shop
    assert shop.code not in str(entry.after)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "  "}, "Give the scenario a name."),
        ({"name": "x" * 101}, "A name has at most 100 characters."),
        ({"name": "a\x00b"}, "A name has no invisible characters."),
        ({"wait-k0": "0"}, "Type a time from 1 minute to 48 hours."),
        ({"wait-k0": "49"}, "Type a time from 1 minute to 48 hours."),
        ({"wait-k0": "soon"}, "Type a time from 1 minute to 48 hours."),
        ({"wait-k0": "9" * 30}, "Type a time from 1 minute to 48 hours."),
        ({"sender-k1": ""}, "Type a name of at most 11 letters and digits"),
        ({"sender-k1": "A name that is too long"}, "Type a name of at most 11 letters"),
        ({"sender-k1": "12"}, "or a number of 3 to 15 digits."),
        ({"step": [], "channel": []}, "Add a step"),
        ({"step": ["k1"], "channel": ["SMS"]}, "Add a push"),
        ({"step": ["k0"], "channel": ["FAX"]}, "Add a step"),
    ],
)
def test_what_cannot_be_a_scenario_is_said_beside_what_was_typed(
    shop: Application, browser: Client, given: dict[str, Any], told: str
) -> None:
    answer = browser.post(address("scenario-new", shop), typed("PUSH", "SMS", **given))

    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert not Scenario.objects.exists()


def test_more_than_ten_steps_are_refused(shop: Application, browser: Client) -> None:
    answer = browser.post(address("scenario-new", shop), typed(*["PUSH"] * 11))

    assert "A scenario has at most 10 steps." in answer.content.decode()
    assert not Scenario.objects.exists()


def test_the_form_shows_what_is_stored_and_changes_it(shop: Application, browser: Client) -> None:
    scenario = make_scenario(shop)
    shown = browser.get(address("scenario-edit", shop, scenario.pk)).content.decode()
    [seen] = re.findall(r'name="seen" value="(\w+)"', shown)
    assert 'name="sender-2" id="sender-2" value="InfoSMS"' in shown

    browser.post(
        address("scenario-edit", shop, scenario.pk),
        typed("PUSH", "SMS", name="Both ways", seen=seen, default="on"),
    )

    scenario.refresh_from_db()
    assert (scenario.name, scenario.default) == ("Both ways", True)
    entry = AuditEntry.objects.get(action="change scenario")
    assert entry.before == {"name": "Both", "default": False}


def test_a_change_that_somebody_else_overtook_is_refused(
    shop: Application, browser: Client
) -> None:
    scenario = make_scenario(shop)
    seen = scenarios.mark(scenario)
    scenarios.update(scenario.key, Draft(scenario.steps, "Theirs"))

    answer = browser.post(
        address("scenario-edit", shop, scenario.pk), typed("PUSH", name="Mine", seen=seen)
    )

    assert "Somebody else changed this scenario." in answer.content.decode()
    scenario.refresh_from_db()
    assert scenario.name == "Theirs"


# ------------------------------------------------------------------- whose it is


def test_pages_show_the_scenarios_of_their_application_only(
    shop: Application, browser: Client
) -> None:
    other = make_application(name="Bank")
    mine, theirs = make_scenario(shop, name="Mine"), make_scenario(other, name="Theirs")
    texts = make_scenario(shop, "SMS", name="Texts of systems")

    shown = browser.get(address("scenarios", shop)).content.decode()

    assert mine.name in shown
    assert texts.name in shown
    assert theirs.name not in shown
    for name in ("scenario", "scenario-edit"):
        assert browser.get(address(name, shop, theirs.pk)).status_code == 404
    assert browser.post(address("scenario-delete", shop, theirs.pk)).status_code == 404


@pytest.mark.parametrize("channels", [["SMS"], ["PUSH", "VIBER"]])
def test_what_only_other_systems_can_write_is_shown_and_not_changed(
    shop: Application, browser: Client, channels: list[str]
) -> None:
    scenario = make_scenario(shop, *channels)
    seen = scenarios.mark(scenario)

    detail = browser.get(address("scenario", shop, scenario.pk)).content.decode()
    browser.post(address("scenario-edit", shop, scenario.pk), typed("PUSH", seen=seen))
    browser.post(address("scenario-delete", shop, scenario.pk))

    assert "It is changed elsewhere" in detail
    assert "Edit scenario" not in detail
    assert scenarios.mark(Scenario.objects.get(pk=scenario.pk)) == seen


def test_a_push_may_name_its_application_by_its_id(shop: Application, browser: Client) -> None:
    step = {"channel": "PUSH", "sender": shop.application_id}
    scenario = scenarios.create(Draft([step], "By id"))

    detail = browser.get(address("scenario", shop, scenario.pk)).content.decode()

    assert "Edit scenario" in detail


def test_a_default_takes_no_other_applications_place(shop: Application, browser: Client) -> None:
    theirs = make_scenario(make_application(name="Bank"), default=True)

    answer = browser.post(address("scenario-new", shop), typed("PUSH", default="on"))

    assert "Another application's scenario is the default." in plain(answer.content.decode())
    assert Scenario.objects.get() == theirs


def test_whoever_may_not_edit_sees_the_steps_only(shop: Application, client: Client) -> None:
    scenario = make_scenario(shop)
    client.force_login(make_user(Role.ANALYST, shop))

    shown = client.get(address("scenario", shop, scenario.pk)).content.decode()

    assert "If it fails, or after 1 h, step 2 begins." in shown
    assert "Edit scenario" not in shown
    for name in ("scenario-edit", "scenario-delete"):
        assert client.post(address(name, shop, scenario.pk)).status_code == 403
    assert client.post(address("scenario-new", shop)).status_code == 403


# ------------------------------------------------------------------- in use


def test_a_scenario_in_use_is_not_deleted_and_says_by_whom(
    shop: Application, browser: Client
) -> None:
    scenario = make_scenario(shop)
    for number in range(4):
        make_campaign(shop, name=f"Sale {number}", scenario=scenario)
    make_campaign(make_application(), scenario=scenario)

    answer = browser.post(address("scenario-delete", shop, scenario.pk), follow=True)

    shown = answer.content.decode()
    assert "It is in use by the campaign" in shown
    assert "and 2 others. Nothing was deleted." in shown
    assert "Sale 3" in shown
    assert "1 campaign of other applications." in shown
    assert Scenario.objects.filter(pk=scenario.pk).exists()


def test_the_default_is_not_deleted(shop: Application, browser: Client) -> None:
    scenario = make_scenario(shop, default=True)

    answer = browser.post(address("scenario-delete", shop, scenario.pk), follow=True)

    assert "Make another one the default first." in answer.content.decode()
    assert Scenario.objects.filter(pk=scenario.pk).exists()


def test_a_scenario_that_nothing_uses_is_deleted(shop: Application, browser: Client) -> None:
    scenario = make_scenario(shop)

    answer = browser.post(address("scenario-delete", shop, scenario.pk))

    assert answer.headers["Location"] == address("scenarios", shop)
    assert not Scenario.objects.exists()
    assert AuditEntry.objects.get(action="delete scenario").object_name == "Both"


# ------------------------------------------------------------------- whom it reaches


def populate(shop: Application) -> None:
    """Two reached by both, one by push alone, three by text alone, one by neither; and nobody's."""
    for number in range(2):
        make_registration(shop, person=make_person(phone=f"4179000000{number}"))
    twice = make_person(external_id="twice")
    make_registration(shop, person=twice)
    make_registration(shop, person=twice, enabled=False)
    for number in range(3):
        person = make_person(phone=f"4179100000{number}")
        make_registration(shop, person=person, notifications_enabled=False)
    make_registration(shop, person=make_person(external_id="silent"), enabled=False)
    make_registration(shop)
    make_registration(shop, enabled=False)
    make_registration(make_application(), person=make_person(phone="41792000000"))


def test_people_are_counted_by_the_ways_that_reach_them(shop: Application) -> None:
    populate(shop)

    found = reaching.ways(Registration.objects.filter(application=shop), milliseconds=30_000)

    assert found == Ways(push_only=1, phone_only=3, both=2, neither=1, anonymous=1)
    assert (found.push, found.phone, found.people) == (3, 5, 7)


def test_only_primary_devices_count_where_others_get_no_push(shop: Application) -> None:
    person = make_person(phone="41790000001")
    make_registration(shop, person=person)
    devices = Registration.objects.filter(application=shop)

    assert reaching.ways(devices, primary_only=True, milliseconds=30_000) == Ways(phone_only=1)
    devices.update(primary=True)
    assert reaching.ways(devices, primary_only=True, milliseconds=30_000) == Ways(both=1)


def test_too_many_people_are_not_waited_for(
    shop: Application, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = "SELECT true, %s::text || pg_sleep(30), count(*) FROM ({owners}) o"
    monkeypatch.setattr(reaching, "_COUNT", slow)
    monkeypatch.setattr("campaigns.views.scenarios.PATIENCE", 50)

    shown = browser.get(address("scenario-reach", shop)).content.decode()

    assert "too many people to count while you wait" in shown


def plain(markup: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", markup))).strip()


def test_each_step_says_whom_it_reaches_and_what_it_costs_at_most(
    shop: Application, browser: Client
) -> None:
    populate(shop)
    make_gateway(shop)
    scenario = make_scenario(shop)

    answer = browser.get(address("scenario-reach", shop), {"scenario": scenario.pk})

    shown = plain(answer.content.decode())
    assert "1. Push 3 and 1 device of nobody known" in shown
    assert "2. Text message 5 0.045 EUR a part, at most 0.23 EUR for one part each" in shown
    assert "Push and phone number 2 Push only 1 Phone number only 3 Neither 1" in shown


def test_a_price_that_nobody_stated_is_none(shop: Application, browser: Client) -> None:
    populate(shop)
    make_gateway(shop, price="")

    shown = plain(browser.get(address("scenario-reach", shop)).content.decode())

    assert "Text message 5 no price is stated" in shown


def choice(campaign_pk: int, shop: Application, browser: Client, **given: Any) -> str:
    data = {"name": "Sale", "text": "x" * 161, "hours": "48", "repeat_policy": "when_refused"}
    answer = browser.post(address("scenario-choice", shop, campaign_pk), {**data, **given})
    assert answer.status_code == 200
    return plain(answer.content.decode())


def test_the_composer_shows_whom_the_steps_reach_in_the_typed_audience(
    shop: Application, browser: Client
) -> None:
    populate(shop)
    make_gateway(shop)
    Registration.objects.filter(person__identities__value="+41790000000").update(language="de")
    Registration.objects.filter(person__identities__value="41790000000").update(language="de")
    scenario, campaign = make_scenario(shop), make_campaign(shop)

    assert choice(campaign.pk, shop, browser) == ""
    everybody = choice(campaign.pk, shop, browser, scenario=scenario.pk)
    assert "2. Text message 5 0.045 EUR a part, at most 0.45 EUR for 2 parts each" in everybody
    german = choice(campaign.pk, shop, browser, scenario=scenario.pk, languages="de")
    assert (
        "1. Push 1 2. Text message 1 0.045 EUR a part, at most 0.09 EUR for 2 parts each" in german
    )
    assert "People with a device that matches, whether it shows pushes or not." in german
    wrong = choice(campaign.pk, shop, browser, scenario=scenario.pk, version_op="lt")
    assert wrong == "Correct the audience to see whom the steps reach."


def test_the_composer_says_what_keeps_a_scenario_from_being_used(
    shop: Application, browser: Client
) -> None:
    scenario, campaign = make_scenario(shop, "SMS", "PUSH"), make_campaign(shop)

    shown = choice(campaign.pk, shop, browser, scenario=scenario.pk)

    assert "A campaign begins with a push" in shown
    assert "Shop has no SMS gateway" in shown


def test_the_composer_offers_no_scenario_of_another_application(
    shop: Application, browser: Client
) -> None:
    make_scenario(shop, name="Of the shop")
    make_scenario(make_application(), name="Of the bank")
    campaign = make_campaign(shop)

    shown = browser.get(address("edit", shop, campaign.pk)).content.decode()

    assert "Of the shop" in shown
    assert "Of the bank" not in shown


def test_the_list_costs_the_same_for_many(
    shop: Application, browser: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        make_campaign(shop, scenario=make_scenario(shop, name=f"Scenario {number}"))

    with django_assert_max_num_queries(14):
        shown = browser.get(address("scenarios", shop)).content.decode()

    assert "12 scenarios" in shown
