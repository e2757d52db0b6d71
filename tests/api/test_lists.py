"""Lists by API: made, filled, emptied, read and deleted by another system."""

import json
from typing import Any

import pytest

from campaigns import audience, excluding
from campaigns.models import ListMember, Reason, Segment, StaticList
from devices.models import Application, AuditEntry
from tests.api.systems import System, make_key
from tests.factories import make_application, make_person, make_registration

pytestmark = pytest.mark.django_db

PATH = "/lists/1/lists"


@pytest.fixture
def system() -> System:
    make_key(scopes=["segments:manage"])
    return System(make_application())


def answer(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.content
    return json.loads(response.content)


def create(system: System, name: str = "Testers") -> Any:
    return answer(system.post(PATH, {"name": name}))


def application_of(system: System) -> Application:
    return Application.objects.get(code=system.headers["AppCode"])


def test_a_list_is_made_filled_read_emptied_and_deleted(system: System) -> None:
    application = application_of(system)
    ana = make_person(external_id="u-1", phone="491512345678", email="ana@example.com")
    bo = make_person(email="bo@example.com")
    phone = make_registration(application, person=bo)
    device = make_registration(application)
    public_id = str(device.address.public_id)

    made = create(system)
    one = f"{PATH}/{made['id']}"
    assert (made["name"], made["people"], made["devices"]) == ("Testers", 0, 0)
    names = {
        "externalIds": ["u-1", "u-9"],
        "phones": ["+491512345678"],
        "emails": ["BO@example.com"],
        "registrationIds": [public_id.upper()],
    }
    filled = answer(system.post(f"{one}/members", names))
    assert filled == {"added": 3, "before": 0, "unknown": {"externalIds": ["u-9"]}}
    again = answer(system.post(f"{one}/members", names))
    assert again == {"added": 0, "before": 3, "unknown": {"externalIds": ["u-9"]}}

    read = answer(system.get(one))
    assert (read["people"], read["devices"]) == (2, 1)
    assert answer(system.get(PATH)) == {"lists": [read], "next": None}
    first = answer(system.get(f"{one}/members?limit=2"))
    second = answer(system.get(f"{one}/members?limit=2&after={first['next']}"))
    assert second["next"] is None
    told = [{**each, "addedAt": ""} for each in first["members"] + second["members"]]
    assert sorted(told, key=str) == sorted(
        [
            {"person": {"externalId": "u-1", "phones": ["491512345678"],
                        "emails": ["ana@example.com"]}, "addedAt": ""},
            {"person": {"externalId": None, "phones": [], "emails": ["bo@example.com"]},
             "addedAt": ""},
            {"registrationId": public_id, "addedAt": ""},
        ],
        key=str,
    )  # fmt: skip
    rule = {"field": "list", "op": "in", "value": made["id"]}
    reached = audience.of(application, rule).values_list("pk", flat=True)
    assert set(reached) == {phone.pk, device.pk}

    less = answer(system.post(f"{one}/members/remove", {"emails": ["bo@example.com"]}))
    assert less == {"removed": 1, "unknown": {}}
    assert answer(system.get(one))["people"] == 1
    assert ListMember.objects.filter(person=ana).exists()
    renamed = answer(system.call("PUT", one, {"name": "Beta"}))
    assert (renamed["name"], renamed["people"], renamed["devices"]) == ("Beta", 1, 1)
    assert system.call("DELETE", one).status_code == 204
    answer(system.get(one), 404)
    actions = AuditEntry.objects.filter(object_type="staticlist").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "create list", "add to list", "remove from list", "rename list", "delete list",
    ]  # fmt: skip


def test_devices_of_other_applications_are_nobody(system: System) -> None:
    theirs = str(make_registration(make_application()).address.public_id)
    one = f"{PATH}/{create(system)['id']}/members"

    told = answer(system.post(one, {"registrationIds": [theirs]}))

    assert told == {"added": 0, "before": 0, "unknown": {"registrationIds": [theirs]}}


@pytest.mark.parametrize(
    ("body", "code", "part"),
    [
        (b"{", "BAD_REQUEST", "valid JSON"),
        ({}, "BAD_REQUEST", "1 to 10000"),
        ({"phones": []}, "BAD_REQUEST", "1 to 10000"),
        ({"phones": "491512345678"}, "BAD_REQUEST", "phones should be array"),
        ({"phones": [491512345678]}, "BAD_REQUEST", "phones.0 should be string"),
        ({"phones": ["491512345678", "many"]}, "MEMBER", "Phone 2: A phone number has"),
        ({"emails": ["nobody"]}, "MEMBER", "E-mail 1"),
        ({"registrationIds": ["7"]}, "MEMBER", "Registration ID 1"),
        ({"externalIds": ["x" * 257]}, "BAD_REQUEST", "256"),
        ({"externalIds": ["a\0b"]}, "BAD_REQUEST", "NUL"),
        (
            {"externalIds": ["x"] * 6000, "phones": ["491512345678"] * 6000},
            "BAD_REQUEST",
            "1 to 10000",
        ),
    ],
)
def test_what_cannot_be_a_member_is_refused_and_nobody_is_added(
    system: System, body: Any, code: str, part: str
) -> None:
    make_person(phone="491512345678")
    one = f"{PATH}/{create(system)['id']}/members"
    for path in (one, f"{one}/remove"):
        error = answer(system.post(path, body), 400)["error"]
        assert error["code"] == code
        assert part in error["text"]
    assert not ListMember.objects.exists()


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 101}, {"name": 5}, []])
def test_what_cannot_be_a_name_is_refused(system: System, body: Any) -> None:
    error = answer(system.post(PATH, body), 400)["error"]
    assert error["code"] == "BAD_REQUEST"
    assert not StaticList.objects.exists()


def test_a_name_is_taken_once(system: System) -> None:
    create(system)
    other = create(system, "Other")
    assert answer(system.post(PATH, {"name": "Testers"}), 409)["error"]["code"] == "NAME_TAKEN"
    taken = system.call("PUT", f"{PATH}/{other['id']}", {"name": "Testers"})
    assert answer(taken, 409)["error"]["code"] == "NAME_TAKEN"


def test_a_list_in_use_is_not_deleted(system: System) -> None:
    made = create(system)
    rule = {"not": {"any": [{"field": "list", "op": "in", "value": made["id"]}]}}
    Segment.objects.create(application=application_of(system), name="Others", rule=rule)

    error = answer(system.call("DELETE", f"{PATH}/{made['id']}"), 409)["error"]

    assert error["code"] == "IN_USE"
    assert "the segment “Others”" in error["text"]
    answer(system.get(f"{PATH}/{made['id']}"))


def test_lists_of_other_applications_are_not_there(system: System) -> None:
    other = StaticList.objects.create(application=make_application(), name="theirs")
    for path in ("", "/members"):
        answer(system.get(f"{PATH}/{other.pk}{path}"), 404)
    answer(system.post(f"{PATH}/{other.pk}/members", {"phones": ["491512345678"]}), 404)
    answer(system.post(f"{PATH}/{other.pk}/members/remove", {"phones": ["491512345678"]}), 404)
    answer(system.call("PUT", f"{PATH}/{other.pk}", {"name": "mine"}), 404)
    answer(system.call("DELETE", f"{PATH}/{other.pk}"), 404)
    answer(system.get(f"{PATH}/{10**30}"), 404)
    assert answer(system.get(PATH))["lists"] == []


def test_a_key_may_do_what_its_scopes_say() -> None:
    make_key(scopes=["segments:read"])
    system = System(make_application())
    assert answer(system.get(PATH))["lists"] == []
    answer(system.post(PATH, {"name": "x"}), 403)
    for method in ("PUT", "DELETE"):
        answer(system.call(method, f"{PATH}/1"), 403)
    answer(system.post(f"{PATH}/1/members", {"phones": ["491512345678"]}), 403)


def test_pages_of_members_cost_as_many_statements_as_one(
    system: System, django_assert_max_num_queries: Any
) -> None:
    people = [make_person(external_id=f"u-{number}") for number in range(30)]
    one = f"{PATH}/{create(system)['id']}/members"
    answer(system.post(one, {"externalIds": [f"u-{number}" for number in range(30)]}))
    system.get(one)  # who calls is known from now on
    with django_assert_max_num_queries(7):
        assert len(answer(system.get(f"{one}?limit=20"))["members"]) == 20
    assert len(people) == 30


def test_elsewhere_there_is_nothing(system: System) -> None:
    assert answer(system.get("/lists/2/x"), 404)["error"]["code"] == "NOT_FOUND"
    assert answer(system.call("DELETE", PATH), 405)["error"]["code"] == "METHOD_NOT_ALLOWED"


def test_a_list_becomes_the_do_not_contact_list_and_there_is_one_alone(system: System) -> None:
    device = make_registration(application_of(system))
    made = answer(system.post(PATH, {"name": "Never", "doNotContact": True}))
    one = f"{PATH}/{made['id']}"
    answer(system.post(f"{one}/members", {"registrationIds": [str(device.address.public_id)]}))

    assert answer(system.get(one))["doNotContact"] is True
    expected = {device.pk: Reason.DO_NOT_CONTACT}
    assert excluding.reasons(device.application, [device.pk]) == expected

    second = answer(system.post(PATH, {"name": "Second", "doNotContact": True}), 409)["error"]
    assert second["code"] == "DO_NOT_CONTACT"
    assert "“Never” is this application's do-not-contact list" in second["text"]
    assert [each["name"] for each in answer(system.get(PATH))["lists"]] == ["Never"]

    kept = answer(system.call("PUT", one, {"name": "Nobody"}))
    assert (kept["name"], kept["doNotContact"]) == ("Nobody", True)  # nothing was said of it
    released = answer(system.call("PUT", one, {"name": "Nobody", "doNotContact": False}))
    assert released["doNotContact"] is False
    assert not excluding.reasons(device.application, [device.pk])


@pytest.mark.parametrize("said", ["yes", 1, []])
def test_whether_nobody_is_contacted_is_true_or_false(system: System, said: Any) -> None:
    refused = answer(system.post(PATH, {"name": "Never", "doNotContact": said}), 400)["error"]
    assert "doNotContact should be boolean" in refused["text"]
    assert not StaticList.objects.exists()


def test_names_of_nobody_come_back(system: System) -> None:
    one = f"{PATH}/{create(system)['id']}/members"
    names = {
        "externalIds": ["u-9"],
        "phones": ["+491512345679"],
        "emails": ["nobody@example.com"],
        "registrationIds": ["8621824c-86b2-41f7-bf6f-20d3b1426005"],
    }

    assert answer(system.post(one, names)) == {"added": 0, "before": 0, "unknown": names}
    assert answer(system.post(f"{one}/remove", names)) == {"removed": 0, "unknown": names}


def test_whoever_is_named_is_taken_off(system: System) -> None:
    device = make_registration(application_of(system))
    make_person(external_id="u-1")
    make_person(phone="491512345678")
    one = f"{PATH}/{create(system)['id']}/members"
    names = {
        "externalIds": ["u-1"],
        "phones": ["491512345678"],
        "registrationIds": [str(device.address.public_id)],
    }
    assert answer(system.post(one, names)) == {"added": 3, "before": 0, "unknown": {}}

    assert answer(system.post(f"{one}/remove", names)) == {"removed": 3, "unknown": {}}
    assert answer(system.get(one)) == {"members": [], "next": None}


def test_lists_come_page_by_page(system: System) -> None:
    made = [create(system, name) for name in ("A", "B", "C")]

    first = answer(system.get(f"{PATH}?limit=2"))
    assert first == {"lists": made[:2], "next": made[1]["id"]}
    second = answer(system.get(f"{PATH}?limit=2&after={first['next']}"))
    assert second == {"lists": made[2:], "next": None}
