"""Pages of imports: who may upload, what they are told, what they get back."""

import csv
import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from devices import import_batches, import_reviews, importing, tasks
from devices.csv_refusals import harmless
from devices.models import (
    Application,
    AttributeDefinition,
    AuditEntry,
    Identity,
    ImportRun,
    Person,
    Platform,
    Registration,
    Role,
)
from tests.factories import make_application, make_registration, make_user

pytestmark = pytest.mark.django_db
IOS = "ab" * 32


def marketer(client: Client, application: Application) -> None:
    client.force_login(make_user(Role.MARKETER, application))


def upload(client: Client, application: Application, content: bytes) -> ImportRun | None:
    file = SimpleUploadedFile("devices.csv", content)
    client.post(reverse("devices:imports", args=[application.pk]), {"file": file})
    return ImportRun.objects.filter(application=application).first()


def detail_url(run: ImportRun) -> str:
    return reverse("devices:import-detail", args=[run.application_id, run.pk])


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (Role.ADMINISTRATOR, 200),
        (Role.MARKETER, 200),
        (Role.SUPPORT, 403),
        (Role.ANALYST, 403),
        (Role.DEVELOPER, 403),
        (Role.APPROVER, 403),
    ],
)
def test_importing_is_a_right(client: Client, role: Role, status: int) -> None:
    application = make_application()
    client.force_login(make_user(role, application))
    run = ImportRun.objects.create(application=application, filename="x.csv")

    assert client.get(reverse("devices:imports", args=[application.pk])).status_code == status
    assert client.get(detail_url(run)).status_code == status
    refused = reverse("devices:import-refusals", args=[application.pk, run.pk])
    assert client.get(refused).status_code == status


def test_an_uploaded_file_becomes_devices(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    application = make_application()
    marketer(client, application)
    queued: list[int] = []
    monkeypatch.setattr(tasks.run_import, "delay", queued.append)

    with django_capture_on_commit_callbacks(execute=True):
        run = upload(client, application, f"platform,token\niOS,{IOS}\n".encode())

    assert run is not None
    assert queued == [run.pk]
    assert "Waiting for a worker" in client.get(detail_url(run)).content.decode()
    importing.run_upload(run.pk)
    assert Registration.objects.get().application == application
    assert "Show devices" in client.get(detail_url(run)).content.decode()
    assert AuditEntry.objects.get(action="import devices").object_id == str(run.pk)


def test_an_empty_upload_is_refused_beside_its_field(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    url = reverse("devices:imports", args=[application.pk])

    for posted in ({}, {"file": SimpleUploadedFile("devices.csv", b"")}):
        response = client.post(url, posted)
        assert response.status_code == 422
        assert "file" in response.context["form"].errors
    assert not ImportRun.objects.exists()


def test_a_file_that_cannot_be_read_says_why_and_that_nothing_came_in(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    run = upload(client, application, b"name\nAna\n")
    assert run is not None
    importing.run_upload(run.pk)

    page = client.get(detail_url(run)).content.decode()

    assert "is missing" in page
    assert "Nothing was imported" in page
    assert "every 2s" not in page


def test_a_poll_gets_the_progress_alone(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    run = ImportRun.objects.create(
        application=application, filename="x.csv", size=1000, bytes_read=250, status="running"
    )

    part = client.get(detail_url(run), headers={"HX-Request": "true"}).content.decode()

    assert "25.0 %" in part
    assert "every 2s" in part
    assert "<html" not in part


def test_refused_rows_come_back_with_their_reason(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    content = f"platform,token,phone,note\niOS,{IOS},,ok\nAmiga,{IOS},+49 151,=1+1\n"
    run = upload(client, application, content.encode())
    assert run is not None
    importing.run_upload(run.pk)

    response = client.get(reverse("devices:import-refusals", args=[application.pk, run.pk]))

    text = b"".join(response).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["line", "column", "reason", "platform", "token", "phone", "note"]
    assert rows[1][:2] == ["3", "platform"]
    assert rows[1][3:] == ["Amiga", IOS, "+49 151", "'=1+1"]
    assert "attachment" in response.headers["Content-Disposition"]


@pytest.mark.parametrize(
    "cell", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3x", "\t=1", "\r=1"]
)
def test_a_cell_that_would_be_computed_is_made_text(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "Ana", "+49 (151) 234-56", "-5", "a=b", "1.5"])
def test_other_cells_stay_as_they_were(cell: str) -> None:
    assert harmless(cell) == cell


def test_an_import_of_another_application_is_not_found(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    foreign = ImportRun.objects.create(application=make_application(), filename="x.csv")

    for name in ("devices:import-detail", "devices:import-refusals"):
        assert client.get(reverse(name, args=[application.pk, foreign.pk])).status_code == 404


# ------------------------------------------------------------------- looked at before


CRM = f"""os;Push Token;Customer;Level;Comment;tags
iOS;{IOS};anna;gold;;vip
iOS;{"cd" * 32};boris;silver;called twice;
iOS;no token;chloe;;;
Palm;{"ef" * 32};dora;;;
""".encode()
CHOSEN = ["platform", "token", "external_id", "attribute", "skip", "tags"]


def review(client: Client, application: Application, content: bytes = CRM) -> ImportRun:
    file = SimpleUploadedFile("crm.csv", content)
    address = reverse("devices:imports", args=[application.pk])
    client.post(address, {"file": file, "review": "1"})
    return ImportRun.objects.get(application=application)


def start(
    client: Client, run: ImportRun, mapping: list[str], *, check: bool = False
) -> HttpResponse:
    address = reverse("devices:import-start", args=[run.application_id, run.pk])
    typed = {f"column_{number}": each for number, each in enumerate(mapping)}
    return client.post(address, typed | ({"check": "1"} if check else {}))  # type: ignore[return-value]


def everything() -> list[object]:
    """Every row that an import may write, whatever is in it."""
    tables = (Registration, Person, Identity, AttributeDefinition)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def test_a_file_that_is_looked_at_waits_and_suggests_what_its_columns_become(
    client: Client,
) -> None:
    application = make_application()
    marketer(client, application)

    run = review(client, application)

    form = client.get(detail_url(run)).context["mapping"]
    assert run.status == ImportRun.Status.REVIEW
    assert [(column.heading, column.field.initial) for column in form.columns()] == [
        ("os", "platform"), ("Push Token", "token"), ("Customer", "attribute"),
        ("Level", "attribute"), ("Comment", "attribute"), ("tags", "tags"),
    ]  # fmt: skip
    assert [column.samples for column in form.columns()][3:] == [
        ["gold", "silver"], ["called twice"], ["vip"],
    ]  # fmt: skip
    assert importing.run_upload(run.pk) is None
    assert not Registration.objects.exists()


def test_a_dry_run_tells_what_an_import_does_and_changes_nothing(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    make_registration(application, platform=Platform.IOS, token=IOS)
    run, before = review(client, application), everything()

    start(client, run, CHOSEN, check=True)
    importing.run_upload(run.pk)

    assert everything() == before
    run.refresh_from_db()
    assert (run.status, run.rows) == (ImportRun.Status.CHECKED, 4)
    told = (run.created, run.updated, run.refused)
    assert told == (1, 1, 2)
    refused = list(run.refusals.values_list("line", "column"))
    assert refused == [(4, "token"), (5, "platform")]
    page = client.get(detail_url(run)).content.decode()
    assert "Nothing has been changed" in page
    assert "The platform is one of" in page

    start(client, run, CHOSEN)
    importing.run_upload(run.pk)

    run.refresh_from_db()
    assert run.status == ImportRun.Status.DONE
    assert (run.created, run.updated, run.refused) == told
    assert list(run.refusals.values_list("line", "column")) == refused
    anna = Registration.objects.get(address__token=IOS)
    assert anna.attributes == {"Level": "gold"}
    assert anna.person is not None
    assert (str(anna.person.identities.get()), anna.person_tags) == ("anna", ["vip"])
    boris = Person.objects.get(identities__value="boris")
    assert boris.registrations.get().attributes == {"Level": "silver"}
    assert not run.pieces.exists()


CONFLICTS = (
    "platform,token,external_id,phone\n"
    f"iOS,{'1' * 64},anna,41790000001\n"
    f"iOS,{'2' * 64},boris,41790000002\n"
    f"iOS,{'3' * 64},carla,41790000001\n"  # is Anna's, of another batch
    f"iOS,{'4' * 64},boris,41790000001\n"  # names two people of other batches
)


def test_a_dry_run_sees_conflicts_of_rows_far_apart(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_batches, "BATCH", 1)
    application = make_application()
    marketer(client, application)
    before = everything()
    dry = importing.receive(application, None, "a.csv", [CONFLICTS.encode()], review=True)
    import_reviews.start(dry, [], dry=True)

    importing.run_upload(dry.pk)

    assert everything() == before
    dry.refresh_from_db()
    told = (dry.created, dry.updated, dry.refused)
    assert (dry.status, dry.rows, told) == (ImportRun.Status.CHECKED, 4, (2, 0, 2))
    assert list(dry.refusals.values_list("line", flat=True)) == [4, 5]
    assert "at a time" not in client.get(detail_url(dry)).content.decode()
    real = importing.receive(application, None, "a.csv", [CONFLICTS.encode()])
    importing.run_upload(real.pk)
    real.refresh_from_db()
    assert (real.created, real.updated, real.refused) == told


def test_the_dry_run_of_a_large_file_says_that_it_sees_part_of_it_at_a_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_batches, "BATCH", 1)
    monkeypatch.setattr(import_batches, "EXACT", 10)
    application = make_application()
    marketer(client, application)
    dry = importing.receive(application, None, "a.csv", [CONFLICTS.encode()], review=True)
    import_reviews.start(dry, [], dry=True)

    importing.run_upload(dry.pk)

    dry.refresh_from_db()
    assert (dry.status, dry.created) == (ImportRun.Status.CHECKED, 4)
    assert (
        "each is checked as if the other were not" in client.get(detail_url(dry)).content.decode()
    )


def test_a_mapping_that_makes_no_devices_is_refused_beside_it(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    run = review(client, application)

    for mapping, text in (
        (["skip", *CHOSEN[1:]], "The column “platform” is missing"),
        ([*CHOSEN[:5], "token"], "The column “token” is there twice"),
        ([*CHOSEN[:5], "shoes"], "Select a valid choice"),
        (CHOSEN[:3], "Fill in this field."),
    ):
        answer = start(client, run, mapping)
        assert (answer.status_code, text in answer.content.decode()) == (422, True), text
    run.refresh_from_db()
    assert run.status == ImportRun.Status.REVIEW


def test_a_column_without_a_name_can_be_left_out(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    run = review(client, application, f"platform,token,\niOS,{IOS},x\n".encode())

    refused = start(client, run, ["platform", "token", "attribute"])
    assert "Column 3 has no usable name" in refused.content.decode()
    start(client, run, ["platform", "token", "skip"])
    importing.run_upload(run.pk)

    assert Registration.objects.get().attributes == {}


def test_a_file_is_started_once(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    run = review(client, application)
    start(client, run, CHOSEN)
    importing.run_upload(run.pk)

    start(client, run, CHOSEN)

    run.refresh_from_db()
    assert run.status == ImportRun.Status.DONE
    assert [each.action for each in AuditEntry.objects.order_by("pk")] == [
        "upload file", "import devices",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xff\xfe", "Line 1 is not UTF-8"),
        (b"\n\n", "The file is empty"),
        (b" ", "The file is empty"),
        (b"platform,token\n\xff", "Line 2 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_looked_at_says_why(
    client: Client, content: bytes, text: str
) -> None:
    application = make_application()
    marketer(client, application)

    run = review(client, application, content)

    page = client.get(detail_url(run)).content.decode()
    if "The import stopped" not in page:  # there is a header, so one is asked what it becomes
        page = start(client, run, ["platform", "token"][: content.count(b",") + 1]).content.decode()
    assert text in page
    assert not Registration.objects.exists()


def test_what_nobody_starts_within_a_week_is_let_go(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    run = review(client, application)
    tasks.revive_imports()
    assert run.pieces.exists()

    ImportRun.objects.update(created_at=timezone.now() - timedelta(days=8))
    tasks.revive_imports()

    run.refresh_from_db()
    assert (run.status, run.pieces.exists()) == (ImportRun.Status.FAILED, False)
    assert "Nobody started it" in run.error


def test_another_application_s_file_is_not_started(client: Client) -> None:
    application = make_application()
    marketer(client, application)
    run = review(client, application)
    other = make_application()
    marketer(client, other)

    address = reverse("devices:import-start", args=[other.pk, run.pk])

    assert client.post(address, {}).status_code == 404
