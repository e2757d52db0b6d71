from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0014_person_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="providercredential",
            name="ends_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
