"""Draw the devices that stand for all of a large application while somebody types."""

from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from campaigns.models import PERSON_COLUMNS, Sample, SampledRegistration
from devices.models import Application, Person, Registration

SIZE = 100_000  # devices of a sample
LEAST = 200_000  # devices of an application that is worth one; fewer are counted themselves
KEEP = timedelta(minutes=15)
DRAWS = 100  # parts of a sample, each as random as the whole, and lying together
PROBED = 10  # of a hundred sampled devices: asked when a rule looks into other tables for each
LOCK = 0x73616D70  # of advisory locks: "samp", and the application

DRAW = """
INSERT INTO {sample} (draw, {columns}, {person_columns})
SELECT ntile({draws}) OVER (ORDER BY random()) - 1, {registration_columns}, {people}
FROM {registration} r LEFT JOIN {person} p ON p.id = r.person_id
WHERE r.application_id = %s AND random() < %s
"""


def rebuild(application: Application) -> int:
    """Draw the sample of an application again, and return how many devices it has.

    Whoever counts meanwhile sees the old one. Of two at once, the second does nothing.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK, application.pk])
        if not cursor.fetchone()[0]:
            return 0
        devices = Registration.objects.filter(application=application).count()
        SampledRegistration.objects.filter(application=application).delete()
        cursor.execute("SET LOCAL work_mem = '64MB'")  # the parts are sorted
        cursor.execute(_statement(), [application.pk, min(1, SIZE / max(1, devices))])
        sampled: int = cursor.rowcount
        Sample.objects.update_or_create(
            application=application,
            defaults={
                "devices": devices,
                "sampled": sampled,
                "probed": drawn(sampled, PROBED),
                "built_at": timezone.now(),
            },
        )
        cursor.execute(f"ANALYZE {SampledRegistration._meta.db_table}")
    return sampled


def drawn(sampled: int, draws: int) -> int:
    """How many devices of a sample are in its first parts: ntile() makes them alike."""
    return sampled // DRAWS * draws + min(draws, sampled % DRAWS)


def _statement() -> str:
    """Names of tables and columns alone are put together here; values are parameters."""
    columns = [field.column for field in Registration._meta.concrete_fields]
    return DRAW.format(
        draws=DRAWS,
        sample=SampledRegistration._meta.db_table,
        registration=Registration._meta.db_table,
        person=Person._meta.db_table,
        columns=", ".join(f'"{name}"' for name in columns),
        registration_columns=", ".join(f'r."{name}"' for name in columns),
        person_columns=", ".join(f'"person_{name}"' for name in PERSON_COLUMNS),
        people=", ".join(f'p."{name}"' for name in PERSON_COLUMNS),
    )


def stale() -> list[Application]:
    """Large applications without a sample, or with one that is too old."""
    fresh = Sample.objects.filter(built_at__gte=timezone.now() - KEEP)
    return [
        application
        for application in Application.objects.exclude(pk__in=fresh.values("pk"))
        if _is_large(application)
    ]


def _is_large(application: Application) -> bool:
    return Registration.objects.filter(application=application)[LEAST - 1 : LEAST].exists()
