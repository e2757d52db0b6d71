"""Huawei's devices all the way: campaign, provider, simulated Push Kit, its signed receipts."""

import os
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from campaigns import channels, fanout, folding, reports, statistics, tasks
from campaigns.models import Bulk, Message, Reason
from campaigns.store import store
from devices import closing
from devices.models import (
    Address,
    Application,
    Breaker,
    Platform,
    Registration,
    SuspectAddress,
)
from providers.base import Verdict
from tests.factories import make_bulk, make_registrations
from tests.flows.huawei import (
    PROMPT,
    _cloud,
    callback_of,
    consistent,
    huawei,
    make_doomed,
    make_harmony,
    make_shop,
    send,
    states_of,
    trust,
)
from tests.flows.processes import Gateways, Worker
from tests.waiting import eventually

__all__ = ["_cloud", "huawei"]  # fixtures

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
State = Message.State


@pytest.fixture
def shop(huawei: Gateways, live_server: LiveServer) -> Application:
    """An app that Huawei knows; its receipts come to us."""
    application = make_shop()
    trust(huawei, f"{live_server.url}{callback_of(application)}")
    return application


def told(huawei: Gateways) -> Counter[str]:
    """How often each result was told, and what is still under way."""
    found: Any = huawei.ask("GET", "/statistics")["receipts"]
    return Counter(found)


def all_are_folded(huawei: Gateways) -> None:
    """Wait until each receipt was told, taken and counted."""

    def done() -> bool:
        reports.consume(seconds=0.2)
        folding.fold_early()
        now = told(huawei)
        return now["scheduled"] == now["waiting"] == 0 == store().xlen(reports.STREAM)

    eventually(done, seconds=60, what="all receipts came and were folded")
    assert not told(huawei)["receipts_given_up"]


# ------------------------------------------------------------------- a campaign


def test_a_campaign_reaches_phones_of_both_families(huawei: Gateways, shop: Application) -> None:
    """In calls of a hundred at most; each device once; all are told to be delivered."""
    make_registrations(shop, 230, platform=Platform.HUAWEI)
    make_harmony(shop, 20)

    bulk = send(make_bulk(shop))
    all_are_folded(huawei)

    assert states_of(bulk) == {(State.DELIVERED, Reason.NONE): 250}
    assert consistent(bulk).delivered == 250
    rows = huawei.messages()
    assert Counter(row["version"] for row in rows) == {"v1": 230, "v3": 20}
    assert len({row["token"] for row in rows}) == 250
    calls = Counter(row["provider_id"] for row in rows)
    assert max(calls.values()) == 100
    answers = set(Message.objects.of_bulk(bulk).values_list("answer", flat=True))
    assert answers == set(calls)  # with each message the id of its request
    tokens = huawei.ask("GET", "/statistics")["huawei_tokens"]
    assert tokens == {"issued": 1, "refused": 0}


def test_a_partial_result_closes_the_dead_and_repeats_nothing(
    huawei: Gateways, shop: Application
) -> None:
    good = make_registrations(shop, 60, platform=Platform.HUAWEI)
    gone = [*make_doomed(shop, "unregistered", 4), *make_doomed(shop, "malformed", 1)]

    bulk = send(make_bulk(shop))
    all_are_folded(huawei)

    assert states_of(bulk) == {
        (State.DELIVERED, Reason.NONE): 60,
        (State.FAILED, Reason.UNINSTALLED): 5,
    }
    consistent(bulk)
    assert huawei.ledger()["hms"]["accepted"] == 60
    calls = {row["provider_id"] for row in huawei.messages()}
    failed = Message.objects.of_bulk(bulk).filter(state=State.FAILED)
    assert {one.answer for one in failed} == {
        f"200 80100000 illegal token (request {call})" for call in calls
    }
    reasons = {row["reason"] for row in huawei.ask("GET", "/ledger/refusals")["messages"]}
    assert reasons == {"80100000"}
    Breaker.objects.update(began_at=timezone.now() - timedelta(hours=1))
    closing.judge_old_pages()
    closed = Address.objects.exclude(closed_at=None)
    assert {each.pk for each in closed} == {each.pk for each in gone}
    assert {each.closed_reason for each in closed} == {Address.Closed.UNINSTALLED}

    again = send(make_bulk(shop))  # the dead are not written to any more

    assert again.audience == len(good)
    assert huawei.ledger()["hms"] == {"accepted": 120, "distinct": 0, "refused": 5}


def test_what_receipts_say_is_what_messages_and_devices_say(
    huawei: Gateways, shop: Application
) -> None:
    """Each receipt comes twice, in either format, some before the send is recorded."""
    eventful = {"removed": 0.1, "other_user": 0.1, "muted": 0.1, "dormant": 0.1, "by_rule": 0.1,
                "kept": 0.2, "silent": 0.1, "early": 0.3, "repeated": 1}  # fmt: skip
    huawei.ask("POST", "/receipts", {**PROMPT, **eventful, "seconds": 0.3})
    make_registrations(shop, 200, platform=Platform.HUAWEI)

    bulk = send(make_bulk(shop))
    all_are_folded(huawei)

    results = told(huawei)
    twice = {number: results[f"result_{number}"] // 2 for number in (0, 2, 5, 6, 10, 201)}
    states = states_of(bulk)
    assert states[State.DELIVERED, Reason.NONE] == twice[0] > 0
    assert states[State.FAILED, Reason.UNINSTALLED] == twice[2] + twice[5] > 0
    assert states[State.EXPIRED, Reason.NOTIFICATIONS_OFF] == twice[6]
    assert states[State.FAILED, Reason.DORMANT] == twice[10]
    assert states[State.FAILED, Reason.LIMITED] == twice[201]
    assert states[State.ACCEPTED, Reason.NONE] == 200 - sum(twice.values())  # nobody told
    consistent(bulk)
    devices = Registration.objects.filter(application=shop)
    assert devices.filter(notifications_enabled=False).count() == twice[6]
    month_ago = timezone.now().date() - timedelta(days=30)
    assert devices.filter(last_seen_day=month_ago).count() == twice[10]
    suspects = SuspectAddress.objects.values("registration_id").distinct().count()
    dropped = Address.objects.filter(application=shop).exclude(closed_at=None).count()
    assert suspects + dropped == twice[2] + twice[5]


def test_receipts_that_nobody_may_send_change_nothing(
    huawei: Gateways, shop: Application, live_server: LiveServer
) -> None:
    """Signed with another key: refused each time, until Huawei gives up or is set right."""
    url = f"{live_server.url}{callback_of(shop)}"
    wrong = {"url": url, "user": "receipts", "key": "another key"}
    trust(huawei, url, receipts=[wrong])
    make_registrations(shop, 3, platform=Platform.HUAWEI)

    bulk = send(make_bulk(shop))
    eventually(lambda: told(huawei)["receipts_repeated"] >= 2, seconds=60, what="it was refused")
    reports.consume(seconds=0.2)

    assert states_of(bulk) == {(State.ACCEPTED, Reason.NONE): 3}


def test_a_receipt_settles_what_was_in_doubt(huawei: Gateways, shop: Application) -> None:
    make_doomed(shop, "lost-answer", 3)

    bulk = send(make_bulk(shop))
    assert states_of(bulk) == {(State.UNKNOWN, Reason.NO_ANSWER): 3}
    all_are_folded(huawei)

    assert states_of(bulk) == {(State.DELIVERED, Reason.NONE): 3}
    assert consistent(bulk).unknown == 0


def test_killed_workers_double_nobody_and_receipts_settle_the_doubt(
    huawei: Gateways, shop: Application, tmp_path: Path, settings: Any
) -> None:
    """What Huawei took, its receipts tell; what stays in doubt, it never had."""
    huawei.ask("POST", "/behaviour", {"hms": {"latency_ms": 400}})
    settings.CHUNK_SIZE = 100
    make_registrations(shop, 2000, platform=Platform.HUAWEI)
    bulk = make_bulk(shop)
    fanout.freeze(bulk)
    small = {"WINDOW_SIZE": "25", "WINDOWS_IN_FLIGHT": "2", "LEASE_SECONDS": "3"}
    environment = {**huawei.environment(), **small}
    worker = Worker(tmp_path / "w.log", queues="dispatch", children=2, environment=environment)
    tasks.revive()
    killed = 0
    try:
        for accepted in (100, 500, 900):

            def kill_one(wanted: int = accepted) -> bool:
                children = worker.children()
                if not children or huawei.ledger()["hms"]["accepted"] < wanted:
                    return False
                os.kill(children[0], signal.SIGKILL)
                return True

            eventually(kill_one, seconds=60, what="it sends, and is killed")
            killed += 1
            reports.consume(seconds=0.2)  # also of messages that have no row yet

        def is_done() -> bool:
            tasks.revive()
            bulk.refresh_from_db()
            return bulk.status == Bulk.Status.DONE

        eventually(is_done, seconds=120, what="the campaign ended")
    finally:
        worker.stop()
    all_are_folded(huawei)

    taken = Counter(row["token"] for row in huawei.messages())
    assert set(taken.values()) == {1}  # no device twice
    funnel = consistent(bulk)
    assert funnel.sent == 2000
    assert funnel.delivered == len(taken)
    assert funnel.unknown == 2000 - len(taken) <= killed * 2 * 25


def test_a_credential_that_is_set_right_sends_what_waited(
    huawei: Gateways, shop: Application
) -> None:
    credential = shop.credentials.get()
    right = credential.data
    credential.data = {**right, "client_secret": "guess"}
    credential.version += 1
    credential.save()
    make_registrations(shop, 5, platform=Platform.HUAWEI)

    bulk = send(make_bulk(shop))
    credential.refresh_from_db()
    assert "does not accept this client secret" in credential.pause_reason
    assert statistics.funnel(bulk).waiting == 5

    credential.data = right
    credential.version += 1
    credential.save()
    assert channels.test(credential).verdict is Verdict.ACCEPTED
    tasks.revive()
    send(bulk)
    all_are_folded(huawei)

    assert states_of(bulk) == {(State.DELIVERED, Reason.NONE): 5}
    assert huawei.ledger()["hms"]["accepted"] == 5
