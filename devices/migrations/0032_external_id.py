from django.db import migrations, models


class Migration(migrations.Migration):
    """What people read of an identity's kind; nothing changes in the database."""

    dependencies = [
        ("devices", "0031_import_people"),
    ]

    operations = [
        migrations.AlterField(
            model_name="identity",
            name="kind",
            field=models.SmallIntegerField(
                choices=[(1, "External ID"), (2, "Phone"), (3, "E-mail")]
            ),
        ),
    ]
