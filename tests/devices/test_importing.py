import csv
import hashlib
import io
import json

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices import importing
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
        ("Android,,,,", "token", "a token or a registration ID"),
        ("Android,token-1,,12,", "phone", "5 to 15 digits"),
        ("Android,token-1,,079 302 67 27,", "phone", "country code"),
        ("Android,token-1,,+0041793026727,", "phone", "country code"),
        ("Android,token-1,,٤١٧٩٣٠٢٦٧٢٧,", "phone", "5 to 15 digits"),
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
        (b'platform,token\nAndroid,"' + b'","\n' * 400_000, "row that begins in line 2"),
        (b'platform,token\nAndroid,t-1\nAndroid,"' + b"x" * 200_000, "Line 3 cannot be read"),
        (b"platform,token," + b",".join(b"c%d" % n for n in range(600)) + b"\n", "602 columns"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content: bytes, says: str) -> None:
    run = imported(make_application(), content)
    assert run.status == ImportRun.Status.FAILED
    assert says in run.error


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


@pytest.mark.parametrize("mark", [";", "\t"])
def test_cells_may_be_parted_as_spreadsheets_of_other_countries_do(mark: str) -> None:
    text = "platform,token,tags\nAndroid,t-1,a\n".replace(",", mark)
    run = imported(make_application(), "\ufeff" + text)
    assert (run.created, run.refused) == (1, 0)


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


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", "9223372036854775808"),  # no number that can be kept: a text
        ("0.1", 0.1),
        ("123456789.123456", 123456789.123456),
        ("1234567890123456.789", "1234567890123456.789"),  # a float would round it
        ("٣", "٣"),
        ("007", "007"),
        ("2026-02-30", "2026-02-30"),
        ("2026-W01-1", "2026-W01-1"),
    ],
)
def test_a_cell_is_kept_exactly(cell: str, kept: object) -> None:
    run = imported(make_application(), f"platform,token,value\nAndroid,t-1,{cell}\n")
    assert run.refused == 0
    assert Registration.objects.get().attributes == {"value": kept}


def test_numbers_of_other_attributes_stay_exact() -> None:
    application = make_application()
    imported(application, "platform,token,language\nAndroid,t-1,de\n")
    exact = "0.1234567890123456789012345"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE devices_registration SET attributes = %s", [f'{{"a": {exact}}}'])
        imported(application, "platform,token,language,plan\nAndroid,t-1,fr,gold\n")
        cursor.execute("SELECT attributes->>'a', attributes->>'plan' FROM devices_registration")
        assert cursor.fetchone() == (exact, "gold")


def test_a_closed_device_is_not_switched_on_by_its_old_token() -> None:
    application = make_application()
    text = "platform,token,enabled\nAndroid,t-1,true\n"
    imported(application, text)
    Address.objects.update(closed_at=timezone.now(), closed_reason="uninstalled")
    Registration.objects.update(enabled=False)

    run = imported(application, text)

    assert (run.updated, run.refused) == (0, 0)
    assert not Registration.objects.get().enabled


def test_a_device_changes_its_platform_only_with_its_token() -> None:
    application = make_application()
    name = "8621824c-86b2-41f7-bf6f-20d3b1426005"
    imported(application, f"platform,token,registration_id\nAndroid,t-1,{name}\n")

    bare = imported(application, f"platform,registration_id\niOS,{name}\n")
    full = imported(application, f"platform,token,registration_id\niOS,{IOS},{name}\n")

    assert (bare.refused, bare.refusals.get().column) == (1, "platform")
    assert full.updated == 1
    assert Address.objects.get().provider == "apns"


def test_a_token_may_pass_from_one_device_to_the_next_in_one_file() -> None:
    application = make_application()
    one, two = (f"8621824c-86b2-41f7-bf6f-20d3b142600{n}" for n in (1, 2))
    header = "platform,token,registration_id\n"
    imported(application, f"{header}Android,t-1,{one}\nAndroid,t-2,{two}\n")

    run = imported(application, f"{header}Android,t-3,{one}\nAndroid,t-1,{two}\nAndroid,t-2,\n")

    assert (run.updated, run.created, run.refused) == (2, 1, 0)
    kept = {str(each.public_id): each.token for each in Address.objects.all()}
    assert (kept[one], kept[two], len(kept)) == ("t-3", "t-1", 3)


def test_a_device_has_so_many_attributes_and_no_more() -> None:
    application = make_application()
    for first in (0, 400):
        names = [f"c{n}" for n in range(first, first + 400)]
        values = ",".join("x" for _ in names)
        run = imported(application, f"platform,token,{','.join(names)}\nAndroid,t-1,{values}\n")
    assert (run.updated, run.refused) == (0, 1)
    assert "at most 500 attributes" in run.refusals.get().reason
    assert len(Registration.objects.get().attributes) == 400
