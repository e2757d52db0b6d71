import csv
import io
import json

import pytest
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
