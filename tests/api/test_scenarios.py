"""api.infobip.scenarios: contract/omni.md 1."""

import re
from typing import Any

import pytest

from campaigns.models import Scenario
from devices.models import Application
from tests.api.systems import System, basic, make_api_user, make_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

PATH = "/omni/1/scenarios"


@pytest.fixture
def system() -> System:
    make_key(scopes=["message:send"])
    return System()


def error(code: str, text: str) -> dict[str, Any]:
    return {"requestError": {"serviceException": {"messageId": code, "text": text}}}


def body_of(application: Application, **given: Any) -> dict[str, Any]:
    flow = [
        {"from": application.code, "channel": "PUSH"},
        {"from": "InfoSMS", "channel": "SMS"},
    ]
    return {"name": "My PUSH-SMS scenario", "flow": flow, "default": True, **given}


def put(system: System, key: str, body: Any) -> Any:
    return system.call("PUT", f"{PATH}/{key}", body)


def test_the_sample_of_the_contract(application: Application) -> None:
    make_api_user("crm", "open sesame", scopes=["message:send"])
    system = System(key="")
    body = body_of(application)

    answer = system.post(PATH, body, Authorization=basic("crm", "open sesame"))

    assert answer.status_code == 200
    told = answer.json()
    assert list(told) == ["key", "name", "flow", "default"]
    assert re.fullmatch("[0-9A-F]{32}", told["key"])
    assert told == {"key": told["key"], **body}


def test_an_old_clients_name_of_default_is_read(system: System, application: Application) -> None:
    body = body_of(application)
    body["defaultScenario"] = body.pop("default")

    assert system.post(PATH, body).json()["default"] is True


def test_name_and_default_may_be_left_out(system: System) -> None:
    told = system.post(PATH, {"flow": [{"channel": "SMS"}]}).json()

    assert told == {
        "key": told["key"], "name": "", "flow": [{"channel": "SMS"}], "default": False,
    }  # fmt: skip


def test_there_is_one_default_at_most(system: System, application: Application) -> None:
    first = system.post(PATH, body_of(application)).json()
    second = system.post(PATH, body_of(application)).json()

    shown = system.get(f"{PATH}?isDefault=true").json()["scenarios"]

    assert [each["key"] for each in shown] == [second["key"]]
    assert system.get(f"{PATH}/{first['key']}").json()["default"] is False


def test_scenarios_are_listed_page_by_page_oldest_first(system: System) -> None:
    keys = [
        system.post(PATH, {"name": str(number), "flow": [{"channel": "VIBER"}]}).json()["key"]
        for number in range(5)
    ]

    def page(query: str) -> list[str]:
        return [each["key"] for each in system.get(f"{PATH}?{query}").json()["scenarios"]]

    assert page("") == keys
    assert page("limit=2") == keys[:2]
    assert page("limit=2&page=2") == keys[4:]
    assert page("limit=0") == []


def test_a_key_is_found_in_either_case(system: System) -> None:
    told = system.post(PATH, {"flow": [{"channel": "SMS"}]}).json()

    assert system.get(f"{PATH}/{told['key'].lower()}").json() == told


def test_a_change_keeps_what_it_does_not_name(system: System, application: Application) -> None:
    told = system.post(PATH, body_of(application)).json()

    changed = put(system, told["key"], {"flow": [{"channel": "SMS", "from": "Shop"}]})

    assert changed.status_code == 200
    assert changed.json() == {**told, "flow": [{"from": "Shop", "channel": "SMS"}]}
    assert Scenario.objects.count() == 1


def test_everything_of_a_scenario_can_change(system: System, application: Application) -> None:
    key = system.post(PATH, body_of(application)).json()["key"]
    flow = [{"from": "Shop", "channel": "SMS"}, {"channel": "VIBER"}]

    changed = put(system, key, {"name": "Text first", "flow": flow, "default": False})

    assert changed.status_code == 200
    assert changed.json() == {"key": key, "name": "Text first", "flow": flow, "default": False}
    assert system.get(f"{PATH}/{key}").json() == changed.json()
    assert system.get(f"{PATH}?isDefault=true").json() == {"scenarios": []}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "must be valid JSON"),
        (b"[]", "must be an object"),
        ({}, "flow must not be null"),
        ({"flow": []}, "flow must not be empty"),
        ({"flow": [{"channel": "SMS"}] * 11}, "flow size must be at most 10"),
        ({"flow": [{"channel": "PIGEON"}]}, "flow[0].channel must be one of"),
        ({"flow": [{"channel": "PUSH"}]}, "flow[0].from must not be blank"),
        ({"flow": [{"channel": "SMS", "from": 7}]}, "flow[0].from must be a string"),
        ({"flow": [{"channel": "SMS"}], "name": "x" * 256}, "name size must be at most 255"),
        ({"flow": [{"channel": "SMS"}], "default": "yes"}, "default must be a boolean"),
    ],
)
def test_a_body_that_cannot_be_read(system: System, body: Any, text: str) -> None:
    answer = system.post(PATH, body)

    assert answer.status_code == 400
    told = answer.json()["requestError"]["serviceException"]
    assert told["messageId"] == "BAD_REQUEST"
    assert told["text"].startswith(text)
    assert not Scenario.objects.exists()


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "page=1.5", "isDefault=perhaps"])
def test_a_query_that_cannot_be_read(system: System, query: str) -> None:
    answer = system.get(f"{PATH}?{query}")

    assert answer.status_code == 400
    told = answer.json()["requestError"]["serviceException"]["text"]
    assert told.startswith(query.partition("=")[0])


def test_a_push_step_of_a_stranger(system: System) -> None:
    answer = system.post(PATH, {"flow": [{"channel": "PUSH", "from": "nobody"}]})

    assert answer.status_code == 409
    assert answer.json()["requestError"]["serviceException"]["messageId"] == "INVALID_SCENARIO"


def test_who_may_not(application: Application) -> None:
    make_key("reader", scopes=["people:read"])

    nobody = System(key="").get(PATH)
    reader = System(key="reader").get(PATH)

    assert (nobody.status_code, nobody.json()) == (401, error("UNAUTHORIZED", "Unauthorized"))
    assert (reader.status_code, reader.json()) == (403, error("FORBIDDEN", "Forbidden"))


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_scenario_that_does_not_exist(system: System, method: str) -> None:
    body = {"flow": [{"channel": "SMS"}]} if method == "PUT" else None

    answer = system.call(method, f"{PATH}/{'A' * 32}", body)

    assert (answer.status_code, answer.json()) == (404, error("NOT_FOUND", "Not found"))


@pytest.mark.parametrize("key", ["%00", "%F0%9F%98%80", "x" * 5000, "%FF"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_key_that_cannot_be_one(system: System, method: str, key: str) -> None:
    body = {"flow": [{"channel": "SMS"}]} if method == "PUT" else None

    assert system.call(method, f"{PATH}/{key}", body).status_code == 404


def test_too_many_are_told_to_wait(system: System, settings: Any) -> None:
    settings.SCENARIO_CREATIONS, settings.SCENARIO_UPDATES = 2, 1
    body = {"flow": [{"channel": "SMS"}]}
    keys = [system.post(PATH, body).json()["key"] for _ in range(2)]
    put(system, keys[0], body)

    for answer in (system.post(PATH, body), put(system, keys[0], body)):
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 600
        assert answer.json() == error("TOO_MANY_REQUESTS", "Too many requests")
    assert system.get(PATH).status_code == 200


@pytest.mark.parametrize("path", ["/omni/1/campaigns", "/omni", "/omni/2/scenarios"])
def test_a_path_that_does_not_exist(system: System, path: str) -> None:
    answer = system.get(path)

    assert answer.status_code == 404
    assert answer.json()["requestError"]["serviceException"]["messageId"] == "NOT_FOUND"
