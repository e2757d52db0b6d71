import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0030_exclusion_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="SegmentDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("version", models.PositiveIntegerField()),
                ("devices", models.PositiveIntegerField()),
                ("error", models.PositiveIntegerField(default=0)),
                (
                    "segment",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="days",
                        to="campaigns.segment",
                    ),
                ),
            ],
            options={
                "ordering": ["day"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("segment", "day"), name="a_segment_has_a_day_once"
                    )
                ],
            },
        ),
    ]
