from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0039_texts_of_legs"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="counter",
            index=models.Index(fields=["minute"], name="counter_by_minute"),
        ),
    ]
