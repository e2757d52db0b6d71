"""devices.auditing and the Audit page: found by every way, seen only by who may, fast."""

import csv
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from devices import audit, auditing
from devices.auditing import Line
from devices.models import Application, AuditEntry, Membership, Role
from tests.factories import make_application, make_person, make_registration, make_user

QueryCount = Callable[[int], AbstractContextManager[Any]]
START = datetime(2026, 11, 1, tzinfo=UTC)


def make_entry(application: Application | None = None, **given: Any) -> AuditEntry:
    return AuditEntry.objects.create(
        **{
            "application": application, "actor_name": "anna", "action": "change settings",
            "object_type": "campaign", "object_id": "42", "object_name": "Friday sale", **given,
        }
    )  # fmt: skip


def signed_in(role: Role | None, *applications: Application, **given: Any) -> Client:
    client = Client()
    user = make_user(role, applications[0] if applications else None, **given)
    for each in applications[1:]:
        Membership.objects.create(user=user, application=each, role=role or "")
    client.force_login(user)
    return client


def found(client: Client, **asked: Any) -> list[int]:
    response = client.get(reverse("devices:audit"), asked)
    assert response.status_code == 200
    return [row.entry.pk for row in response.context["rows"]]


@pytest.mark.django_db
def test_an_administrator_sees_the_entries_of_their_applications_alone() -> None:
    mine, also, theirs = (make_application() for _ in range(3))
    first, second = make_entry(mine), make_entry(also)
    foreign, nowhere = make_entry(theirs), make_entry(None)

    assert found(signed_in(Role.ADMINISTRATOR, mine)) == [first.pk]
    both = signed_in(Role.ADMINISTRATOR, mine, also)
    assert found(both) == [second.pk, first.pk]
    assert found(both, application=mine.pk) == [first.pk]
    asked = {"application": theirs.pk}
    assert both.get(reverse("devices:audit"), asked).status_code == 422
    assert both.post(reverse("devices:audit-file"), asked).status_code == 422
    root = signed_in(None, is_superuser=True)
    assert found(root) == [nowhere.pk, foreign.pk, second.pk, first.pk]


@pytest.mark.django_db
@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_no_other_role_sees_the_trail(role: Role) -> None:
    client = signed_in(role, make_application())
    assert client.get(reverse("devices:audit")).status_code == 403
    assert client.post(reverse("devices:audit-file")).status_code == 403
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "asked",
    [
        {"who": "Otto"},
        {"action": "launch campaign"},
        {"object": "winter"},
        {"object": "static list 7"},
        {"object": "staticlist 7"},
        {"since": "2026-11-03", "until": "2026-11-03"},
    ],
)
def test_an_entry_is_found_by_each_way(asked: dict[str, str]) -> None:
    application = make_application()
    client = signed_in(Role.ADMINISTRATOR, application)
    for day in (1, 3, 4):
        make_entry(application, at=datetime(2026, 11, day, 23, 59, tzinfo=UTC))
    wanted = AuditEntry.objects.get(at__day=3)
    AuditEntry.objects.filter(pk=wanted.pk).update(
        actor_name="otto", action="launch campaign", object_name="Winter coats",
        object_type="staticlist", object_id="7",
    )  # fmt: skip
    assert found(client, **asked) == [wanted.pk]


@pytest.mark.django_db
def test_pages_follow_each_other_and_lead_back() -> None:
    application, other = make_application(), make_application()
    client = signed_in(Role.ADMINISTRATOR, application, other)
    same = START  # of one moment: told apart by their number
    keys = [make_entry([application, other][n % 2], at=same).pk for n in range(60)][::-1]

    seen, url, turns = [], f"{reverse('devices:audit')}?rows=25", 0
    while url:
        page = client.get(url)
        seen += [row.entry.pk for row in page.context["rows"]]
        last, url = (
            page,
            page.context["pager"].next_url
            and (reverse("devices:audit") + page.context["pager"].next_url),
        )
        turns += 1
    assert (seen, turns) == (keys, 3)
    back = client.get(reverse("devices:audit") + last.context["pager"].previous_url)
    assert [row.entry.pk for row in back.context["rows"]] == keys[25:50]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"since": "soon"}, 422),
        ({"application": "x"}, 422),
        ({"action": "no such"}, 422),
        ({"object": "\x00"}, 422),
        ({"after": "20261101T000000.0-99999999999999999999"}, 200),
        ({"before": "x-1", "rows": "9"}, 200),
        ({"until": "9999-12-31"}, 200),
    ],
)
def test_odd_searches_are_answered(asked: dict[str, str], status: int) -> None:
    application = make_application()
    make_entry(application)
    client = signed_in(Role.ADMINISTRATOR, application)
    assert client.get(reverse("devices:audit"), asked).status_code == status


@pytest.mark.django_db
def test_the_file_holds_what_was_found_and_taking_it_is_written_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auditing, "PIECE", 2)
    application = make_application(name="Shop")
    client = signed_in(Role.ADMINISTRATOR, application)
    for _ in range(5):
        make_entry(application, object_name="=1+1", before={"rate": 1}, after={"rate": 2})
    make_entry(application, actor_name="otto")

    response = client.post(reverse("devices:audit-file"), {"who": "anna"})
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]

    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(rows) == 5
    assert rows[0]["object"] == "'=1+1"
    assert (rows[0]["before"], rows[0]["after"]) == ("rate: 1", "rate: 2")
    assert rows[0]["application"] == "Shop"
    taken = AuditEntry.objects.get(action="export audit trail")
    assert (taken.application, taken.after) == (application, {"who": "anna"})


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (None, None, []),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, [Line("b", "2", "3")]),
        (None, {"name": "Shop"}, [Line("name", None, "Shop")]),
        ({"cap": {"hours": 24}}, {"cap": {"hours": 12}}, [Line("cap.hours", "24", "12")]),
        ({"on": True, "l": ["a"]}, {"on": False, "l": []},
         [Line("l", "a", "nothing"), Line("on", "yes", "no")]),
    ],
)  # fmt: skip
def test_a_change_reads_as_what_differs(before: Any, after: Any, lines: list[Line]) -> None:
    assert auditing.diff(AuditEntry(before=before, after=after)) == lines


# ------------------------------------------------------------------- undo


def undos(client: Client) -> list[str]:
    response = client.get(reverse("devices:audit"))
    return [row.undo for row in response.context["rows"]]


@pytest.mark.django_db
def test_what_still_stands_is_undone_from_the_trail() -> None:
    application = make_application()
    client = signed_in(None, application, is_superuser=True)
    person = make_person(external_id="anna", first_name="Anna")
    device = make_registration(application, person=person)
    address = [application.pk, device.pk]
    client.post(reverse("devices:device-switch", args=address), {"enabled": "0"})
    client.post(
        reverse("devices:person-edit", args=[application.pk, person.pk]), {"first_name": "Ann"}
    )
    client.post(reverse("devices:owner", args=address), {"external_id": "boris"})

    offered = undos(client)
    assert sum(map(bool, offered)) == 4  # also what the move told of its new person
    for undo in filter(None, offered):
        done = client.post(undo, headers={"HX-Request": "true"})
        assert (done.status_code, "HX-Trigger" in done) == (200, True)

    person.refresh_from_db()
    device.refresh_from_db()
    assert (person.first_name, device.enabled, device.person) == ("Anna", True, person)
    assert not {*undos(client)} & {*offered} - {""}, "what was undone stands no longer"


@pytest.mark.django_db
def test_only_who_may_change_devices_there_is_offered_to_undo() -> None:
    application, other = make_application(), make_application()
    device = make_registration(application)
    audit.record(
        None, "switch device off", device, before={"enabled": False}, after={"enabled": True}
    )
    make_entry(other)

    assert len(list(filter(None, undos(signed_in(Role.ADMINISTRATOR, application))))) == 1
    assert undos(signed_in(Role.ADMINISTRATOR, other)) == [""]


@pytest.mark.django_db
def test_a_page_of_changes_of_many_people_takes_few_queries(
    django_assert_max_num_queries: QueryCount,
) -> None:
    application = make_application()
    client = signed_in(None, application, is_superuser=True)
    for number in range(30):
        person = make_person(external_id=f"p{number}", first_name="Ann")
        before, after = {"first_name": "Anna"}, {"first_name": "Ann"}
        audit.record(None, "change person", person, before=before, after=after)
        device = make_registration(application, person=person)
        audit.record(
            None, "switch device off", device, before={"enabled": False}, after={"enabled": True}
        )
    client.get(reverse("devices:audit"))

    with django_assert_max_num_queries(14):
        assert sum(map(bool, undos(client))) == 50
