import json
from typing import Any

import pytest

from campaigns.models import Segment
from devices.models import Application, Platform
from tests.api.systems import System, make_key
from tests.factories import make_application, make_registration, make_registrations

pytestmark = pytest.mark.django_db

PATH = "/segments/1/segments"
IOS = {"field": "platform", "op": "is", "value": "iOS"}


@pytest.fixture
def system() -> System:
    make_key(scopes=["segments:manage"])
    return System(make_application())


def answer(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.content
    return json.loads(response.content)


def create(system: System, name: str = "iPhones", rule: Any = IOS) -> Any:
    return system.call("POST", PATH, {"name": name, "rule": rule})


def application_of(system: System) -> Application:
    return Application.objects.get(code=system.headers["AppCode"])


def test_a_segment_is_created_read_counted_and_listed(system: System) -> None:
    application = application_of(system)
    phones = [make_registration(application, platform=Platform.IOS) for _ in range(3)]
    make_registration(application, platform=Platform.IOS, notifications_enabled=False)
    make_registration(application, platform=Platform.ANDROID)

    made = answer(create(system))
    assert made["name"] == "iPhones"
    assert made["rule"] == IOS
    assert made["sentence"] == "platform is iOS"
    one = f"{PATH}/{made['id']}"
    assert answer(system.get(one)) == made
    assert answer(system.get(PATH)) == {"segments": [made], "next": None}

    for query in ("", "?exactly=true"):
        assert answer(system.get(f"{one}/count{query}")) == {
            "total": 3,
            "exact": True,
            "byPlatform": {"iOS": 3},
            "leftOut": [{"reason": "Notifications are switched off", "devices": 1}],
        }

    first = answer(system.get(f"{one}/members?limit=2"))
    second = answer(system.get(f"{one}/members?limit=2&after={first['next']}"))
    assert first["members"] + second["members"] == [
        {"registrationId": str(phone.address.public_id), "platform": "iOS"} for phone in phones
    ]
    assert second["next"] is None


def test_pages_of_members_cost_one_query_each(
    system: System, django_assert_max_num_queries: Any
) -> None:
    make_registrations(application_of(system), 30, platform=Platform.IOS)
    one = f"{PATH}/{answer(create(system))['id']}/members?limit=20"
    system.get(one)  # who calls is known from now on
    with django_assert_max_num_queries(5):
        assert len(answer(system.get(one))["members"]) == 20


@pytest.mark.parametrize(
    ("body", "code", "part"),
    [
        (b"{", "BAD_REQUEST", "valid JSON"),
        (b"[" * 100_000, "BAD_REQUEST", "valid JSON"),
        ({"rule": IOS}, "BAD_REQUEST", "name should be given"),
        ({"name": "", "rule": IOS}, "BAD_REQUEST", "name"),
        ({"name": "x", "rule": []}, "BAD_REQUEST", "rule should be object"),
        ({"name": "x", "rule": {"field": "colour"}}, "RULE", "no field 'colour'"),
        ({"name": "x", "rule": {"all": [{"any": 5}]}}, "RULE", "all[0].any: expected a list"),
        ({"name": "x", "rule": {"all": [{"all": []}] * 10_000}}, "RULE", "at most 2,000"),
        (
            {"name": "x", "rule": {"field": "tag", "op": "empty", "value": "\x00"}},
            "BAD_REQUEST",
            "NUL",
        ),
    ],
)
def test_what_cannot_be_a_segment_is_refused_in_words(
    system: System, body: Any, code: str, part: str
) -> None:
    error = answer(system.call("POST", PATH, body), 400)["error"]
    assert error["code"] == code
    assert part in error["text"]
    assert not Segment.objects.exists()


def test_a_name_is_taken_once(system: System) -> None:
    answer(create(system))
    assert answer(create(system), 409)["error"]["code"] == "NAME_TAKEN"


def test_segments_of_other_applications_are_not_there(system: System) -> None:
    other = Segment.objects.create(application=make_application(), name="theirs", rule=IOS)
    for path in ("", "/count", "/members"):
        answer(system.get(f"{PATH}/{other.pk}{path}"), 404)
    answer(system.get(f"{PATH}/{10**30}"), 404)
    assert answer(system.get(PATH))["segments"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=-1", "limit=²"])
def test_a_page_that_cannot_be_is_refused(system: System, query: str) -> None:
    assert answer(system.get(f"{PATH}?{query}"), 400)["error"]["code"] == "BAD_REQUEST"


def test_a_key_may_do_what_its_scopes_say() -> None:
    make_key(scopes=["segments:read"])
    system = System(make_application())
    assert answer(system.get(PATH))["segments"] == []
    answer(create(system), 403)


def test_the_application_must_be_named(system: System) -> None:
    error = answer(system.get(PATH, AppCode="nobody's"), 400)["error"]
    assert error["code"] == "UNKNOWN_APPLICATION"


def test_elsewhere_there_is_nothing(system: System) -> None:
    assert answer(system.get("/segments/2/x"), 404)["error"]["code"] == "NOT_FOUND"
    assert answer(system.call("DELETE", PATH), 405)["error"]["code"] == "METHOD_NOT_ALLOWED"


def test_a_segment_whose_list_was_deleted_says_so(system: System) -> None:
    rule = {"field": "list", "op": "in", "value": 4_000_000}
    kept = Segment.objects.create(application=application_of(system), name="x", rule=rule)
    for path in ("/count", "/members"):
        assert answer(system.get(f"{PATH}/{kept.pk}{path}"), 409)["error"]["code"] == "RULE"
    assert "which was deleted" in answer(system.get(f"{PATH}/{kept.pk}"))["sentence"]
