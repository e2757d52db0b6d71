"""api.insider.sending: why somebody is not notified, and the cap. Sections: contract/insider.md."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from campaigns.models import Bulk, PushApiSend, Segment
from devices.models import Address, Application, Person, Registration
from tests.api.insider import Caller, caller, make_ana, notification, shop
from tests.factories import do_not_contact, make_person, make_registration

__all__ = ["caller", "shop"]  # fixtures
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

# ------------------------------------------------------------------- reasons


def close(device: Registration) -> None:
    Address.objects.filter(registration=device).update(
        closed_at=timezone.now(), closed_reason=Address.Closed.UNINSTALLED
    )
    Registration.objects.filter(pk=device.pk).update(enabled=False)


def lose_token(device: Registration) -> None:
    Address.objects.filter(registration=device).update(token="", token_digest=None)


def withdraw(device: Registration) -> None:
    Person.objects.filter(registrations=device).update(attributes={"push_optin": False})


def silence(device: Registration) -> None:
    Registration.objects.filter(pk=device.pk).update(notifications_enabled=False)


def switch_off(device: Registration) -> None:
    Registration.objects.filter(pk=device.pk).update(enabled=False)


def lose_credential(device: Registration) -> None:
    device.application.credentials.filter(provider="fcm").delete()


def refuse_credential(device: Registration) -> None:
    device.application.credentials.filter(provider="fcm").update(paused_at=timezone.now())


def delete(device: Registration) -> None:
    Registration.objects.filter(pk=device.pk).delete()


def refuse_contact(device: Registration) -> None:
    assert device.person is not None
    do_not_contact(device.application, device.person)


def leave_out(device: Registration) -> None:
    rule = {"field": "registration_id", "op": "is", "value": str(device.address.public_id)}
    Segment.objects.create(application=device.application, name="Out", rule=rule, excludes=True)


@pytest.mark.parametrize(
    ("happen", "reason"),
    [
        (delete, "NoUserFound"),
        (close, "Unregistered"),
        (lose_token, "Unregistered"),
        (silence, "OptOut"),
        (switch_off, "OptOut"),
        (withdraw, "OptOut"),
        (refuse_contact, "OptOut"),
        (leave_out, "OptOut"),
        (lose_credential, "InvalidCertificate"),
        (refuse_credential, "InvalidCertificate"),
    ],
)
def test_why_somebody_is_not_notified(
    shop: Application, caller: Caller, happen: Callable[[Registration], None], reason: str
) -> None:
    device = make_ana(shop)
    happen(device)

    answer = caller.send(notification())

    assert (answer.status_code, answer.json()) == (
        200,
        {"successes": [], "errors": {reason: [{"uuid": "ana"}]}},
    )
    assert not Bulk.objects.exists()


def test_who_may_not_be_disturbed_is_not_said_to_lack_a_certificate(
    shop: Application, caller: Caller
) -> None:
    device = make_ana(shop, notifications_enabled=False)
    lose_credential(device)

    assert list(caller.send(notification()).json()["errors"]) == ["OptOut"]


def test_opt_ins_are_counted_where_that_is_asked(shop: Application, caller: Caller) -> None:
    make_ana(shop)
    for name, willing in (("bea", True), ("cho", False)):
        person = make_person(external_id=name)
        make_registration(shop, person=person, notifications_enabled=willing)
    make_person(external_id="dag")

    def asked(name: str, *, check: bool) -> dict[str, Any]:
        return notification(identifiers={"uuid": name}, check_optin=check)

    answer = caller.send(
        asked("ana", check=True),
        asked("bea", check=False),
        asked("cho", check=True),
        asked("dag", check=True),
        asked("nobody", check=True),
    ).json()

    assert answer["optin"] == {"total": 3, "optin_count": 1, "optout_count": 2}
    assert len(answer["successes"]) == 2
    assert "optin" not in caller.send(asked("ana", check=False)).json()


# ------------------------------------------------------------------- cap


def test_who_had_enough_is_left_out_for_a_while(shop: Application, caller: Caller) -> None:
    Application.objects.filter(pk=shop.pk).update(cap_count=2, cap_hours=48)
    make_ana(shop)
    capped = notification(GFC_enabled=True)

    with time_machine.travel("2026-11-21T12:00:00Z", tick=False) as clock:
        for _ in range(3):
            assert caller.send(notification()).json()["errors"] == {}  # counts nothing
        both = caller.send(capped, capped, capped).json()
        assert (len(both["successes"]), both["errors"]) == (
            2,
            {"UserGloballyCapped": [{"uuid": "ana"}]},
        )
        clock.shift(timedelta(hours=47))
        assert caller.send(capped).json()["errors"] == {"UserGloballyCapped": [{"uuid": "ana"}]}
        assert caller.send(notification()).json()["errors"] == {}
        clock.shift(timedelta(hours=2))
        assert caller.send(capped).json()["errors"] == {}


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_share_one_cap(shop: Application) -> None:
    Application.objects.filter(pk=shop.pk).update(cap_count=3, cap_hours=48)
    make_ana(shop)

    def ask(number: int) -> int:
        try:
            capped = notification(GFC_enabled=True, camp_id=1 + number % 3)
            return len(Caller().send(capped, capped).json()["successes"])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as callers:
        assert sum(callers.map(ask, range(16))) == 3
    assert PushApiSend.objects.count() == 3


def test_without_a_cap_everybody_is_notified(shop: Application, caller: Caller) -> None:
    make_ana(shop)

    for _ in range(5):
        assert caller.send(notification(GFC_enabled=True)).json()["errors"] == {}
