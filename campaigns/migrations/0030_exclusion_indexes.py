from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Apart from 0029: an index is not built while a table is locked for its columns."""

    dependencies = [
        ("campaigns", "0029_exclusions"),
        ("devices", "0026_zone_and_approval"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="segment",
            index=models.Index(
                condition=models.Q(("excludes", True)),
                fields=["application"],
                name="segment_excluding",
            ),
        ),
        migrations.AddConstraint(
            model_name="staticlist",
            constraint=models.UniqueConstraint(
                condition=models.Q(("do_not_contact", True)),
                fields=("application",),
                name="an_application_has_one_do_not_contact_list",
            ),
        ),
    ]
