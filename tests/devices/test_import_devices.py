"""manage.py import_devices: what is told, what is written beside the file, how it ends."""

import csv
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from devices.models import Registration
from tests.factories import make_application

pytestmark = pytest.mark.django_db


def written(folder: Path, text: str) -> Path:
    file = folder / "devices.csv"
    file.write_text(text)
    return file


def test_good_rows_are_kept_and_refused_ones_written_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    application = make_application()
    file = written(tmp_path, "platform,token,note\nAndroid,t-1,ok\nSymbian,t-2,=1+1\n")

    with pytest.raises(CommandError, match=r"devices\.csv\.refused\.csv") as ended:
        call_command("import_devices", str(file), application=application.code)

    assert ended.value.returncode == 1
    assert Registration.objects.count() == 1
    assert "2 rows" in capsys.readouterr().out
    refused = (tmp_path / "devices.csv.refused.csv").read_text(encoding="utf-8-sig")
    head, row = list(csv.reader(refused.splitlines()))
    assert head == ["line", "column", "reason", "platform", "token", "note"]
    assert (row[0], row[1], row[5]) == ("3", "platform", "'=1+1")


def test_a_file_without_faults_leaves_no_other_file(tmp_path: Path) -> None:
    application = make_application()
    file = written(tmp_path, "platform,token\nAndroid,t-1\n")

    call_command("import_devices", str(file), application=application.name)

    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_cannot_be_read_ends_with_the_reason(tmp_path: Path) -> None:
    application = make_application()
    file = written(tmp_path, "name\nAna\n")

    with pytest.raises(CommandError, match="“platform” is missing"):
        call_command("import_devices", str(file), application=application.code)


def test_an_application_must_be_chosen_among_several(tmp_path: Path) -> None:
    first, second = make_application(name="Shop A"), make_application(name="Shop B")

    with pytest.raises(CommandError, match=f"--application.*{first.name}.*{second.name}"):
        call_command("import_devices", str(written(tmp_path, "")))
