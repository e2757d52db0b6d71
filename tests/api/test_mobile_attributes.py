"""api.mobile: custom attributes of devices (contract/people.md 2.1)."""

import pytest

from devices.models import AttributeDefinition, Registration
from tests.api.apps import INSTANCES, App, assert_refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


@pytest.mark.parametrize(
    ("raw", "type_"),
    [
        ("9223372036854775807", "number"),
        ("-9223372036854775808", "number"),
        ("9.5", "number"),
        ("true", "boolean"),
        ('"2024-02-29"', "date"),
        ('"2023-02-29"', "text"),
        ('"' + "x" * 4096 + '"', "text"),
        ('[{"sku":"a","gift":null,"price":1.5}]', "list"),
    ],
)
def test_an_attribute_comes_back_exactly_and_its_type_is_learned(
    app: App, raw: str, type_: str
) -> None:
    answered = app.post(INSTANCES, b'{"os":"iOS","customAttributes":{"x":%s}}' % raw.encode())

    path = f"{INSTANCES}/{answered.json()['pushRegId']}"
    assert f'"customAttributes":{{"x":{raw}}}' in app.call("GET", path).content.decode()
    assert AttributeDefinition.objects.get(application=app.application, name="x").type == type_


LIMITS = "number from -9223372036854775808 to 9223372036854775807"
KINDS = "string, number, boolean, date (YYYY-MM-DD) or list of flat objects"
FLAT = "list of at most 100 flat objects"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("x", "9223372036854775808", LIMITS),
        ("x", "-9223372036854775809", LIMITS),
        ("x", "1e999", LIMITS),
        ("x", "NaN", LIMITS),
        ("x", '"' + "x" * 4097 + '"', "string of at most 4096 characters"),
        ("x", '"\\u0000"', "string of at most 4096 characters"),
        ("x", '{"a":1}', KINDS),
        ("x", "[1]", FLAT),
        ("x", '[{"a":[{"b":1}]}]', FLAT),
        ("x", "[" + ",".join(["{}"] * 101) + "]", FLAT),
        ("", "1", "named with 1 to 256 characters"),
        ("number", '"one"', LIMITS),
        ("day", '"someday"', "date (YYYY-MM-DD)"),
        ("text", "1", "string of at most 4096 characters"),
        ("flag", "1", "boolean"),
    ],
)
def test_an_attribute_that_cannot_be_kept_is_named(
    app: App, name: str, value: str, expected: str
) -> None:
    app.register(customAttributes={"number": 1, "day": "2024-01-01", "text": "t", "flag": True})
    body = f'{{"os":"iOS","customAttributes":{{"new":1,"{name}":{value}}}}}'

    answer = app.post(INSTANCES, body.encode())

    text = f"customAttributes.{name} should be {expected}"
    assert_refused(answer, 400, "REQUEST_FORMAT_INVALID", text)
    assert Registration.objects.count() == 1
    assert AttributeDefinition.objects.count() == 4  # "new" was not learned


def test_a_date_may_stand_where_text_is_kept(app: App) -> None:
    app.register(customAttributes={"note": "soon"})

    assert app.register(customAttributes={"note": "2024-01-01"})["customAttributes"] == {
        "note": "2024-01-01"
    }


def test_a_device_has_at_most_500_attributes(app: App) -> None:
    many = {f"a{number}": number for number in range(500)}
    path = f"{INSTANCES}/{app.register(customAttributes=many)['pushRegId']}"

    answer = app.call("PATCH", path, {"customAttributes": {"more": 1}})

    text = "customAttributes.more should be one of at most 500 attributes of a device"
    assert_refused(answer, 400, "REQUEST_FORMAT_INVALID", text)
