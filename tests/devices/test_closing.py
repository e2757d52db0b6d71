"""Dead addresses: collected, judged by their share, closed or left for a person to decide."""

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import closing
from devices.closing import DeadAddress
from devices.models import Address, Breaker, ProviderCredential, Registration, SuspectAddress
from tests.factories import make_application, make_credential, make_registrations

pytestmark = pytest.mark.django_db


def dead(
    device: Registration, *, reason: Address.Closed = Address.Closed.UNINSTALLED
) -> DeadAddress:
    digest = hashlib.sha256(device.address.token.encode()).digest()
    return DeadAddress(device.pk, digest, reason, "404 UNREGISTERED")


def shop(devices: int) -> tuple[ProviderCredential, list[Registration]]:
    application = make_application()
    return make_credential(application), make_registrations(application, devices)


def closed(credential: ProviderCredential) -> int:
    addresses = Address.objects.filter(application=credential.application_id)
    return addresses.filter(closed_at__isnull=False).count()


def wait_out(credential: ProviderCredential) -> None:
    """Let the page of a credential become old."""
    old = timezone.now() - closing.PATIENCE - timedelta(seconds=1)
    Breaker.objects.filter(pk=credential.pk).update(began_at=old)
    closing.judge_old_pages()


def test_answers_without_a_dead_address_begin_no_page() -> None:
    credential, _ = shop(0)
    closing.suspect(credential, [], answers=5000)
    assert not Breaker.objects.exists()


def test_strangers_to_a_new_credential_are_not_waited_for() -> None:
    credential, devices = shop(4)
    strangers = [dead(device, reason=Address.Closed.MISMATCHED) for device in devices]

    closing.suspect(credential, strangers, answers=4, strangers=True)
    closing.suspect(credential, strangers, answers=4, strangers=True)  # was on the wire already

    credential.refresh_from_db()
    assert credential.waits_for_a_decision
    assert "4 of 4 addresses dead" in credential.pause_reason
    assert closed(credential) == 0
    assert closing.believe(credential.breaker) == 4


def test_a_page_is_judged_when_it_is_full_and_not_before() -> None:
    credential, devices = shop(4)
    closing.suspect(credential, [dead(device) for device in devices], answers=100)
    assert closed(credential) == 0
    closing.suspect(credential, [], answers=399)
    assert closed(credential) == 0
    closing.suspect(credential, [], answers=1)
    assert closed(credential) == 4
    assert Registration.objects.filter(enabled=False).count() == 4
    assert not SuspectAddress.objects.exists()
    assert Breaker.objects.get().answers == 0


@pytest.mark.parametrize(
    ("reason", "count", "trips"),
    [
        (Address.Closed.UNINSTALLED, 300, False),
        (Address.Closed.UNINSTALLED, 301, True),
        (Address.Closed.MALFORMED, 25, False),
        (Address.Closed.MALFORMED, 26, True),
        (Address.Closed.MISMATCHED, 25, False),
        (Address.Closed.MISMATCHED, 26, True),
    ],
)
def test_sixty_of_a_hundred_may_be_gone_and_five_mismatched(
    reason: Address.Closed, count: int, trips: bool
) -> None:
    credential, devices = shop(count)
    closing.suspect(credential, [dead(device, reason=reason) for device in devices], answers=500)

    assert closed(credential) == (0 if trips else count)
    credential.refresh_from_db()
    assert (credential.paused_at is not None) == credential.waits_for_a_decision == trips


@given(
    pages=st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 250)), max_size=12
    )
)
@settings(max_examples=60, deadline=None)
def test_nobody_is_closed_by_an_unbelievable_share(pages: list[tuple[int, int, int]]) -> None:
    """Whatever the windows: an address is closed, suspected, or forgotten by decision."""
    credential, devices = shop(sum(gone + wrong for gone, wrong, _ in pages))
    left = iter(devices)
    suspected = answers = wrongs = 0
    for gone, wrong, fine in pages:
        told = [dead(next(left)) for _ in range(gone)]
        told += [dead(next(left), reason=Address.Closed.MALFORMED) for _ in range(wrong)]
        before = closed(credential)
        closing.suspect(credential, told, answers=gone + wrong + fine)
        suspected += len(told)
        if suspected:
            answers += gone + wrong + fine
            wrongs += wrong
        now_closed = closed(credential) - before
        if now_closed:
            assert answers >= closing.PAGE
            assert wrongs <= closing.MISMATCHED_SHARE * answers
            assert suspected - wrongs <= closing.GONE_SHARE * answers
            suspected = answers = wrongs = 0
        waiting = SuspectAddress.objects.filter(breaker=credential.pk).count()
        assert waiting == suspected


def test_a_slow_page_is_judged_as_it_stands() -> None:
    credential, devices = shop(10)
    closing.suspect(credential, [dead(device) for device in devices[:9]], answers=12)
    closing.judge_old_pages()
    assert closed(credential) == 0
    wait_out(credential)
    assert closed(credential) == 9


def test_a_slow_page_full_of_mismatches_waits_for_more_answers() -> None:
    credential, devices = shop(5)
    told = [dead(device, reason=Address.Closed.MALFORMED) for device in devices]
    closing.suspect(credential, told, answers=20)
    wait_out(credential)
    assert closed(credential) == 0
    assert Breaker.objects.get().tripped_at is None
    closing.suspect(credential, [], answers=480)
    assert closed(credential) == 5


def test_a_tripped_breaker_asks_a_person_who_may_believe_the_cloud() -> None:
    credential, devices = shop(400)
    closing.suspect(credential, [dead(device) for device in devices], answers=500)
    closing.suspect(credential, [], answers=500)  # windows that were still on the wire
    wait_out(credential)
    assert closed(credential) == 0

    assert closing.believe(credential.breaker) == 400

    credential = ProviderCredential.objects.get(pk=credential.pk)
    assert closed(credential) == 400
    assert (credential.paused_at, credential.pause_reason) == (None, "")
    assert not credential.waits_for_a_decision


def test_or_keep_the_addresses() -> None:
    credential, devices = shop(400)
    closing.suspect(credential, [dead(device) for device in devices], answers=500)

    assert closing.disbelieve(credential.breaker) == 400

    credential = ProviderCredential.objects.get(pk=credential.pk)
    assert closed(credential) == 0
    assert credential.paused_at is None
    assert not SuspectAddress.objects.exists()


def test_a_token_refreshed_meanwhile_or_after_the_clouds_time_stays_open() -> None:
    credential, (refreshed, later, gone) = shop(3)
    told = [dead(refreshed)]
    assert later.address.token_changed_at is not None
    died = later.address.token_changed_at - timedelta(hours=1)
    told += [
        DeadAddress(d.pk, hashlib.sha256(d.address.token.encode()).digest(),
                    Address.Closed.UNINSTALLED, "410 Unregistered", since)
        for d, since in ((later, died), (gone, timezone.now()))
    ]  # fmt: skip
    Address.objects.filter(registration=refreshed).update(token="new", token_digest=b"n" * 32)

    closing.suspect(credential, told, answers=500)

    assert list(
        Address.objects.filter(closed_at__isnull=False).values_list("registration_id", flat=True)
    ) == [gone.pk]


def test_a_device_deleted_meanwhile_is_passed_over() -> None:
    credential, devices = shop(2)
    told = [dead(device) for device in devices]
    devices[0].delete()
    closing.suspect(credential, told, answers=500)
    assert closed(credential) == 1
