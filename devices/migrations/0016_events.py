"""Events of apps: parted by day of `at`, so that old days are dropped whole."""

import django.db.models.deletion
from django.db import migrations, models

CREATE = """
CREATE TABLE devices_event (
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    application_id bigint NOT NULL,
    registration_id bigint NOT NULL,
    person_id bigint,
    kind smallint NOT NULL,
    name varchar(255) COLLATE "C" NOT NULL,
    properties jsonb NOT NULL,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE devices_event_default PARTITION OF devices_event DEFAULT;
CREATE INDEX event_by_name ON devices_event (application_id, kind, name, at)
    INCLUDE (registration_id);
CREATE INDEX event_of_registration ON devices_event (registration_id, at);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0015_credential_ends"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE, "DROP TABLE devices_event")],
            state_operations=[
                migrations.CreateModel(
                    name="Event",
                    fields=[
                        ("id", models.UUIDField(primary_key=True, serialize=False)),
                        ("at", models.DateTimeField()),
                        (
                            "kind",
                            models.SmallIntegerField(choices=[(1, "Session"), (2, "Custom event")]),
                        ),
                        ("name", models.CharField(db_collation="C", default="", max_length=255)),
                        ("properties", models.JSONField(default=dict)),
                        (
                            "application",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="devices.application",
                            ),
                        ),
                        (
                            "person",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="devices.person",
                            ),
                        ),
                        (
                            "registration",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="devices.registration",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(
                                fields=["application", "kind", "name", "at"],
                                include=("registration",),
                                name="event_by_name",
                            ),
                            models.Index(
                                fields=["registration", "at"], name="event_of_registration"
                            ),
                        ],
                    },
                ),
            ],
        ),
    ]
