import json
from typing import Any

import pytest

from campaigns import counting, excluding, sampling
from campaigns.models import Reason, Segment
from campaigns.targeting import DEPTH
from devices.models import Application, AuditEntry, Platform
from tests.api.systems import System, make_key
from tests.factories import (
    make_application,
    make_campaign,
    make_registration,
    make_registrations,
)

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
        (b"[" * 100_000, "BAD_REQUEST", "nested at most 200 levels deep"),
        ({"rule": IOS}, "BAD_REQUEST", "name should be given"),
        ({"name": "", "rule": IOS}, "BAD_REQUEST", "name"),
        ({"name": "x", "rule": []}, "BAD_REQUEST", "rule should be object"),
        ({"name": "x", "rule": {"field": "colour"}}, "RULE", "no field 'colour'"),
        ({"name": "x", "rule": {"all": [{"any": 5}]}}, "RULE", "all[0].any: expected a list"),
        ({"name": "x", "rule": {"all": [IOS] * 10_000}}, "RULE", "at most 2,000"),
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
    body = {"name": "mine", "rule": IOS, "version": 1}
    answer(system.call("PUT", f"{PATH}/{other.pk}", body), 404)
    answer(system.call("DELETE", f"{PATH}/{other.pk}"), 404)
    answer(system.get(f"{PATH}/{10**30}"), 404)
    assert answer(system.get(PATH))["segments"] == []


def test_a_segment_is_changed_by_who_has_seen_its_version(system: System) -> None:
    made = answer(create(system))
    one = f"{PATH}/{made['id']}"
    android = {"field": "platform", "op": "is", "value": "Android"}
    body = {"name": "Androids", "rule": android, "version": made["version"]}

    changed = answer(system.call("PUT", one, body))

    assert changed["version"] == made["version"] + 1
    assert (changed["name"], changed["rule"]) == ("Androids", android)
    assert answer(system.get(one)) == changed
    late = answer(system.call("PUT", one, {**body, "name": "Late"}), 409)["error"]
    assert late["code"] == "CHANGED"
    assert answer(system.get(one)) == changed
    created, written = AuditEntry.objects.filter(object_type="segment").order_by("pk")
    assert created.actor_name.startswith("CRM")
    assert written.actor_name.startswith("CRM")
    assert (written.before, written.after) == (
        {"name": "iPhones", "rule": IOS}, {"name": "Androids", "rule": android},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "x", "rule": IOS}, 400, "BAD_REQUEST"),
        ({"name": "x", "rule": IOS, "version": "1"}, 400, "BAD_REQUEST"),
        ({"name": "x", "rule": {"field": "colour"}, "version": 1}, 400, "RULE"),
        ({"name": "Other", "rule": IOS, "version": 1}, 409, "NAME_TAKEN"),
        ({"name": "x", "rule": IOS, "version": 10**30}, 409, "CHANGED"),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    system: System, body: Any, status: int, code: str
) -> None:
    made = answer(create(system))
    answer(create(system, "Other"))
    one = f"{PATH}/{made['id']}"

    assert answer(system.call("PUT", one, body), status)["error"]["code"] == code
    assert answer(system.get(one)) == made


def test_a_segment_may_not_name_itself_through_another(system: System) -> None:
    made = answer(create(system))
    names = {"field": "segment", "op": "in", "value": made["id"]}
    other = answer(create(system, "Other", {"all": [names]}))
    back = {"field": "segment", "op": "in", "value": other["id"]}

    body = {"name": "iPhones", "rule": back, "version": 1}
    error = answer(system.call("PUT", f"{PATH}/{made['id']}", body), 400)["error"]

    assert error["code"] == "RULE"
    assert "refers to itself" in error["text"]


def test_a_segment_is_deleted_unless_it_is_in_use(system: System) -> None:
    made = answer(create(system))
    one = f"{PATH}/{made['id']}"
    campaign = make_campaign(
        application_of(system), name="Friday sale", segment=Segment.objects.get()
    )

    error = answer(system.call("DELETE", one), 409)["error"]
    assert error["code"] == "IN_USE"
    assert "Friday sale" in error["text"]

    campaign.delete()
    assert system.call("DELETE", one).status_code == 204
    answer(system.get(one), 404)
    answer(system.call("DELETE", one), 404)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=-1", "limit=²"])
def test_a_page_that_cannot_be_is_refused(system: System, query: str) -> None:
    assert answer(system.get(f"{PATH}?{query}"), 400)["error"]["code"] == "BAD_REQUEST"


def test_a_key_may_do_what_its_scopes_say() -> None:
    make_key(scopes=["segments:read"])
    system = System(make_application())
    assert answer(system.get(PATH))["segments"] == []
    answer(create(system), 403)
    for method in ("PUT", "DELETE"):
        answer(system.call(method, f"{PATH}/1"), 403)


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


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ({"all": [{"field": "colour", "value": 1}]}, "all[0].field"),
        ({"any": [{"field": "last_seen", "op": "within_days", "value": "many"}]}, "any[0].value"),
        ({"not": {"field": "birthday", "op": "is", "value": "2026-02-30"}}, "not.value"),
        ({"any": []}, "any"),
        ({"all": [IOS, {"not": {"all": []}}]}, "all[1].not.all"),
        ({"all": [{"all": []}] * 10_000}, "all[0].all"),
        ({"all": [IOS] * 10_000}, "all[1999]"),
    ],
)
def test_a_fault_of_a_rule_is_said_with_its_place(system: System, rule: Any, place: str) -> None:
    made = answer(create(system))
    error = answer(create(system, "Other", rule), 400)["error"]
    assert error["code"] == "RULE"
    assert error["text"].startswith(f"{place}: ")
    body = {"name": "iPhones", "rule": rule, "version": 1}
    changed = answer(system.call("PUT", f"{PATH}/{made['id']}", body), 400)["error"]
    assert changed == error
    assert Segment.objects.get().rule == IOS


@pytest.mark.parametrize("group", ["all", "not"])
def test_a_rule_nests_as_deep_as_it_is_documented(system: System, group: str) -> None:
    make_registration(application_of(system), platform=Platform.IOS)

    def nested(groups: int) -> Any:
        rule: Any = {**IOS, "op": "in", "value": ["iOS"]}
        for _ in range(groups):
            rule = {group: [rule] if group == "all" else rule}
        return rule

    made = answer(create(system, rule=nested(DEPTH)))
    assert made["rule"] == nested(DEPTH)
    assert answer(system.get(f"{PATH}/{made['id']}/count"))["total"] == 1
    deeper = answer(create(system, "Deeper", nested(DEPTH + 1)), 400)["error"]
    assert deeper["code"] == "RULE"
    place, _, problem = deeper["text"].partition(": ")
    assert (place.count(group), problem) == (DEPTH + 1, f"groups nest at most {DEPTH} deep.")


@pytest.mark.parametrize(
    ("begins", "ends", "place"),
    [
        ('{"not":', "}", "rule.not.not.not."),
        ('{"all":[', "]}", "rule.all.0.all.0."),
        ('{"any":[{"field":"known","value":true},', "]}", "rule.any.1.any.1."),
    ],
)
def test_a_rule_that_nests_a_thousand_deep_is_refused_with_its_place(
    system: System, begins: str, ends: str, place: str
) -> None:
    rule = begins * 1000 + json.dumps(IOS) + ends * 1000
    body = b'{"name":"[{,\\"","rule":' + rule.encode() + b"}"
    error = answer(system.call("POST", PATH, body), 400)["error"]
    assert error["code"] == "BAD_REQUEST"
    assert error["text"].startswith(place)
    assert error["text"].endswith("should be nested at most 200 levels deep")
    assert not Segment.objects.exists()


def test_a_segment_is_left_out_of_every_send_and_sent_to_again(system: System) -> None:
    device = make_registration(application_of(system), platform=Platform.IOS)
    body = {"name": "iPhones", "rule": IOS, "excludes": True}

    made = answer(system.call("POST", PATH, body))
    one = f"{PATH}/{made['id']}"

    assert made["excludes"] is True
    assert excluding.reasons(device.application, [device.pk]) == {device.pk: Reason.EXCLUDED}
    assert answer(system.call("DELETE", one), 409)["error"]["code"] == "IN_USE"
    renamed = answer(system.call("PUT", one, {"name": "Phones", "rule": IOS, "version": 1}))
    assert (renamed["name"], renamed["excludes"]) == ("Phones", True)  # nothing was said of it
    change = {"name": "Phones", "rule": IOS, "version": 2, "excludes": False}
    assert answer(system.call("PUT", one, change))["excludes"] is False
    assert not excluding.reasons(device.application, [device.pk])
    actions = AuditEntry.objects.filter(object_type="segment").values_list("action", flat=True)
    assert {"exclude segment", "include segment"} <= set(actions)


@pytest.mark.parametrize("said", ["yes", 1, []])
def test_whether_a_segment_is_left_out_is_true_or_false(system: System, said: Any) -> None:
    body = {"name": "iPhones", "rule": IOS, "excludes": said}
    assert (
        "excludes should be boolean"
        in answer(system.call("POST", PATH, body), 400)["error"]["text"]
    )
    assert not Segment.objects.exists()


def test_a_change_that_is_refused_leaves_nobody_out(system: System) -> None:
    made = answer(create(system))
    answer(create(system, "Other"))
    body = {"name": "Other", "rule": IOS, "version": 1, "excludes": True}
    answer(system.call("PUT", f"{PATH}/{made['id']}", body), 409)
    assert answer(system.get(f"{PATH}/{made['id']}"))["excludes"] is False


@pytest.mark.parametrize(
    "name", ["x'); DROP TABLE devices_person; --", "%s", "a__gt", "contains", "2026", '"', "\\"]
)
def test_an_attribute_may_have_any_name(system: System, name: str) -> None:
    application = application_of(system)
    make_registration(application, attributes={name: 5})
    make_registration(application, attributes={"other": 5})
    for number, op in enumerate(("is", "gte", "not_empty")):
        rule = {"field": f"attribute:{name}", "op": op, "value": 5}
        if op == "not_empty":
            del rule["value"]
        made = answer(create(system, str(number), rule))
        assert answer(system.get(f"{PATH}/{made['id']}/count?exactly=true"))["total"] == 1


def test_segments_come_page_by_page(system: System) -> None:
    made = [answer(create(system, name)) for name in ("A", "B", "C")]

    first = answer(system.get(f"{PATH}?limit=2"))
    assert first == {"segments": made[:2], "next": made[1]["id"]}
    second = answer(system.get(f"{PATH}?limit=2&after={first['next']}"))
    assert second == {"segments": made[2:], "next": None}


def test_a_count_has_every_platform(system: System) -> None:
    for platform in Platform:
        make_registration(application_of(system), platform=platform)
    made = answer(create(system, rule={"all": []}))

    assert answer(system.get(f"{PATH}/{made['id']}/count")) == {
        "total": 4,
        "exact": True,
        "byPlatform": {"Android": 1, "iOS": 1, "Huawei": 1, "Web": 1},
        "leftOut": [],
    }


def test_a_count_that_is_estimated_says_how_far_it_may_be_off(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = application_of(system)
    monkeypatch.setattr(sampling, "SIZE", 2400)
    monkeypatch.setattr(sampling, "LEAST", 4000)
    monkeypatch.setattr(counting, "PATIENCE", 60_000)  # on a machine that is busy testing
    make_registrations(application, 4000, platform=Platform.IOS)
    sampling.rebuild(application)
    made = answer(create(system))
    one = f"{PATH}/{made['id']}/count"

    told = answer(system.get(one))
    assert told == {
        "total": 4000,
        "exact": False,
        "byPlatform": {"iOS": 4000},
        "leftOut": [],
        "error": told["error"],
    }
    assert 0 < told["error"] < 400

    rare = answer(create(system, "Rare", {"field": "tag", "op": "has", "value": "rare"}))
    monkeypatch.setattr(counting, "_in_time", lambda *_: None)
    told = answer(system.get(f"{PATH}/{rare['id']}/count"))
    assert told == {
        "total": 0, "exact": False, "byPlatform": {}, "leftOut": [], "atMost": told["atMost"],
    }  # fmt: skip
    assert 0 < told["atMost"] < 400
