from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("devices", "0030_application_user_id")]

    operations = [
        migrations.AlterField(
            model_name="importrun",
            name="purpose",
            field=models.CharField(
                choices=[
                    ("devices", "Devices and people"),
                    ("people", "People"),
                    ("list", "Members of a list"),
                ],
                db_default="devices",
                default="devices",
                max_length=7,
            ),
        ),
    ]
