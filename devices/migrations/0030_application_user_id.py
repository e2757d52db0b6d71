from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0029_tag_words"),
    ]

    operations = [
        migrations.AddField(
            model_name="address",
            name="application_user_id",
            field=models.CharField(blank=True, db_default="", default="", max_length=255),
        ),
    ]
