"""Days of the ledger beside a backup that reads them."""

from datetime import timedelta

import psycopg
import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from campaigns import partitions
from tests.flows.processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_backup_that_reads_a_day_keeps_nobody_waiting() -> None:
    days = partitions.MESSAGES
    old = timezone.now() - timedelta(days=settings.MESSAGE_RETENTION_DAYS + 3)
    day = old.replace(hour=0, minute=0, second=0, microsecond=0)
    assert days._make(day)
    name = partitions.name_of(day)

    with psycopg.connect(database_url()) as backup:
        backup.execute("SELECT count(*) FROM campaigns_message")  # until it commits

        assert partitions.drop_old() == []
        with time_machine.travel(old, tick=True):
            assert partitions.make_ahead(days=0) == []

    assert name in partitions.existing()
    assert partitions.drop_old() == [name]
