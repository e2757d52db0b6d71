"""Pages of imports: who may upload, what they are told, what they get back."""

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks

from devices import importing, tasks
from devices.csv_refusals import harmless
from devices.models import Application, AuditEntry, ImportRun, Registration, Role
from tests.factories import make_application, make_user

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
