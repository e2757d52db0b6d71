"""The variants are tried on a part of the audience; the rest gets the best one, once."""

import threading
from collections import Counter as Tally
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from campaigns import (
    checking,
    composing,
    dispatch,
    fanout,
    ledger,
    recurring,
    statistics,
    whynot,
    winners,
)
from campaigns.errors import IncompleteContentError, WrongStateError
from campaigns.models import Bulk, Campaign, Chunk, Counter, Message, Scenario
from campaigns.variants import Split
from campaigns.whynot import Passage
from devices import audit
from devices.models import Application, AuditEntry, Platform, ProviderCredential, Registration, Role
from tests.factories import (
    make_application,
    make_bulk,
    make_campaign,
    make_credential,
    make_registrations,
    make_user,
)

pytestmark = pytest.mark.django_db
CloudFor = Callable[[ProviderCredential], Any]
WANTS = {"metric": "clicked", "test": 20, "minutes": 60, "answers": None, "unclear": "largest"}
SPLIT = Split((45, 45), 10)
DEVICES = 200


@pytest.fixture
def shop() -> Application:
    return make_application(name="Shop")


@pytest.fixture
def cloud(shop: Application, cloud_for: CloudFor) -> Any:
    return cloud_for(make_credential(shop))


def wanting(shop: Application, **given: Any) -> Campaign:
    """A draft of two variants that looks for the best."""
    campaign = make_campaign(
        shop, name="Friday sale", split=SPLIT.as_json(), winner=WANTS | given, text="A"
    )
    campaign.contents.create(variant=1, text="B")
    return campaign


def tried(shop: Application, **given: Any) -> Bulk:
    """A bulk of which the variants were sent to the test's share."""
    make_registrations(shop, DEVICES)
    bulk = composing.launch(wanting(shop, **given), make_user(Role.MARKETER, shop))
    Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(hours=1))
    bulk.refresh_from_db()
    fanout.freeze(bulk)
    dispatch.work(seconds=60)
    bulk.refresh_from_db()
    return bulk


def answer(bulk: Bulk, *rates: tuple[int, int]) -> None:
    """Count so many accepted and tapped of each variant, as if the test had been that large."""
    Counter.objects.filter(bulk=bulk).delete()
    for variant, (accepted, tapped) in enumerate(rates):
        Counter.objects.create(
            bulk=bulk, minute=timezone.now(), platform=Platform.ANDROID, variant=variant,
            sent=accepted, accepted=accepted, delivered=accepted, seen=tapped, clicked=tapped,
        )  # fmt: skip


def an_hour_later(bulk: Bulk) -> None:
    Message.objects.of_bulk(bulk).update(sent_at=timezone.now() - timedelta(minutes=61))


def sent(bulk: Bulk) -> Tally[int]:
    """Devices that were sent to, by variant."""
    variants = Message.objects.of_bulk(bulk).values_list("variant", flat=True)
    return Tally(variants)


def held(bulk: Bulk) -> int:
    return sum(bulk.chunks.filter(held=True).values_list("size", flat=True))


def test_the_test_s_share_of_each_variant_goes_first_and_the_rest_waits(
    shop: Application, cloud: Any
) -> None:
    bulk = tried(shop)
    assert held(bulk) + sent(bulk).total() == bulk.audience
    assert bulk.audience + bulk.left_out == DEVICES
    for variant in (0, 1):
        waits = bulk.chunks.filter(held=True, variant=variant).values_list("size", flat=True)
        of_it = sent(bulk)[variant] + sum(waits)
        assert sent(bulk)[variant] == -(-of_it * 20 // 100)
    assert bulk.status == Bulk.Status.SENDING


def test_a_clear_winner_goes_to_the_rest_exactly_once(shop: Application, cloud: Any) -> None:
    bulk = tried(shop)
    before, waiting = sent(bulk), held(bulk)
    answer(bulk, (2_000, 100), (2_000, 200))
    assert winners.judge() == 0  # the hour is not over
    an_hour_later(bulk)

    assert winners.judge() == 1
    assert winners.judge() == 0
    dispatch.work(seconds=60)

    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE
    assert sent(bulk) == before + Tally({1: waiting})
    tokens = Tally(one.token for one in cloud.taken)
    assert (len(tokens), set(tokens.values())) == (bulk.audience, {1})
    decided = bulk.delivery["winner"]["decided"]
    assert (decided["variant"], decided["how"]) == (1, "clear")
    entry = AuditEntry.objects.get(action="choose winner")
    assert entry.actor_name == "system"
    assert entry.after == {
        "variant": "B", "how": "it was better than chance would make it", "devices": waiting,
    }  # fmt: skip


def test_enough_answers_decide_before_the_time(shop: Application, cloud: Any) -> None:
    bulk = tried(shop, answers=250)
    answer(bulk, (2_000, 100), (2_000, 149))
    assert winners.judge() == 0
    answer(bulk, (2_000, 100), (2_000, 150))
    assert winners.judge() == 1


@pytest.mark.parametrize(
    ("metric", "best"), [("clicked", 1), ("seen", 0), ("delivered", 0)]
)  # fmt: skip
def test_the_chosen_rate_decides(shop: Application, cloud: Any, metric: str, best: int) -> None:
    bulk = tried(shop, metric=metric)
    answer(bulk, (2_000, 100), (2_000, 200))
    Counter.objects.filter(bulk=bulk, variant=0).update(seen=900, delivered=1_900)
    Counter.objects.filter(bulk=bulk, variant=1).update(seen=300, delivered=1_500)
    an_hour_later(bulk)
    winners.judge()
    bulk.refresh_from_db()
    assert bulk.delivery["winner"]["decided"]["variant"] == best


def test_without_a_clear_winner_the_largest_rate_decides_where_that_was_chosen(
    shop: Application, cloud: Any
) -> None:
    bulk = tried(shop)
    answer(bulk, (100, 10), (100, 11))
    an_hour_later(bulk)
    assert winners.judge() == 1
    bulk.refresh_from_db()
    decided = bulk.delivery["winner"]["decided"]
    assert (decided["variant"], decided["how"]) == (1, "largest")


def test_without_a_clear_winner_somebody_chooses_where_that_was_chosen(
    shop: Application, cloud: Any
) -> None:
    bulk = tried(shop, unclear="hold")
    waiting, before = held(bulk), sent(bulk)
    answer(bulk, (100, 10), (100, 11))
    an_hour_later(bulk)
    assert (winners.judge(), winners.judge()) == (1, 0)
    bulk.refresh_from_db()
    assert (bulk.status, held(bulk)) == (Bulk.Status.PAUSED, waiting)
    assert bulk.status_reason == (
        "The variants were tried, and none is clearly tapped more often: B 11.0%, A 10.0%."
    )
    user = make_user(Role.MARKETER, shop)
    assert bulk.campaign is not None
    with pytest.raises(WrongStateError, match="Choose the variant"):
        composing.resume(bulk.campaign, user)
    with pytest.raises(WrongStateError, match="no such variant"):
        composing.choose_winner(bulk.campaign, user, 2)

    composing.choose_winner(bulk.campaign, user, 0)
    dispatch.work(seconds=60)

    bulk.refresh_from_db()
    assert bulk.status == Bulk.Status.DONE
    assert sent(bulk) == before + Tally({0: waiting})
    assert AuditEntry.objects.get(action="choose winner").actor_name == user.username
    with pytest.raises(WrongStateError, match="nobody waits"):
        composing.choose_winner(bulk.campaign, user, 1)


def test_where_nothing_was_accepted_somebody_chooses(shop: Application, cloud: Any) -> None:
    bulk = tried(shop)
    Counter.objects.filter(bulk=bulk).delete()
    an_hour_later(bulk)
    winners.judge()
    bulk.refresh_from_db()
    assert winners.asks(bulk)


def test_a_pause_of_somebody_else_lets_nobody_go_who_waits(shop: Application, cloud: Any) -> None:
    bulk = tried(shop)
    user, waiting = make_user(Role.MARKETER, shop), held(bulk)
    assert bulk.campaign is not None
    composing.pause(bulk.campaign, user)
    an_hour_later(bulk)
    assert winners.judge() == 0
    composing.resume(bulk.campaign, user)
    assert held(bulk) == waiting


def test_who_waits_until_the_time_is_over_expires(shop: Application, cloud: Any) -> None:
    bulk = tried(shop, unclear="hold")
    answer(bulk, (100, 10), (100, 10))
    waiting = held(bulk)
    an_hour_later(bulk)
    winners.judge()
    Bulk.objects.filter(pk=bulk.pk).update(ttl=10)  # and so its time is over
    assert ledger.resume_overdue() == 1
    assert winners.judge() == 1
    dispatch.work(seconds=60)
    assert Message.objects.of_bulk(bulk).filter(state=Message.State.EXPIRED).count() == waiting


def test_a_decision_that_is_cut_off_is_none(
    shop: Application, cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk = tried(shop)
    waiting = held(bulk)
    answer(bulk, (2_000, 100), (2_000, 200))
    an_hour_later(bulk)

    def dies(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(audit, "record", dies)
        with pytest.raises(KeyboardInterrupt):
            winners.judge()
    bulk.refresh_from_db()
    assert held(bulk) == waiting
    assert "decided" not in bulk.delivery["winner"]

    assert winners.judge() == 1
    assert held(bulk) == 0


@pytest.mark.django_db(transaction=True)
def test_several_that_decide_at_the_same_moment_decide_once(shop: Application, cloud: Any) -> None:
    bulk = tried(shop)
    answer(bulk, (2_000, 100), (2_000, 200))
    an_hour_later(bulk)
    together, decided = threading.Barrier(4), []

    def decide() -> None:
        try:
            together.wait(timeout=60)
            decided.append(winners.judge())
        finally:
            connection.close()

    threads = [threading.Thread(target=decide) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    assert sorted(decided) == [0, 0, 0, 1]
    assert AuditEntry.objects.filter(action="choose winner").count() == 1


def test_the_next_run_looks_for_its_own_winner(shop: Application) -> None:
    timing = {
        "kind": "repeat", "date": f"{timezone.now():%Y-%m-%d}", "time": "09:00", "zone": "UTC",
        "every": "day",
    }  # fmt: skip
    campaign = wanting(shop)
    decided = {"decided": {"variant": 1}, "asked": "2026-11-24T09:00:00+00:00"}
    make_bulk(
        shop, campaign=campaign, status=Bulk.Status.DONE, split=SPLIT.as_json(),
        delivery={"timing": timing, "winner": WANTS | decided},
    )  # fmt: skip
    Campaign.objects.filter(pk=campaign.pk).update(launched_at=timezone.now(), timing=timing)
    assert recurring.plan_next(campaign.pk)
    assert campaign.bulks.latest("pk").delivery["winner"] == WANTS


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({"canary": {"share": 1, "minutes": 1, "failed": 5, "then": "hold"}}, "try_first"),
        ({"ttl": 3600}, "win_minutes"),
        (
            {"timing": {"kind": "local", "date": "2027-01-01", "time": "09:00", "passed": "now"}},
            "win_metric",
        ),
    ],
)
def test_what_does_not_fit_a_winner_is_refused(
    shop: Application, draft: dict[str, Any], field: str
) -> None:
    campaign = wanting(shop)
    for name, value in draft.items():
        setattr(campaign, name, value)
    with pytest.raises(IncompleteContentError) as refused:
        checking.check_delivery(campaign)
    assert refused.value.field == field


def test_a_scenario_does_not_fit_a_winner(shop: Application) -> None:
    campaign = wanting(shop)
    campaign.scenario = Scenario.objects.create(name="Then SMS", steps=[])
    with pytest.raises(IncompleteContentError, match="scenario"):
        checking.check_delivery(campaign)


def test_without_variants_there_is_nothing_to_win(shop: Application) -> None:
    campaign = make_campaign(shop, winner=WANTS, ttl=3600)
    checking.check_delivery(campaign)
    assert winners.of(campaign) == {}


def test_why_a_device_has_nothing_yet_is_told(shop: Application, cloud: Any) -> None:
    bulk = tried(shop)
    chunk = Chunk.objects.filter(bulk=bulk, held=True)[0]
    device = Registration.objects.get(pk=chunk.recipients[0])
    gate = next(each for each in whynot.gates(bulk, device) if each.passage is Passage.WAITING)
    assert (gate.name, gate.told) == ("Sent", "It gets the best variant, once that is known.")


# ------------------------------------------------------------------- pages


def words(client: Client, address: str) -> str:
    return " ".join(strip_tags(client.get(address).content.decode()).split())


def test_the_composer_keeps_what_is_chosen(shop: Application, client: Client) -> None:
    make_registrations(shop, 3)
    make_credential(shop)
    campaign = wanting(shop, test=30)
    client.force_login(make_user(Role.MARKETER, shop))
    address = reverse("campaigns:edit", args=[shop.pk, campaign.pk])
    page = client.get(address).content.decode()
    assert 'name="win_test" value="30"' in page
    typed = {
        "name": "Friday sale", "text": "A", "on_tap": "app", "hours": "48",
        "repeat_policy": "when_refused", "draft_version": campaign.version, "share_0": "50",
        "share_1": "40", "holdout": "10", "win_metric": "seen", "win_test": "25",
        "win_minutes": "45", "win_answers": "500", "win_unclear": "hold",
    }  # fmt: skip
    said = " ".join(strip_tags(client.post(address, typed).content.decode()).split())
    assert (
        "25 % get a variant each; after 45 min, or once 500 are seen the rest gets the one that is"
        " seen most often. If that may be chance, somebody chooses"
    ) in said
    campaign.refresh_from_db()
    assert campaign.winner == {
        "metric": "seen", "test": 25, "minutes": 45, "answers": 500, "unclear": "hold",
    }  # fmt: skip


def test_the_page_of_a_campaign_tells_of_its_winner(
    shop: Application, cloud: Any, client: Client
) -> None:
    bulk = tried(shop, unclear="hold")
    client.force_login(make_user(Role.MARKETER, shop))
    address = reverse("campaigns:detail", args=[shop.pk, bulk.campaign_id])
    waiting = held(bulk)
    assert f"{waiting} devices wait for the winner." in words(client, address)
    answer(bulk, (100, 10), (100, 11))
    an_hour_later(bulk)
    winners.judge()
    shown = words(client, address)
    assert f"Choose which variant the other {waiting} get" in shown
    assert "It is paused until then" in shown
    assert "Paused: " not in shown, "one banner says both"
    assert "Send to " not in shown
    chosen = reverse("campaigns:winner", args=[shop.pk, bulk.campaign_id, 1])
    client.post(chosen)
    dispatch.work(seconds=60)
    shown = words(client, address)
    assert "Variant B went to the rest: somebody chose it. Decided on A, 100 accepted" in shown
    assert "B is tapped most often, 11.0 % against 10.0 % of A, and that may be chance" in shown
    assert "nobody waits for a winner" in words_of(client.post(chosen).content)
    assert statistics.funnel(bulk).waiting == 0


def words_of(content: bytes) -> str:
    return " ".join(strip_tags(content.decode()).split())


@pytest.mark.parametrize("role", [Role.ANALYST, Role.SUPPORT, Role.DEVELOPER])
def test_who_may_not_launch_chooses_no_winner(
    shop: Application, client: Client, role: Role
) -> None:
    bulk = make_bulk(shop, campaign=wanting(shop))
    client.force_login(make_user(role, shop))
    address = reverse("campaigns:winner", args=[shop.pk, bulk.campaign_id, 0])
    assert client.post(address).status_code == 403
