"""A human, and by what they are known."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

from devices.models.applications import Application


class Person(models.Model):
    """Somebody who owns devices. Anonymous as long as no identity points here."""

    class Kind(models.TextChoices):
        LEAD = "LEAD", "Lead"
        CUSTOMER = "CUSTOMER", "Customer"

    class Gender(models.TextChoices):
        UNKNOWN = "", "Unknown"
        MALE = "MALE", "Male"
        FEMALE = "FEMALE", "Female"

    class Source(models.TextChoices):
        """Who told us: another system, the dashboard, or a phone."""

        API = "API", "API"
        PORTAL = "PORTAL", "Dashboard"
        PUSH = "PUSH", "App"

    first_name = models.CharField(max_length=255, blank=True, default="")
    last_name = models.CharField(max_length=255, blank=True, default="")
    middle_name = models.CharField(max_length=50, blank=True, default="")
    gender = models.CharField(max_length=6, choices=Gender, blank=True, default=Gender.UNKNOWN)
    birthday = models.DateField(null=True, blank=True)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.LEAD)
    tags = ArrayField(models.CharField(max_length=256), default=list, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    address = models.CharField(max_length=256, blank=True, default="", db_default="")
    city = models.CharField(max_length=50, blank=True, default="", db_default="")
    country = models.CharField(max_length=50, blank=True, default="", db_default="")
    preferred_language = models.CharField(max_length=5, blank=True, default="", db_default="")
    profile_picture = models.CharField(max_length=2083, blank=True, default="", db_default="")
    origin = models.CharField(
        max_length=8, choices=Source, default=Source.PUSH, db_default=Source.PUSH
    )
    changed_from = models.CharField(
        max_length=8, choices=Source, default=Source.PUSH, db_default=Source.PUSH
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "people"
        indexes = [
            GinIndex(fields=["tags"], name="person_tags"),  # people page: everybody with a tag
            # people page: everybody with a tag that begins like this, in whatever case
            GinIndex(
                models.Func("tags", function="tag_words", output_field=SearchVectorField()),
                name="person_tag_words",
            ),
            # other systems know people by an attribute of their own
            GinIndex(
                OpClass(models.F("attributes"), name="jsonb_path_ops"), name="person_attributes"
            ),
            # people page: everybody whose name begins like this
            models.Index(
                OpClass(Lower("first_name"), name="text_pattern_ops"), name="person_first_name"
            ),
            models.Index(
                OpClass(Lower("last_name"), name="text_pattern_ops"), name="person_last_name"
            ),
            # people API: who was changed last
            models.Index(fields=["-changed_at", "-id"], name="person_changed"),
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, (self.first_name, self.last_name))) or f"Person {self.pk}"


class Identity(models.Model):
    """One thing a person is known by. Unique: two people never share one."""

    class Kind(models.IntegerChoices):
        EXTERNAL_ID = 1, "External ID"
        PHONE = 2, "Phone"
        EMAIL = 3, "E-mail"

    kind = models.SmallIntegerField(choices=Kind)
    value = models.CharField(max_length=256, db_collation="C")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="identities")

    class Meta:
        verbose_name_plural = "identities"
        ordering = ["kind", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "value"], name="an_identity_belongs_to_one_person"
            ),
            models.UniqueConstraint(
                fields=["person"],
                condition=Q(kind=1),
                name="a_person_has_one_external_id",
            ),
            models.CheckConstraint(condition=~Q(value=""), name="identity_is_not_empty"),
        ]

    def __str__(self) -> str:
        return self.value


class ClosedNumber(models.Model):
    """A phone number that no text message goes to any more, and who said so.

    It outlives the person it belonged to: who comes back has not changed their mind by that.
    """

    class Reason(models.TextChoices):
        REFUSED = "refused", "No text message can reach it"
        OPTED_OUT = "opted_out", "Its owner wants no text messages"

    number = models.CharField(primary_key=True, max_length=15, db_collation="C")  # digits only
    reason = models.CharField(max_length=9, choices=Reason)
    answer = models.CharField(max_length=200, default="", blank=True)  # the gateway's own words
    closed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(number__regex=r"^[1-9][0-9]{4,14}$"), name="closed_number_is_digits"
            ),
        ]

    def __str__(self) -> str:
        return self.get_reason_display()


class AttributeDefinition(models.Model):
    """A custom attribute and the one type it keeps; learned when first written."""

    class Scope(models.IntegerChoices):
        DEVICE = 1, "Device"
        PERSON = 2, "Person"

    class Type(models.TextChoices):
        TEXT = "text", "Text"
        NUMBER = "number", "Number"
        BOOLEAN = "boolean", "Yes or no"
        DATE = "date", "Date"
        LIST = "list", "List"

    scope = models.SmallIntegerField(choices=Scope)
    application = models.ForeignKey(
        Application, null=True, on_delete=models.CASCADE, related_name="attribute_definitions"
    )  # people belong to the installation: no application
    name = models.CharField(max_length=256)
    type = models.CharField(max_length=8, choices=Type)
    samples = models.JSONField(default=list)
    indexed = models.BooleanField(default=False)  # wanted: devices/indexing.py
    index_fault = models.CharField(max_length=100, blank=True, default="", db_default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "application", "name"],
                nulls_distinct=False,
                name="an_attribute_has_one_type",
            ),
            models.CheckConstraint(
                condition=Q(scope=1, application__isnull=False)
                | Q(scope=2, application__isnull=True),
                name="device_attributes_belong_to_an_application",
            ),
        ]

    def __str__(self) -> str:
        return self.name
