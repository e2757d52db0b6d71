"""Files of members: tried first, then put on their list, also when workers are killed."""

import csv
import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from campaigns import listing, listing_files, tasks
from campaigns.listing_files import guess
from campaigns.models import ListMember, ListUpload, StaticList
from devices import import_batches
from devices.audit import Author
from devices.models import AuditEntry, ImportPiece, ImportRun, Role
from devices.models.imports import ImportRefusal
from tests.factories import make_application, make_person, make_registration, make_user, signed_in

pytestmark = pytest.mark.django_db
SOMEBODY = Author("somebody")
Status = ImportRun.Status


@pytest.fixture
def testers() -> StaticList:
    return listing.create(make_application(name="Shop"), SOMEBODY, "Testers")


def given(to: StaticList, content: str | bytes) -> ListUpload:
    """A file that was uploaded, and tried."""
    data = content.encode() if isinstance(content, str) else content
    user = make_user(Role.MARKETER, to.application)
    upload = listing_files.receive(to, user, "members.csv", [data] if data else [])
    listing_files.run(upload.pk)
    return fresh(upload)


def fresh(upload: ListUpload) -> ListUpload:
    return ListUpload.objects.select_related("run", "list").get(pk=upload.pk)


def counts(upload: ListUpload) -> tuple[int, int, int, int]:
    run = upload.run
    return run.rows, run.created, run.updated, run.refused


def reasons(upload: ListUpload) -> list[tuple[int, str, str]]:
    return list(upload.run.refusals.values_list("line", "column", "reason"))


def test_a_file_is_tried_before_anybody_is_added(testers: StaticList) -> None:
    ana = make_person(phone="491512345678", external_id="u-1")
    bo = make_person(email="bo@example.com")
    content = (
        "Name,Phone Number,E-mail\n"
        "Ana,+49 (151) 234-5678,\n"
        "Bo,,BO@example.com\n"
        "Ana again,00491512345678,\n"
        "Carl,491512345679,\n"
        "Dora,12,\n"
        "Emil,,\n"
        "Both,491512345678,bo@example.com\n"
    )

    upload = given(testers, content)

    assert upload.columns == ["", "phone", "email"]
    assert upload.run.status == Status.DONE
    assert counts(upload) == (7, 2, 1, 4)
    assert reasons(upload) == [
        (5, "phone", "Nobody is known by this phone number."),
        (6, "phone", "A phone number has 5 to 15 digits, the first of them of its country code."),
        (7, "", "The row names nobody: its cells are empty."),
        (8, "", "The phone and the e-mail belong to different people."),
    ]
    assert not ListMember.objects.exists()

    assert listing_files.confirm(upload, SOMEBODY)
    assert not listing_files.confirm(upload, SOMEBODY)  # a second click
    listing_files.run(upload.pk)

    upload = fresh(upload)
    assert counts(upload) == (7, 2, 1, 4)
    assert len(reasons(upload)) == 4
    assert set(testers.members.values_list("person", flat=True)) == {ana.pk, bo.pk}
    assert not ImportPiece.objects.exists()  # the file is let go
    entry = AuditEntry.objects.get(action="add to list")
    assert entry.after == {"file": "members.csv", "members": 2}


def test_the_same_file_twice_adds_nobody_twice(testers: StaticList) -> None:
    make_person(external_id="u-1")
    for added in (1, 0):
        upload = given(testers, "external_id\nu-1\nu-1\n")
        assert counts(upload) == (2, added, 2 - added, 0)
        assert listing_files.confirm(upload, SOMEBODY) == bool(added)
        listing_files.run(upload.pk)
    assert ListMember.objects.count() == 1


def test_devices_are_named_by_registration_ids(testers: StaticList) -> None:
    device = make_registration(testers.application, person=make_person(external_id="u-1"))
    theirs = make_registration(make_application())
    ids = [str(each.address.public_id) for each in (device, theirs)]

    upload = given(testers, "\n".join(["pushRegistrationId;externalUserId", f"{ids[0]};u-1",
                                       f"{ids[1]};", "7;"]))  # fmt: skip

    assert upload.columns == ["registration_id", ""]
    assert counts(upload) == (3, 1, 0, 2)
    assert [reason for _, _, reason in reasons(upload)] == [
        "No device of this application has this registration ID.",
        "A registration ID is a UUID.",
    ]
    listing_files.confirm(upload, SOMEBODY)
    listing_files.run(upload.pk)
    member = testers.members.get()
    assert (member.registration_id, member.person_id) == (device.pk, None)


@pytest.mark.parametrize(
    ("cells", "named", "columns"),
    [
        (["E-Mail", "Phone"], True, ["email", "phone"]),
        (["registration id", "email"], True, ["registration_id", ""]),
        (["email", "mail"], True, ["email", ""]),
        (["ana@example.com"], False, ["email"]),
        (["Ana", "491512345678"], False, ["", "phone"]),
        (["f6b2a2a0-6a0e-4f6a-9b8b-0f6c1b1f7a11"], False, ["registration_id"]),
        (["customer", "city"], True, ["", ""]),
        (["token", "platform"], True, ["", ""]),
    ],
)
def test_what_columns_hold_is_guessed(cells: list[str], named: bool, columns: list[str]) -> None:
    assert guess(cells) == (named, columns)


def test_columns_are_chosen_where_nothing_is_guessed(testers: StaticList) -> None:
    make_person(external_id="customer")
    make_person(external_id="u-1")
    upload = given(testers, "customer,city\nu-1,Berlin\n")
    assert counts(upload) == (0, 0, 0, 0)
    assert upload.example == [["customer", "city"], ["u-1", "Berlin"]]
    assert not listing_files.confirm(upload, SOMEBODY)  # nobody would be added

    assert listing_files.choose(upload, named=True, columns=["external_id", ""])
    listing_files.run(upload.pk)
    assert counts(fresh(upload)) == (1, 1, 0, 0)
    assert listing_files.choose(upload, named=False, columns=["external_id", ""])
    listing_files.run(upload.pk)
    assert counts(fresh(upload)) == (2, 2, 0, 0)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "Run it again"),
        (b"\n\n", "The file is empty"),
        (b"phone\n\xff\xfe\n", "is not UTF-8"),
        (b"a," * 600, "at most 500"),
        (b'phone\n"49151\n' + b"x\n" * 600_000, "quotation mark not closed"),
    ],
)
def test_a_file_that_cannot_be_read_adds_nobody(
    testers: StaticList, content: bytes, part: str
) -> None:
    upload = given(testers, content)
    assert upload.run.status == Status.FAILED
    assert part in upload.run.error
    assert not listing_files.confirm(upload, SOMEBODY)
    assert not ImportPiece.objects.exists()


def test_cells_with_nul_and_short_rows_are_refused(testers: StaticList) -> None:
    upload = given(testers, "name,phone\nAna\nBo,\x0049151\n")
    assert counts(upload) == (2, 0, 0, 2)


def test_a_file_goes_on_where_its_worker_was_killed(
    testers: StaticList, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [make_person(external_id=f"u-{number}") for number in range(7)]
    upload = given(testers, "\n".join(["external_id", *(f"u-{n}" for n in range(7)), "nobody"]))
    listing_files.confirm(upload, SOMEBODY)
    monkeypatch.setattr(import_batches, "BATCH", 2)
    take = listing_files._Reading.take
    batches: list[list[import_batches.Line]] = []

    def killed(self: listing_files._Reading, batch: list[import_batches.Line], size: int) -> None:
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(batch)
        take(self, batch, size)

    with monkeypatch.context() as patch:
        patch.setattr(listing_files._Reading, "take", killed)
        with pytest.raises(KeyboardInterrupt):
            listing_files.run(upload.pk)
    assert ListMember.objects.count() == 4
    assert listing_files.run(upload.pk) is None  # its lease still holds
    assert listing_files.lost() == []
    ImportRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert listing_files.lost() == [upload.pk]

    listing_files.run(upload.pk)

    assert counts(fresh(upload)) == (8, 7, 0, 1)
    assert set(testers.members.values_list("person", flat=True)) == {p.pk for p in people}


def test_a_trial_that_was_stopped_begins_again(testers: StaticList) -> None:
    make_person(external_id="u-1")
    upload = given(testers, "external_id\nu-1\nnobody\n")
    waiting = {"status": Status.RUNNING, "rows": 1, "created": 1, "lease_until": None}
    ImportRun.objects.filter(pk=upload.pk).update(**waiting)

    listing_files.run(upload.pk)

    assert counts(fresh(upload)) == (2, 1, 0, 1)
    assert ImportRefusal.objects.count() == 1


def test_a_list_that_is_deleted_takes_its_files_along(testers: StaticList) -> None:
    make_person(external_id="u-1")
    upload = given(testers, "external_id\nu-1\n")
    listing_files.confirm(upload, SOMEBODY)

    listing.delete(testers, SOMEBODY)

    assert listing_files.run(upload.pk) is None
    assert not ImportRun.objects.exists()
    assert not ImportPiece.objects.exists()


def test_files_that_nobody_wants_are_forgotten_after_a_day(testers: StaticList) -> None:
    make_person(external_id="u-1")
    kept, old = given(testers, "external_id\nu-1\n"), given(testers, "external_id\nu-1\n")
    done = given(testers, "external_id\nu-1\n")
    listing_files.confirm(done, SOMEBODY)
    listing_files.run(done.pk)
    yesterday = timezone.now() - timedelta(days=1, minutes=1)
    ImportRun.objects.filter(pk__in=[old.pk, done.pk]).update(finished_at=yesterday)

    tasks.revive_list_uploads()

    assert set(ImportRun.objects.values_list("pk", flat=True)) == {kept.pk, done.pk}


def test_files_of_lists_are_no_imports_of_devices(testers: StaticList) -> None:
    upload = given(testers, "external_id\nu-1\n")
    client = signed_in(testers.application)
    application = testers.application_id

    imports = client.get(reverse("devices:imports", args=[application])).content.decode()
    assert "members.csv" not in imports
    for name in ("import-detail", "import-refusals"):
        assert (
            client.get(reverse(f"devices:{name}", args=[application, upload.pk])).status_code == 404
        )


# ------------------------------------------------------------------------------ the pages


def test_a_file_is_uploaded_tried_mapped_and_added(
    testers: StaticList,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    monkeypatch.setattr(tasks.read_list_upload, "delay", tasks.read_list_upload)
    client.force_login(make_user(Role.MARKETER, testers.application))
    ana = make_person(external_id="=u-1")
    file = SimpleUploadedFile("guests.csv", b"guest\n=u-1\n@nobody\n")

    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(
            reverse("campaigns:list-upload-new", args=[testers.application_id, testers.pk]),
            {"file": file},
        )
    upload = ListUpload.objects.get()
    address = response.headers["Location"]
    assert "Choose the column that names the members" in client.get(address).content.decode()

    columns = f"{address}columns/"
    assert "Choose the column" in client.post(columns, {}, follow=True).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        client.post(columns, {"column-0": "external_id", "named": "on"})
    page = client.get(address).content.decode()
    assert "Add 1 member to Testers" in page
    assert "Nobody is known by this external ID." in page
    refused = b"".join(client.get(f"{address}refused.csv")).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(refused))) == [
        ["line", "column", "reason", "guest"],
        ["3", "external_id", "Nobody is known by this external ID.", "'@nobody"],
    ]
    with django_capture_on_commit_callbacks(execute=True):
        client.post(f"{address}add/")
    assert set(testers.members.values_list("person", flat=True)) == {ana.pk}
    assert "Show Testers" in client.get(address).content.decode()
    assert "1 added" in client.get(testers.get_absolute_url()).content.decode()
    assert not fresh(upload).dry


def test_two_columns_may_not_hold_the_same(testers: StaticList, client: Client) -> None:
    upload = given(testers, "a,b\n1,2\n")
    client.force_login(make_user(Role.MARKETER, testers.application))
    address = reverse(
        "campaigns:list-columns", args=[testers.application_id, testers.pk, upload.pk]
    )

    page = client.post(address, {"column-0": "phone", "column-1": "phone"}, follow=True)

    assert "Two columns hold the same" in page.content.decode()
    assert fresh(upload).columns == ["", ""]


@pytest.mark.parametrize("role", [Role.ANALYST, Role.SUPPORT, Role.DEVELOPER, Role.APPROVER])
def test_files_of_members_are_for_those_who_edit(
    testers: StaticList, client: Client, role: Role
) -> None:
    upload = given(testers, "external_id\nu-1\n")
    client.force_login(make_user(role, testers.application))
    one = reverse("campaigns:list-upload", args=[testers.application_id, testers.pk, upload.pk])
    assert client.get(one).status_code == 403
    assert client.get(f"{one}refused.csv").status_code == 403
    assert client.post(f"{one}add/").status_code == 403
    assert client.post(f"{one}columns/").status_code == 403


def test_another_applications_file_is_not_found(testers: StaticList, client: Client) -> None:
    upload = given(testers, "external_id\nu-1\n")
    mine = make_application()
    client.force_login(make_user(Role.MARKETER, mine))
    one = reverse("campaigns:list-upload", args=[mine.pk, testers.pk, upload.pk])
    assert client.get(one).status_code == 404
    assert client.post(f"{one}add/").status_code == 404
