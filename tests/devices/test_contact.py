"""A phone that says hello costs a row its place, and no index an entry; and one statement.

Counts read narrow tables by index alone; a contact that wrote into their indexes would undo
that (measured: eight to twelve times slower).
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from devices import registering
from devices.models import Address, Application, Platform, Provider, Registration
from devices.registering import Device
from devices.versions import pack_version
from tests.devices.test_registering import until_somebody_waits
from tests.factories import make_application, make_registration, make_registrations, make_token

DEVICES = 300

UPDATES = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = %s"


def updates(table: str) -> tuple[int, int]:
    """All updates of a table, and those that touched no index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(UPDATES, [table])
        found: tuple[int, int] = cursor.fetchone()
    return found


@pytest.fixture
def roomy_pages() -> Iterator[None]:
    """Pages with room for two of each row.

    Without it a row keeps its page only if dead rows of others can be taken away, and they
    cannot while any transaction of the server, of another database even, is older.
    """
    kept = {}
    with connection.cursor() as cursor:
        for table in (Registration._meta.db_table, Address._meta.db_table):
            cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [table])
            kept[table] = dict(option.split("=") for option in cursor.fetchone()[0])
            cursor.execute(f"ALTER TABLE {table} SET (fillfactor = 40)")
    yield
    with connection.cursor() as cursor:
        for table, options in kept.items():
            cursor.execute(f"ALTER TABLE {table} SET (fillfactor = {options['fillfactor']})")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("roomy_pages")
@pytest.mark.parametrize("model", [Registration, Address])
def test_contacts_touch_no_index(model: type[Registration] | type[Address]) -> None:
    application = make_application()
    make_registrations(
        application, DEVICES, last_seen_day=timezone.now().date() - timedelta(days=1)
    )
    table = model._meta.db_table
    before = updates(table)

    for public_id in Address.objects.values_list("public_id", flat=True):
        registering.refresh(application, public_id, Device())

    every, hot = (now - then for now, then in zip(updates(table), before, strict=True))
    assert (every, hot) == (DEVICES, DEVICES)


def stored(registration: Registration) -> dict[str, Any]:
    """What there is of a device, but for its names and the moments of its contacts."""
    address = Address.objects.select_related("registration").get(pk=registration.pk)
    moments = {"last_contact_at", "token_changed_at", "created_at", "public_id"}
    return {
        name: value
        for row in (address.registration, address)
        for name, value in registering._columns(row).items()
        if name not in {"id", "registration_id", "token", "token_digest", *moments}
    }


def known(application: Application, token: str) -> Registration:
    return registering.register(
        application,
        Device(
            platform=Platform.ANDROID, token=token, app_version="1.16.0", os_version="14",
            sdk_version="13.10.2", language="en", model="ANE", device_name="Anna's", secure=True,
            timezone_offset=180, attributes={"club": "Gold", "size": 9.5, "member": True},
        ),
    )  # fmt: skip


SAID = [
    Device(),
    Device(app_version="2.0.0-beta", device_name="", language="de_AT", model="Pixel 9\0 "),
    Device(application_user_id="anna-7", device_name=" Anna "),
    Device(app_version="x" * 100, timezone_offset=None, secure=None, geofencing=False),
    Device(enabled=False, notifications_enabled=False, timezone_offset=-150),
    Device(platform=Platform.IOS),
    Device(platform=Platform.HUAWEI, provider=Provider.HMS, kind=Address.Kind.HARMONY),
    Device(primary=False),
    Device(primary=True),
    Device(token=""),
    Device(attributes={}),
    Device(attributes=None),
    Device(attributes={"club": "Gold", "gone": None}),
    Device(attributes={"club": None, "size": 10}),
    Device(attributes={"list": [{"a": 1}, {"a": 2}]}),
    Device(app_version="2.0", attributes={"club": "Silver"}),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("said", SAID, ids=str)
def test_one_statement_writes_what_a_look_at_the_rows_would(said: Device) -> None:
    application = make_application()
    one, other = (known(application, make_token(Platform.ANDROID)) for _ in range(2))

    told = registering.refresh(application, one.address.public_id, said)
    with transaction.atomic():
        registering._refresh(application, other.address.public_id, said, None, None)

    assert stored(one) == stored(other)
    assert registering._columns(told) == registering._columns(Registration.objects.get(pk=one.pk))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("said", [each for each in SAID if each.token != ""], ids=str)
def test_registering_again_writes_what_a_look_at_the_rows_would(said: Device) -> None:
    application = make_application()
    tokens = [make_token(Platform.ANDROID) for _ in range(2)]
    one, other = (known(application, token) for token in tokens)
    again, slowly = (
        replace(said, token=token, platform=Platform.ANDROID if said.provider != Provider.HMS
                else said.platform)
        for token in tokens
    )  # fmt: skip

    told = registering.register(application, again)
    with transaction.atomic():
        registering._register(application, slowly, registering._new(application, slowly))

    assert told == one
    assert stored(one) == stored(other)


@pytest.mark.django_db(transaction=True)
def test_versions_said_at_once_are_stored_as_one_of_them_said() -> None:
    device = make_registration(make_application())
    public_id, together = device.address.public_id, threading.Barrier(6)

    def say(number: int) -> None:
        together.wait(timeout=30)
        try:
            for _ in range(10):
                said = Device(app_version=f"{number}.0")
                registering.refresh(device.application, public_id, said)
        finally:
            connection.close()

    threads = [threading.Thread(target=say, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    address = Address.objects.select_related("registration").get(pk=device.pk)
    assert address.registration.app_version == pack_version(address.app_version) != 0


@pytest.mark.django_db(transaction=True)
def test_a_row_that_changes_meanwhile_is_compared_as_it_became() -> None:
    device = make_registration(make_application(), app_version=pack_version("1.0"))
    Address.objects.filter(pk=device.pk).update(app_version="1.0")
    public_id, said = device.address.public_id, Device(app_version="1.0")

    def say() -> None:
        try:
            registering.refresh(device.application, public_id, said)
        finally:
            connection.close()

    phone = threading.Thread(target=say)
    with transaction.atomic():
        registering.refresh(device.application, public_id, Device(app_version="2.0"))
        phone.start()
        until_somebody_waits()
    phone.join(timeout=60)

    address = Address.objects.select_related("registration").get(pk=device.pk)
    assert address.app_version == "1.0"
    assert address.registration.app_version == pack_version("1.0")
