import csv
import hashlib
import io
import json
from datetime import timedelta
from typing import Any, BinaryIO

import pytest
from django.db import IntegrityError
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices import importing
from devices.csv_batches import Written, write
from devices.csv_rows import Wanted, examine
from devices.models import (
    Address,
    Application,
    AttributeDefinition,
    Identity,
    ImportRun,
    Person,
    Platform,
    Registration,
)
from tests.factories import make_application, make_subscription

pytestmark = pytest.mark.django_db
IOS = "ab" * 32


def imported(application: Application, text: str | bytes) -> ImportRun:
    content = text.encode() if isinstance(text, str) else text
    run = importing.receive(application, None, "devices.csv", [content[:7], content[7:]])
    finished = importing.run_upload(run.pk)
    assert finished is not None
    return finished


def test_a_row_becomes_a_device_and_its_person() -> None:
    application = make_application()
    run = imported(
        application,
        "Push Registration ID,Platform,Token,External ID,Phone,E-mail,App Version,Language,"
        "Timezone,Notifications enabled,Tags,plan,orders,since,vip\n"
        f"8621824C-86B2-41F7-BF6F-20D3B1426005,iOS,{IOS.upper()},u-1,"
        "+41 79 302 67 27,Ana@Example.com,"
        "4.10,de_AT,GMT+05:30,no,new|vip,gold,3,2026-01-31,true\n",
    )
    assert (run.status, run.created, run.refused) == (ImportRun.Status.DONE, 1, 0)
    address = Address.objects.select_related("registration__person").get()
    device = address.registration
    assert str(address.public_id) == "8621824c-86b2-41f7-bf6f-20d3b1426005"
    assert address.token == IOS
    assert (device.language, device.timezone_offset) == ("de-AT", 330)
    assert (device.notifications_enabled, device.person_tags) == (False, ["new", "vip"])
    assert device.attributes == {"plan": "gold", "orders": 3, "since": "2026-01-31", "vip": True}
    assert set(Identity.objects.values_list("kind", "value")) == {
        (1, "u-1"),
        (2, "41793026727"),
        (3, "ana@example.com"),
    }
    types = dict(AttributeDefinition.objects.values_list("name", "type"))
    assert types == {"plan": "text", "orders": "number", "since": "date", "vip": "boolean"}


def test_huawei_s_tokens_are_of_two_kinds() -> None:
    application = make_application()
    identifier = "8621824c-86b2-41f7-bf6f-20d3b1426005"
    rows = "platform,token,registration id\nHuawei,AQAAxyz,\nHarmonyOS,MAMzLg,\n"
    run = imported(application, f"{rows}HMS,AQAAold,{identifier}\n")
    assert (run.created, run.refused) == (3, 0)

    run = imported(application, f"platform,token,registration id\nharmony,MAMnew,{identifier}\n")

    assert (run.updated, run.refused) == (1, 0)
    kinds = Address.objects.values_list("token", "provider", "kind", "registration__platform")
    assert set(kinds) == {
        ("AQAAxyz", "hms", "token", Platform.HUAWEI),
        ("MAMzLg", "hms", "harmony", Platform.HUAWEI),
        ("MAMnew", "hms", "harmony", Platform.HUAWEI),
    }


def test_the_same_file_twice_changes_nothing() -> None:
    application = make_application()
    text = "platform,token,external_id,plan,tags\n" + "".join(
        f"Android,token-number-{n},u-{n % 3},gold,a|b\n" for n in range(30)
    )
    first, second = imported(application, text), imported(application, text)

    assert (first.created, first.updated, first.refused) == (30, 0, 0)
    assert (second.created, second.updated, second.refused) == (0, 0, 0)
    assert Person.objects.count() == 3
    assert Registration.objects.count() == 30


def test_a_changed_row_updates_its_device() -> None:
    application = make_application()
    imported(application, "platform,token,language,plan\nAndroid,token-1,de,gold\n")
    run = imported(application, "platform,token,language,orders\nAndroid,token-1,fr,7\n")

    assert (run.created, run.updated) == (0, 1)
    device = Registration.objects.get()
    assert (device.language, device.attributes) == ("fr", {"plan": "gold", "orders": 7})


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("Symbian,token-1,,,", "platform", "one of Android"),
        ("iOS,not-hex,,,", "token", "APNs token"),
        ("Android,,,,", "token", "a token or a registration id"),
        ("Android,token-1,,12,", "phone", "5 to 15 digits"),
        ("Android,token-1,nobody,,", "email", "name@example.com"),
        ("Android,token-1,,,many", "orders", "a number"),
        ("Android,tok\0en,,,", "token", "NUL"),
        ("Android,token-1", "", "2 cells"),
        ("Android,token-0,,,1", "token", "stands in line 2"),
    ],
)
def test_a_bad_row_is_left_out_with_line_and_reason(row: str, column: str, says: str) -> None:
    application = make_application()
    run = imported(
        application,
        f"platform,token,email,phone,orders\nAndroid,token-0,,,1\n{row}\nAndroid,token-2,,,2\n",
    )
    assert (run.status, run.rows, run.created, run.refused) == (ImportRun.Status.DONE, 3, 2, 1)
    refusal = run.refusals.get()
    assert (refusal.line, refusal.column) == (3, column)
    assert says in refusal.reason


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "The file is empty"),
        (b"name,age\nx,1\n", "“platform” is missing"),
        (b"platform,plan\nAndroid,x\n", "“token” is missing"),
        (b"platform,token,Token\nAndroid,a,b\n", "twice"),
        (b"platform,token\nAndroid,t-1\nAndroid,\xff\xfe\n", "not UTF-8"),
        (b"a," * 10_000_000, "more than 1,000,000 characters"),
        (b"platform,token," + b",".join(b"c%d" % n for n in range(600)) + b"\n", "602 columns"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content: bytes, says: str) -> None:
    run = imported(make_application(), content)
    assert run.status == ImportRun.Status.FAILED
    assert says in run.error


def test_identities_of_two_people_are_refused() -> None:
    application = make_application()
    run = imported(
        application,
        "platform,token,external_id,phone\nAndroid,t-1,u-1,41790000001\n"
        "Android,t-2,u-2,41790000002\nAndroid,t-3,u-1,41790000002\n",
    )
    assert (run.created, run.refused) == (2, 1)
    assert "different people" in run.refusals.get().reason


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cells=st.lists(
        st.lists(
            st.text(max_size=12).map(lambda t: t.replace("\r", "").replace("\n", "")), max_size=6
        ),
        max_size=12,
    )
)
def test_whatever_stands_in_the_rows_they_are_all_accounted_for(cells: list[list[str]]) -> None:
    application = make_application()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["platform", "token", "external_id", "language", "plan"])
    for row in cells:
        writer.writerow(["Android", *row])
    run = imported(application, out.getvalue().encode("utf-8", "replace"))
    if run.status == ImportRun.Status.DONE:
        assert run.rows == run.created + run.updated + run.refused
        assert Registration.objects.filter(application=application).count() == run.created


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def test_browsers_are_imported_by_their_subscription() -> None:
    application = make_application()
    first, second = (json.loads(make_subscription()) for _ in range(2))
    keys = second["keys"]

    whole = imported(application, f"platform,token\nWeb,{quoted(json.dumps(first))}\n")
    parts = imported(
        application,
        "platform,endpoint,p256dh,auth,external_id\n"
        f"web,{second['endpoint']},{keys['p256dh']},{keys['auth']},u-1\n",
    )

    assert [(run.created, run.refused) for run in (whole, parts)] == [(1, 0), (1, 0)]
    kept = Address.objects.order_by("pk").values_list("provider", "token")
    assert [(provider, json.loads(token)) for provider, token in kept] == [
        ("webpush", first),
        ("webpush", second),
    ]
    assert not AttributeDefinition.objects.exists()


def test_a_browser_is_one_device_whatever_its_keys() -> None:
    application = make_application()
    first = json.loads(make_subscription())
    again = json.loads(make_subscription(first["endpoint"]))

    imported(application, f"platform,token\nWeb,{quoted(json.dumps(first))}\n")
    run = imported(application, f"platform,token\nWeb,{quoted(json.dumps(again))}\n")

    assert (run.created, run.updated) == (0, 1)
    assert json.loads(Address.objects.get().token) == again


@pytest.mark.parametrize(
    ("columns", "row", "column"),
    [
        ("platform,token", "Web,abc", "token"),
        ("platform,token", 'Web,"{""endpoint"": ""https://evil.example/x""}"', "token"),
        ("platform,endpoint,p256dh,auth", "Web,https://127.0.0.1/x,{p256dh},{auth}", "endpoint"),
        ("platform,endpoint,p256dh,auth", "Web,{endpoint},short,{auth}", "p256dh"),
        ("platform,endpoint,p256dh,auth", "Web,{endpoint},{p256dh},", "auth"),
        ("platform,endpoint,p256dh,auth", "Android,{endpoint},{p256dh},{auth}", "token"),
    ],
)
def test_a_browser_that_may_not_be_called_is_refused_by_its_column(
    columns: str, row: str, column: str
) -> None:
    known = json.loads(make_subscription())
    for name, value in {"endpoint": known["endpoint"], **known["keys"]}.items():
        row = row.replace("{" + name + "}", value)

    run = imported(make_application(), f"{columns}\n{row}\n")

    assert run.status == ImportRun.Status.DONE
    [refusal] = run.refusals.all()
    assert refusal.column == column


def test_a_device_with_another_external_id_goes_to_its_new_owner() -> None:
    application = make_application()
    imported(application, "platform,token,external_id\nAndroid,t-1,u-1\n")
    Registration.objects.update(primary=True)
    run = imported(application, "platform,token,external_id\nAndroid,t-1,u-2\n")

    assert (run.status, run.updated, run.refused) == (ImportRun.Status.DONE, 1, 0)
    device = Registration.objects.select_related("person").get()
    assert device.person is not None
    assert device.person.identities.get().value == "u-2"
    assert not device.primary
    assert Identity.objects.filter(value="u-1").exists()


def test_a_new_contact_joins_the_person_the_device_has() -> None:
    application = make_application()
    imported(application, "platform,token,external_id\nAndroid,t-1,u-1\n")
    imported(application, "platform,token,email,first_name\nAndroid,t-1,ana@example.com,Ana\n")

    person = Person.objects.get()
    assert person.first_name == "Ana"
    assert set(person.identities.values_list("value", flat=True)) == {"u-1", "ana@example.com"}


def test_tags_of_a_row_reach_the_person_and_all_their_devices() -> None:
    application = make_application()
    imported(application, "platform,token,external_id\nAndroid,t-1,u-1\nAndroid,t-2,u-1\n")
    imported(application, "platform,token,tags\nAndroid,t-1,vip|new\n")

    assert Person.objects.get().tags == ["new", "vip"]
    assert [d.person_tags for d in Registration.objects.all()] == [["new", "vip"]] * 2


def test_a_new_token_opens_its_address_again() -> None:
    application = make_application()
    name = "8621824c-86b2-41f7-bf6f-20d3b1426005"
    imported(application, f"platform,token,registration_id,environment\niOS,{IOS},{name},sandbox\n")
    Address.objects.update(
        closed_at=timezone.now(), closed_reason="uninstalled", closed_answer="Unregistered"
    )
    new = "cd" * 32
    run = imported(application, f"platform,token,registration_id\niOS,{new},{name}\n")

    address = Address.objects.get()
    assert (run.updated, address.token, address.environment) == (1, new, "sandbox")
    assert bytes(address.token_digest or b"") == hashlib.sha256(new.encode()).digest()
    assert (address.closed_at, address.closed_reason, address.closed_answer) == (None, "", "")


def test_a_device_named_by_id_and_by_token_is_taken_once() -> None:
    application = make_application()
    name = "8621824c-86b2-41f7-bf6f-20d3b1426005"
    imported(application, f"platform,token,registration_id\nAndroid,t-1,{name}\n")
    run = imported(
        application, f"platform,token,registration_id\nAndroid,t-1,\nAndroid,t-2,{name}\n"
    )

    assert (run.created, run.updated, run.refused) == (0, 0, 1)
    assert "stands in line 2" in run.refusals.get().reason
    assert Address.objects.get().token == "t-1"


def test_a_file_with_a_fault_far_down_changes_nothing() -> None:
    rows = b"".join(b"Android,token-%d\n" % n for n in range(importing.BATCH + 500))
    run = imported(make_application(), b"platform,token\n" + rows + b"Android,J\xfcrgen\n")

    assert run.status == ImportRun.Status.FAILED
    assert f"Line {importing.BATCH + 502} is not UTF-8" in run.error
    assert (run.rows, Registration.objects.count()) == (0, 0)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_cells_may_be_parted_as_spreadsheets_of_other_countries_do(mark: str) -> None:
    text = "platform,token,tags\nAndroid,t-1,a\n".replace(",", mark)
    run = imported(make_application(), "\ufeff" + text)
    assert (run.created, run.refused) == (1, 0)


def test_an_import_whose_worker_was_killed_goes_on_where_it_stood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    application = make_application()
    monkeypatch.setattr(importing, "BATCH", 10)
    text = "platform,token\n" + "".join(f"Android,t-{n}\n" for n in range(25))
    text += "Symbian,x\nAndroid,t-3\n"
    run = importing.receive(application, None, "devices.csv", [text.encode()])
    calls: list[Any] = []

    def dies_in_the_second_batch(*args: Any) -> Written:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(*args)

    monkeypatch.setattr(importing, "write", dies_in_the_second_batch)
    with pytest.raises(KeyboardInterrupt):
        importing.run_upload(run.pk)
    assert Registration.objects.count() == 10
    assert importing.run_upload(run.pk) is None  # its lease still runs
    ImportRun.objects.filter(pk=run.pk).update(lease_until=timezone.now())
    finished = importing.run_upload(run.pk)

    assert finished is not None
    assert (finished.rows, finished.created, finished.refused) == (27, 25, 2)
    assert [r.line for r in finished.refusals.all()] == [27, 28]
    assert "stands in line 5" in finished.refusals.get(line=28).reason
    assert not finished.pieces.exists()


def test_a_worker_that_was_overtaken_writes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    run = importing.receive(
        make_application(), None, "devices.csv", [b"platform,token\nAndroid,t-1\n"]
    )

    def slowly(source: BinaryIO) -> None:
        examine(source)
        ImportRun.objects.update(lease_until=timezone.now() + timedelta(hours=1))

    monkeypatch.setattr(importing, "examine", slowly)
    assert importing.run_upload(run.pk) is None
    assert not Registration.objects.exists()
    assert run.pieces.exists()


def test_rows_that_somebody_else_writes_meanwhile_do_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def clashing(application: Application, wanted: list[Wanted], seen: dict[int, int]) -> Written:
        if any(row.token == "t-7" for row in wanted):
            raise IntegrityError
        return write(application, wanted, seen)

    monkeypatch.setattr(importing, "write", clashing)
    run = imported(
        make_application(), "platform,token\n" + "".join(f"Android,t-{n}\n" for n in range(20))
    )
    assert (run.status, run.created, run.refused) == (ImportRun.Status.DONE, 19, 1)
    assert run.refusals.get().line == 9


CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from([
        "Android", "iOS", IOS, "t-1", "t-2", "u-1", "u-2", "+41 79 302 67 27", "a@b.ch", "vip|new",
        "8621824c-86b2-41f7-bf6f-20d3b1426005", "true", "7", "2026-01-31", '"', "\0", "=1+1",
    ]),
)  # fmt: skip
HEADINGS = st.sampled_from([
    "platform", "token", "registration id", "external id", "phone", "e-mail", "tags", "enabled",
    "timezone", "language", "app version", "environment", "first name", "plan", "orders",
])  # fmt: skip


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    headings=st.lists(HEADINGS, unique=True, max_size=6),
    rows=st.lists(st.lists(CELLS, max_size=8), max_size=8),
)
def test_any_file_of_such_cells_ends_well_and_changes_nothing_when_repeated(
    headings: list[str], rows: list[list[str]]
) -> None:
    application = make_application()
    out = io.StringIO()
    csv.writer(out).writerows([["platform", "token", *headings], *rows])
    first = imported(application, out.getvalue())
    second = imported(application, out.getvalue())

    assert first.status == second.status
    assert first.rows - first.created - first.updated - first.refused >= 0
    assert Registration.objects.filter(application=application).count() == first.created
    assert (second.rows, second.created, second.updated) == (first.rows, 0, 0)
