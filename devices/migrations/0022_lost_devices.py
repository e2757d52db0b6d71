from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0021_merges_of_a_person"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="address",
            index=models.Index(
                condition=models.Q(("closed_at__isnull", False)),
                fields=["closed_at"],
                name="address_closed",
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                condition=models.Q(("action", "delete device")),
                fields=["at"],
                name="audit_of_deletion",
            ),
        ),
    ]
