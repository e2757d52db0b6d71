"""Who was put on a list by hand or by file."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from devices.models import Application, ImportRun, Person, Registration


class StaticList(models.Model):
    """A named list of people and devices; nobody enters or leaves it by themselves."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="lists")
    name = models.CharField(max_length=100)
    # Nobody on it gets anything (campaigns/excluding.py).
    do_not_contact = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "name"], name="list_names_differ_in_an_application"
            ),
            models.UniqueConstraint(
                fields=["application"],
                condition=Q(do_not_contact=True),
                name="an_application_has_one_do_not_contact_list",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("campaigns:list-detail", args=[self.application_id, self.pk])


class ListMember(models.Model):
    """A person, with all their devices, or one device."""

    list = models.ForeignKey(
        StaticList, on_delete=models.CASCADE, related_name="members", db_index=False
    )
    person = models.ForeignKey(
        Person, null=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    registration = models.ForeignKey(
        Registration, null=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    added_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(person__isnull=False, registration__isnull=True)
                | Q(person__isnull=True, registration__isnull=False),
                name="a_list_member_is_a_person_or_a_device",
            ),
            models.UniqueConstraint(fields=["list", "person"], name="a_person_is_on_a_list_once"),
            models.UniqueConstraint(
                fields=["list", "registration"], name="a_device_is_on_a_list_once"
            ),
        ]
        indexes = [
            # deleting a person or a device: their places on lists
            models.Index(
                fields=["person"], condition=Q(person__isnull=False), name="list_member_person"
            ),
            models.Index(
                fields=["registration"],
                condition=Q(registration__isnull=False),
                name="list_member_registration",
            ),
        ]


class ListUpload(models.Model):
    """A file of members: tried first, so that somebody sees what it would do, then added."""

    run = models.OneToOneField(
        ImportRun, primary_key=True, on_delete=models.CASCADE, related_name="list_upload"
    )  # its pieces, how far it got, refused rows; `created`: added, `updated`: there before
    named = models.BooleanField(default=True)  # the first line names the columns
    columns = models.JSONField(default=list)  # what each holds: a key of listing_rows.KEYS, or ""
    example = models.JSONField(default=list)  # the first rows, as they were read
    dry = models.BooleanField(default=True)  # nothing is added yet
    list = models.ForeignKey(StaticList, on_delete=models.CASCADE, related_name="uploads")

    def __str__(self) -> str:
        return self.run.filename
