import django.db.models.fields.json
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0020_events_of_a_person"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                django.db.models.fields.json.KeyTransform("merged_into", "after"),
                condition=models.Q(("action", "merge person")),
                name="audit_of_merge",
            ),
        ),
    ]
