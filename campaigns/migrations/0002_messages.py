"""The ledger's table: range-partitioned by its own key, so that old days are dropped whole."""

import django.db.models.deletion
from django.db import migrations, models

CREATE = """
CREATE TABLE campaigns_message (
    id uuid PRIMARY KEY,
    bulk_id bigint NOT NULL,
    registration_id bigint NOT NULL,
    destination_id bigint,
    sent_at timestamptz NOT NULL,
    delivered_at timestamptz,
    seen_at timestamptz,
    clicked_at timestamptz,
    app_version bigint NOT NULL,
    state smallint NOT NULL,
    reason smallint NOT NULL,
    platform smallint NOT NULL,
    variant smallint NOT NULL,
    attempt smallint NOT NULL,
    language varchar(35) COLLATE "C" NOT NULL,
    answer varchar(200) NOT NULL
) PARTITION BY RANGE (id);
CREATE TABLE campaigns_message_default PARTITION OF campaigns_message DEFAULT WITH (fillfactor = 80);
CREATE INDEX message_of_registration ON campaigns_message (registration_id, id);
"""


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(CREATE, "DROP TABLE campaigns_message"),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="Message",
                    fields=[
                        ("id", models.UUIDField(primary_key=True, serialize=False)),
                        ("sent_at", models.DateTimeField()),
                        ("delivered_at", models.DateTimeField(null=True)),
                        ("seen_at", models.DateTimeField(null=True)),
                        ("clicked_at", models.DateTimeField(null=True)),
                        ("app_version", models.BigIntegerField(default=0)),
                        (
                            "state",
                            models.SmallIntegerField(
                                choices=[
                                    (1, "Unknown"),
                                    (2, "Accepted"),
                                    (3, "Delivered"),
                                    (4, "Seen"),
                                    (5, "Tapped"),
                                    (8, "Failed"),
                                    (9, "Expired"),
                                ]
                            ),
                        ),
                        (
                            "reason",
                            models.SmallIntegerField(
                                choices=[
                                    (0, "Nothing to say"),
                                    (11, "The app was removed from the device"),
                                    (12, "The token belongs to another sender"),
                                    (13, "The cloud does not know this token"),
                                    (14, "The device was deleted before sending"),
                                    (15, "The device was switched off before sending"),
                                    (16, "The device never reported a token"),
                                    (21, "The cloud refused the notification"),
                                    (22, "The notification is larger than the cloud takes"),
                                    (23, "The cloud reported an error of its own"),
                                    (24, "The cloud could not take it in time"),
                                    (25, "The cloud refused our credential"),
                                    (26, "No credential for this platform"),
                                    (27, "A fault of this installation"),
                                    (31, "The time to live ended before it could be sent"),
                                    (41, "A worker stopped while sending"),
                                    (42, "The cloud did not answer"),
                                    (51, "Notifications are switched off"),
                                    (52, "The device is switched off"),
                                    (53, "Not the primary device of its person"),
                                    (61, "The cloud said: not now"),
                                    (62, "The connection was lost before it was sent"),
                                ],
                                default=0,
                            ),
                        ),
                        (
                            "platform",
                            models.SmallIntegerField(
                                choices=[(1, "Android"), (2, "iOS"), (3, "Huawei"), (4, "Web")]
                            ),
                        ),
                        ("variant", models.SmallIntegerField(default=0)),
                        ("attempt", models.SmallIntegerField(default=0)),
                        ("language", models.CharField(db_collation="C", default="", max_length=35)),
                        ("answer", models.CharField(default="", max_length=200)),
                        (
                            "bulk",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="campaigns.bulk",
                            ),
                        ),
                        (
                            "destination",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="campaigns.destination",
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
                                fields=["registration", "id"], name="message_of_registration"
                            )
                        ],
                    },
                ),
            ],
        ),
    ]
