"""A phone that says hello costs a row its place, and no index an entry.

Counts read narrow tables by index alone; a contact that wrote into their indexes would undo
that (measured: eight to twelve times slower).
"""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from devices import registering
from devices.models import Address, Registration
from devices.registering import Device
from tests.factories import make_application, make_registrations

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


@pytest.mark.django_db(transaction=True)
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
    assert every == DEVICES
    assert hot >= 0.9 * DEVICES
