import django.contrib.postgres.indexes
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0023_device_base"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(models.F("at"), models.F("id"), name="audit_newest"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                models.F("application"), models.F("at"), models.F("id"), name="audit_of_application"
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                django.db.models.functions.text.Lower("actor_name"),
                models.F("at"),
                models.F("id"),
                name="audit_of_actor",
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                models.F("action"), models.F("at"), models.F("id"), name="audit_of_action"
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Lower("object_name"), name="text_pattern_ops"
                ),
                name="audit_of_name",
            ),
        ),
    ]
