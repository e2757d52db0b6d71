"""devices.registering under races; what an app meets is in tests/api/test_mobile_registering.py."""

import hashlib
import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from devices import closing, registering
from devices.closing import DeadAddress
from devices.errors import CustomAttributeError
from devices.models import Address, Platform, Registration
from devices.registering import Device
from tests.factories import (
    make_application,
    make_credential,
    make_person,
    make_registration,
    make_registrations,
    make_token,
)
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*steps: Callable[[], object]) -> None:
    """Run steps in threads that start together; an error of one is an error here."""
    together, raised = threading.Barrier(len(steps)), list[BaseException]()

    def run(step: Callable[[], object]) -> None:
        together.wait(timeout=30)
        try:
            step()
        except BaseException as error:  # noqa: BLE001 (raised below)
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not raised


def until_somebody_waits() -> None:
    """Until another session waits for a lock that we hold."""

    def waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            return cursor.fetchone() is not None

    eventually(waits, "another session waits")


def test_a_new_device_is_told_as_it_is_stored() -> None:
    told = registering.register(
        make_application(),
        Device(
            platform=Platform.IOS, token=make_token(Platform.IOS), app_version="4.10.0",
            os_version="18.1", sdk_version="15.1.0", language="de_AT", manufacturer="Apple",
            model="iPhone 16", device_name="Ana's “phone”", timezone_offset=330, enabled=True,
            notifications_enabled=False, secure=True, geofencing=None, primary=True,
            attributes={"plan": "gold", "orders": 2**63 - 1, "share": 0.1, "vip": True},
        ),
    )  # fmt: skip
    bare = registering.register(told.application, Device(platform=Platform.ANDROID))

    for device in (told, bare):
        stored = registering.find(told.application, device.address.public_id)
        for one, other in ((device, stored), (device.address, stored.address)):
            for field in other._meta.concrete_fields:
                kept = getattr(other, field.attname)
                kept = bytes(kept) if isinstance(kept, memoryview) else kept
                assert getattr(one, field.attname) == kept, field.name
    assert told.created_at.date() == told.last_seen_day
    told.enabled = False
    told.save()  # it is known to be stored
    assert Registration.objects.filter(enabled=False).get() == told


def test_a_device_that_registers_while_its_token_is_called_dead_is_reachable() -> None:
    device = make_registration(make_application())
    address = device.address
    again = Device(platform=Platform.ANDROID, token=address.token)
    phone = threading.Thread(
        target=lambda: at_once(lambda: registering.register(device.application, again))
    )
    dead = DeadAddress(
        device.pk,
        hashlib.sha256(address.token.encode()).digest(),
        Address.Closed.UNINSTALLED,
        "GONE",
    )

    with transaction.atomic():
        closing.suspect(make_credential(device.application), [dead], answers=closing.PAGE)
        assert Address.objects.get(pk=address.pk).closed_at is not None
        phone.start()
        until_somebody_waits()
    phone.join(timeout=60)

    address.refresh_from_db()
    device.refresh_from_db()
    assert address.closed_at is None
    assert device.enabled


def test_a_token_that_two_devices_claim_at_once_ends_at_one() -> None:
    application, token = make_application(), make_token(Platform.ANDROID)
    addresses = [each.address for each in make_registrations(application, 4)]

    at_once(
        *(
            lambda address=address: registering.refresh(
                application, address.public_id, Device(token=token)
            )
            for address in addresses
        )
    )

    assert Address.objects.filter(token=token).count() == 1
    replaced = Address.objects.filter(token="", closed_reason=Address.Closed.REPLACED)
    assert replaced.count() == 3
    assert Registration.objects.filter(enabled=True).count() == 1


def test_a_person_whose_devices_claim_to_be_primary_at_once_has_one() -> None:
    application, person = make_application(), make_person()
    addresses = [each.address for each in make_registrations(application, 4, person=person)]

    at_once(
        *(
            lambda address=address: registering.refresh(
                application, address.public_id, Device(primary=True)
            )
            for address in addresses
        )
    )

    assert Registration.objects.filter(primary=True).count() == 1


def test_an_attribute_that_two_devices_invent_at_once_has_one_type() -> None:
    application = make_application()
    outcomes: list[str] = []

    def invent(value: object) -> None:
        try:
            registering.register(
                application, Device(platform=Platform.IOS, attributes={"size": value})
            )
        except CustomAttributeError as refused:
            outcomes.append(str(refused))
        else:
            outcomes.append("kept")

    at_once(lambda: invent("large"), lambda: invent(42), lambda: invent(value=True))

    assert outcomes.count("kept") == 1
    assert application.attribute_definitions.count() == 1
    assert Registration.objects.count() == 1
