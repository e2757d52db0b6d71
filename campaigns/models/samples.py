"""A share of each large application's devices, to count while somebody types."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from devices.models import Application, Person, Platform

PERSON_COLUMNS = (
    "first_name", "last_name", "middle_name", "gender", "birthday", "kind", "city", "country",
    "preferred_language", "attributes",
)  # fmt: skip


class Sample(models.Model):
    """What the sample of an application stands for.

    The tables are unlogged: after a crash both are empty, and made again.
    """

    application = models.OneToOneField(
        Application, primary_key=True, on_delete=models.CASCADE, related_name="sample"
    )
    devices = models.PositiveBigIntegerField()  # of the application, when it was drawn
    sampled = models.PositiveIntegerField()
    probed = models.PositiveIntegerField()  # of them: the share for rules that cost more
    built_at = models.DateTimeField()


class SampledRegistration(models.Model):
    """A device as it was when the sample was drawn, with what a rule can ask of its person.

    Its columns are those of Registration, so that the same condition fits both tables, and
    PERSON_COLUMNS of Person, NULL where there is nobody.
    """

    id = models.BigIntegerField(primary_key=True)  # the registration's
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    person = models.ForeignKey(
        Person, null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    app_version = models.BigIntegerField()
    os_version = models.BigIntegerField()
    sdk_version = models.BigIntegerField()
    created_at = models.DateTimeField()
    last_seen_day = models.DateField()
    timezone_offset = models.SmallIntegerField(null=True)
    platform = models.SmallIntegerField(choices=Platform)
    draw = models.SmallIntegerField()  # 0 to 99, at random: a hundredth of the sample
    enabled = models.BooleanField()
    notifications_enabled = models.BooleanField()
    primary = models.BooleanField()
    secure = models.BooleanField(null=True)
    geofencing = models.BooleanField(null=True)
    language = models.CharField(max_length=35, db_collation="C")
    manufacturer = models.CharField(max_length=100, db_collation="C")
    model = models.CharField(max_length=100, db_collation="C")
    person_tags = ArrayField(models.CharField(max_length=256))
    attributes = models.JSONField()
    person_first_name = models.CharField(max_length=255, null=True)
    person_last_name = models.CharField(max_length=255, null=True)
    person_middle_name = models.CharField(max_length=50, null=True)
    person_gender = models.CharField(max_length=6, null=True)
    person_birthday = models.DateField(null=True)
    person_kind = models.CharField(max_length=8, null=True)
    person_city = models.CharField(max_length=50, null=True)
    person_country = models.CharField(max_length=50, null=True)
    person_preferred_language = models.CharField(max_length=5, null=True)
    person_attributes = models.JSONField(null=True)

    class Meta:
        indexes = [
            # counting while somebody types: the sample of an application, or a share of it
            models.Index(fields=["application", "draw"], name="sample_of_application"),
        ]
