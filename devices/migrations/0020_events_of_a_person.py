from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0019_invitation"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("person__isnull", False)),
                fields=["person", "at"],
                name="event_of_person",
            ),
        ),
    ]
