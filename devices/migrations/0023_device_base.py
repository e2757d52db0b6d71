import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0022_lost_devices"),
    ]

    operations = [
        migrations.CreateModel(
            name="BaseDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "application",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="base_days",
                        to="devices.application",
                    ),
                ),
                ("day", models.DateField()),
                (
                    "platform",
                    models.SmallIntegerField(
                        choices=[(1, "Android"), (2, "iOS"), (3, "Huawei"), (4, "Web")]
                    ),
                ),
                ("devices", models.PositiveBigIntegerField(default=0)),
                ("switched_on", models.PositiveBigIntegerField(default=0)),
                ("reachable", models.PositiveBigIntegerField(default=0)),
                ("active", models.PositiveBigIntegerField(default=0)),
                ("new", models.PositiveBigIntegerField(default=0)),
                ("lost", models.PositiveBigIntegerField(default=0)),
                ("measured", models.BooleanField(default=True)),
                ("counted_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("application", "day", "platform"), name="a_day_is_counted_once"
                    ),
                ],
            },
        ),
    ]
