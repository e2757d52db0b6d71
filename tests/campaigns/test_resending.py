"""A campaign is sent again to whom it did not reach, and to nobody twice."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from campaigns import checking, composing, drafting, fanout, resending, statistics, variants
from campaigns.errors import IncompleteContentError, RuleError, WrongStateError
from campaigns.models import Bulk, Campaign, Flow, Message, Reason, RepeatPolicy, Scenario
from campaigns.targeting import sentence, to_q
from devices.models import Application, AuditEntry, Registration, Role
from tests.campaigns.handing_over import CloudFor
from tests.campaigns.sending_again import (
    ACCEPTED,
    BROKEN,
    NO_ANSWER,
    REFUSED,
    Phones,
    again,
    finished,
    frozen_or_nobody,
    phones,
    send,
    shop,
    tokens,
)
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_registration,
    make_registrations,
    make_user,
)

__all__ = ["phones", "shop"]  # fixtures
pytestmark = pytest.mark.django_db


def test_only_devices_of_the_chosen_reasons_get_it_again(shop: Application, phones: Phones) -> None:
    got, large, refused = (make_registrations(shop, size) for size in (4, 3, 2))
    phones.answers |= dict.fromkeys(tokens(large), BROKEN)
    phones.answers |= dict.fromkeys(tokens(refused), REFUSED)
    bulk = send(make_campaign(shop))
    phones.answers.clear()

    draft = again(bulk, Reason.CLOUD_ERROR)
    second = send(draft)

    assert draft.resend_of == bulk
    assert second.audience == 3
    assert statistics.funnel(second).accepted == 3
    assert [phones.taken[token] for token in tokens(got + large)] == [1] * 7
    assert [phones.taken[token] for token in tokens(refused)] == [0] * 2


def test_whom_one_linked_campaign_reached_the_next_leaves_out(
    shop: Application, phones: Phones
) -> None:
    devices = make_registrations(shop, 6)
    phones.answers |= dict.fromkeys(tokens(devices), REFUSED)
    first = send(make_campaign(shop))
    for token in tokens(devices)[:2]:
        del phones.answers[token]
    second = send(again(first, Reason.LIMITED))
    phones.answers.clear()

    from_the_second = send(again(second, Reason.LIMITED))
    from_the_first = frozen_or_nobody(again(first, Reason.LIMITED))

    assert (second.audience, from_the_second.audience, from_the_first) == (6, 4, 0)
    assert from_the_second.campaign is not None
    assert from_the_second.campaign.resend_of == first
    assert set(phones.taken.values()) == {1}


def test_what_is_on_its_way_in_another_linked_campaign_is_left_out(
    shop: Application, phones: Phones
) -> None:
    make_registrations(shop, 5)
    phones.otherwise = REFUSED
    first = send(make_campaign(shop))
    drafts = [again(first, Reason.LIMITED) for _ in range(2)]
    bulks = []
    for draft in drafts:  # both are launched before either is frozen
        bulk = composing.launch(draft, make_user(Role.MARKETER, shop))
        Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(hours=1))
        bulks.append(bulk)
    assert [fanout.freeze(bulk) for bulk in bulks] == [5, 0]

    phones.otherwise = ACCEPTED
    finished(bulks[0])
    assert set(phones.taken.values()) == {1}


def test_an_unknown_outcome_is_sent_again_only_by_a_choice_of_its_own(
    shop: Application, phones: Phones
) -> None:
    unknown, refused = make_registrations(shop, 2), make_registrations(shop, 3)
    phones.answers |= dict.fromkeys(tokens(unknown), NO_ANSWER)
    phones.answers |= dict.fromkeys(tokens(refused), REFUSED)
    bulk = send(make_campaign(shop))
    phones.answers.clear()

    found = resending.outcome(bulk)
    assert found is not None
    assert [(each.reason, each.devices) for each in found.missed] == [(Reason.LIMITED, 3)]
    assert found.unsure == 2
    reasons = [Reason.LIMITED, Reason.NO_ANSWER, Reason.WORKER_LOST]
    assert frozen_or_nobody(again(bulk, *reasons)) == 3
    assert frozen_or_nobody(again(bulk, unsure=True)) == 2
    assert send(again(bulk, Reason.LIMITED, unsure=True)).audience == 5


@pytest.mark.parametrize(
    "doubt",
    [
        {"repeated": True},
        {"delivered_at": timezone.now()},
        {"reason": Reason.NOT_IN_TIME, "state": Message.State.EXPIRED},
        {"reason": Reason.NO_TOKEN},
    ],
)
def test_a_failure_that_is_in_doubt_is_none(
    shop: Application, phones: Phones, doubt: dict[str, Any]
) -> None:
    make_registration(shop)
    phones.otherwise = REFUSED
    bulk = send(make_campaign(shop))
    assert frozen_or_nobody(again(bulk, Reason.LIMITED)) == 1

    Message.objects.of_bulk(bulk).update(**doubt)

    reasons = (Reason.LIMITED, Reason.NOT_IN_TIME, Reason.NO_TOKEN)
    assert frozen_or_nobody(again(bulk, *reasons)) == 0


def test_where_a_campaign_never_repeats_what_may_have_arrived_doubt_is_not_enough(
    shop: Application, phones: Phones
) -> None:
    make_registrations(shop, 2)
    phones.otherwise = NO_ANSWER
    bulk = send(make_campaign(shop, repeat_policy=RepeatPolicy.NEVER))
    with pytest.raises(IncompleteContentError, match="never"):
        again(bulk, unsure=True)

    Bulk.objects.filter(pk=bulk.pk).update(repeat_policy=RepeatPolicy.WHEN_REFUSED)
    bulk.refresh_from_db()
    draft = again(bulk, unsure=True)
    assert draft.repeat_policy == RepeatPolicy.NEVER
    with pytest.raises(IncompleteContentError, match="never"):
        composing.launch(draft, make_user(Role.MARKETER, shop))


def test_the_frequency_cap_holds_for_what_is_sent_again(cloud_for: CloudFor) -> None:
    shop = make_application(cap_count=1, cap_hours=24)
    phones = Phones(cloud_for(make_credential(shop)))
    device = make_registration(shop)
    phones.otherwise = REFUSED
    bulk = send(make_campaign(shop))
    phones.otherwise = ACCEPTED
    send(make_campaign(shop, name="Another"))

    second = send(again(bulk, Reason.LIMITED))

    assert (second.audience, second.left_out) == (0, 1)
    assert [each.reason for each in statistics.reasons(second)] == [Reason.CAPPED]
    assert phones.taken[device.address.token] == 1


def test_who_turned_notifications_off_meanwhile_is_left_out(
    shop: Application, phones: Phones
) -> None:
    devices = make_registrations(shop, 2)
    phones.otherwise = REFUSED
    bulk = send(make_campaign(shop))
    Registration.objects.filter(pk=devices[0].pk).update(notifications_enabled=False)
    assert send(again(bulk, Reason.LIMITED)).audience == 1


def test_a_device_keeps_its_variant(shop: Application, phones: Phones) -> None:
    make_registrations(shop, 40)
    split = variants.evenly(2)
    campaign = make_campaign(shop, split=split.as_json())
    campaign.contents.create(variant=1, text="The other")
    phones.otherwise = REFUSED
    bulk = send(campaign)

    second = send(again(bulk, Reason.LIMITED))

    def variants_of(each: Bulk) -> dict[int, int]:
        messages = Message.objects.of_bulk(each)
        return dict(messages.values_list("registration_id", "variant"))

    assert set(variants_of(bulk).values()) == {0, 1}
    assert variants_of(second) == variants_of(bulk)


def test_a_copy_of_what_is_sent_again_reaches_nobody_else(
    shop: Application, phones: Phones
) -> None:
    make_registrations(shop, 3)
    refused = make_registration(shop)
    phones.answers[refused.address.token] = REFUSED
    draft = again(send(make_campaign(shop)), Reason.LIMITED)
    copy = drafting.duplicate(draft, make_user(Role.MARKETER, shop))
    assert send(copy).audience == 1


def test_a_campaign_with_a_scenario_is_not_sent_again(shop: Application) -> None:
    campaign = make_campaign(shop, launched_at=timezone.now())
    flow = Flow.objects.create(steps=[])
    bulk = make_bulk(shop, campaign=campaign, frozen_at=timezone.now(), flow=flow)
    with pytest.raises(WrongStateError, match="scenario"):
        again(bulk, Reason.CLOUD_ERROR)


def test_no_scenario_and_no_repetition_is_put_on_what_is_sent_again(
    shop: Application, phones: Phones
) -> None:
    make_registration(shop)
    phones.otherwise = REFUSED
    draft = again(send(make_campaign(shop)), Reason.LIMITED)
    draft.scenario = Scenario.objects.create(name="Then SMS", steps=[])
    with pytest.raises(IncompleteContentError, match="one step"):
        checking.check_delivery(draft)
    draft.scenario = None
    draft.timing = {
        "kind": "repeat", "date": "2026-11-24", "time": "09:00", "zone": "UTC", "every": "day",
    }  # fmt: skip
    with pytest.raises(IncompleteContentError, match="once"):
        checking.check_delivery(draft)


def test_the_bulk_of_another_application_is_nobody_s(shop: Application) -> None:
    foreign = make_bulk(make_application(), campaign=make_campaign(make_application()))
    value = {"bulk": foreign.pk, "reasons": [22], "unsure": False}
    with pytest.raises(RuleError, match="no bulk"):
        to_q({"field": "unreached", "op": "in", "value": value}, shop)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([], "object"),
        ({"bulk": 1, "reasons": []}, "object"),
        ({"bulk": "x", "reasons": [], "unsure": False}, "bulk"),
        ({"bulk": 0, "reasons": [7], "unsure": False}, "reasons"),
        ({"bulk": 0, "reasons": [22], "unsure": "yes"}, "true or false"),
    ],
)
def test_a_condition_that_cannot_be_read_says_where(
    shop: Application, value: Any, problem: str
) -> None:
    bulk = make_bulk(shop, campaign=make_campaign(shop))
    if isinstance(value, dict) and value["bulk"] == 0:
        value = value | {"bulk": bulk.pk}
    with pytest.raises(RuleError, match=problem):
        to_q({"field": "unreached", "op": "in", "value": value}, shop)


def test_a_marketer_chooses_reasons_and_gets_a_draft(
    shop: Application, phones: Phones, client: Client
) -> None:
    phones.answers |= dict.fromkeys(tokens(make_registrations(shop, 2)), REFUSED)
    phones.answers |= dict.fromkeys(tokens(make_registrations(shop, 3)), NO_ANSWER)
    bulk = send(make_campaign(shop, name="Friday sale"))
    client.force_login(make_user(Role.MARKETER, shop))
    page = reverse("campaigns:detail", args=[shop.pk, bulk.campaign_id])
    address = reverse("campaigns:resend", args=[shop.pk, bulk.campaign_id, bulk.pk])
    assert address in client.get(page).content.decode()

    shown = " ".join(strip_tags(client.get(address).content.decode()).split())
    assert "2 devices: the cloud lets no more through to the device" in shown
    assert "Also 3 devices of which nobody knows whether it arrived" in shown
    assert "would get it a second time" in shown
    assert client.post(address).status_code == 422

    answer = client.post(address, {"reasons": [Reason.LIMITED.value]})

    draft = Campaign.objects.get(resend_of=bulk)
    assert answer.headers["Location"] == reverse("campaigns:edit", args=[shop.pk, draft.pk])
    assert draft.resend == {"bulk": bulk.pk, "reasons": [20], "unsure": False}
    composer = client.get(answer.headers["Location"]).content.decode()
    assert "Send to 2 devices" in " ".join(strip_tags(composer).split())
    assert "Only devices that an earlier campaign did not reach" in composer
    said = "did not get “Friday sale” because “The cloud lets no more through to the device”"
    assert said in sentence(composing.rule_now(draft))
    assert "Sent again to some of those" in client.get(page).content.decode()
    entry = AuditEntry.objects.get(action="prepare to send again")
    assert entry.after == {
        "campaign": bulk.campaign_id,
        "reasons": ["The cloud lets no more through to the device"],
        "outcome not known": False,
    }


def test_what_is_typed_into_the_draft_keeps_whom_it_is_for(
    shop: Application, phones: Phones, client: Client
) -> None:
    make_registrations(shop, 3)
    phones.answers[make_registration(shop).address.token] = REFUSED
    draft = again(send(make_campaign(shop)), Reason.LIMITED)
    client.force_login(make_user(Role.MARKETER, shop))
    typed = {
        "name": "Once more", "text": "Shorter", "on_tap": "app", "hours": "48",
        "repeat_policy": "when_refused", "draft_version": draft.version,
    }  # fmt: skip
    answer = client.post(reverse("campaigns:edit", args=[shop.pk, draft.pk]), typed)
    assert "Send to 1 device" in " ".join(strip_tags(answer.content.decode()).split())
    draft.refresh_from_db()
    assert (draft.name, draft.rule) == ("Once more", {"all": []})
    assert send(draft).audience == 1


@pytest.mark.parametrize("role", [Role.ANALYST, Role.SUPPORT, Role.APPROVER])
def test_who_may_not_write_campaigns_may_not_send_them_again(
    shop: Application, client: Client, role: Role
) -> None:
    bulk = make_bulk(shop, campaign=make_campaign(shop, launched_at=timezone.now()))
    client.force_login(make_user(role, shop))
    address = reverse("campaigns:resend", args=[shop.pk, bulk.campaign_id, bulk.pk])
    assert client.get(address).status_code == 403
    assert client.post(address, {"reasons": [21]}).status_code == 403
