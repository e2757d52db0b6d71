"""campaigns.resending: nobody gets two, whatever happens."""

import random
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from campaigns import composing, dispatch, fanout, ledger
from campaigns.models import Bulk, Chunk, Message, Reason
from devices.models import Application, Role
from tests.campaigns.sending_again import (
    ACCEPTED,
    BROKEN,
    NO_ANSWER,
    REFUSED,
    Phones,
    again,
    finished,
    frozen,
    frozen_or_nobody,
    phones,
    send,
    shop,
    tokens,
)
from tests.factories import make_campaign, make_registrations, make_user

__all__ = ["phones", "shop"]  # fixtures
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_sent_again_in_whatever_order_nobody_gets_two(
    shop: Application, phones: Phones, seed: int
) -> None:
    """Random answers, choices, cancelled and half-sent campaigns; never two that may be there."""
    chance = random.Random(seed)
    devices = tokens(make_registrations(shop, 30))
    outcomes = [ACCEPTED, BROKEN, REFUSED, NO_ANSWER]
    certain = [Reason.CLOUD_ERROR, Reason.LIMITED, Reason.NO_ANSWER]

    def shuffle() -> None:
        phones.answers = {token: chance.choice(outcomes) for token in devices}

    shuffle()
    bulks = [send(make_campaign(shop))]
    open_bulks: list[Bulk] = []
    for _ in range(8):
        shuffle()
        draft = again(chance.choice(bulks), *chance.sample(certain, chance.randint(1, 3)))
        if not frozen_or_nobody(draft):
            continue
        bulk = frozen(draft)
        bulks.append(bulk)
        match chance.choice(["send", "leave", "cancel"]):
            case "send":
                finished(bulk)
            case "leave":
                open_bulks.append(bulk)
            case "cancel":
                assert bulk.campaign is not None
                composing.cancel(bulk.campaign, make_user(Role.MARKETER, shop))
    for bulk in open_bulks:
        finished(bulk)

    assert max(phones.taken.values()) == 1
    assert phones.taken.total() > 7  # a quarter of 30 at the first attempt alone


@pytest.mark.django_db(transaction=True)
def test_several_that_start_at_the_same_moment_reach_a_device_once(
    shop: Application, phones: Phones
) -> None:
    make_registrations(shop, 50)
    phones.otherwise = REFUSED
    first = send(make_campaign(shop))
    bulks = []
    for _ in range(4):
        bulk = composing.launch(again(first, Reason.LIMITED), make_user(Role.MARKETER, shop))
        Bulk.objects.filter(pk=bulk.pk).update(starts_at=timezone.now() - timedelta(hours=1))
        bulks.append(bulk)
    together, sizes = threading.Barrier(len(bulks)), []

    def start(bulk: Bulk) -> None:
        try:
            together.wait(timeout=60)
            sizes.append(fanout.freeze(bulk))
        finally:
            connection.close()

    threads = [threading.Thread(target=start, args=[bulk]) for bulk in bulks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    assert sorted(sizes) == [0, 0, 0, 50]


def test_a_worker_that_dies_while_it_sends_again_leaves_nobody_to_be_sent_to(
    shop: Application, phones: Phones
) -> None:
    make_registrations(shop, 10)
    phones.otherwise = REFUSED
    first = send(make_campaign(shop))
    second = frozen(again(first, Reason.LIMITED))
    chunk = ledger.claim_chunk()
    assert chunk is not None
    assert ledger.claim_window(chunk, 10)
    assert frozen_or_nobody(again(first, Reason.LIMITED)) == 0

    Chunk.objects.filter(bulk=second).update(lease_until=timezone.now() - timedelta(hours=1))
    dispatch.settle_abandoned()

    assert Message.objects.of_bulk(second).filter(reason=Reason.WORKER_LOST).count() == 10
    assert frozen_or_nobody(again(first, Reason.LIMITED)) == 0
    assert frozen_or_nobody(again(second, Reason.LIMITED)) == 0
