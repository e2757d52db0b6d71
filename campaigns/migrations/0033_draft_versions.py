"""Versions of drafts say when somebody began to write them, and what they repeat."""

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0032_resends")]

    operations = [
        migrations.AddField(
            model_name="campaignversion",
            name="began_at",
            field=models.DateTimeField(db_default=Now()),
        ),
        migrations.AddField(
            model_name="campaignversion",
            name="restored_from",
            field=models.PositiveIntegerField(null=True),
        ),
    ]
