"""Infobip's operators, read as contract/push.md 3.2 decides."""

from collections.abc import Callable
from typing import Any

import pytest

from api.infobip.targeting import to_rule
from campaigns.errors import RuleError
from campaigns.targeting import Rule, to_q
from devices.models import Application, Platform, Registration
from devices.versions import pack_version
from tests.factories import (
    make_application,
    make_person,
    make_registration,
)

pytestmark = pytest.mark.django_db


def reached(application: Application, rule: Rule) -> set[int]:
    found = Registration.objects.filter(to_q(rule, application), application=application)
    return set(found.values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("leaf", "fits", "differs"),
    [
        ({"platform": "IOS"}, {"platform": Platform.IOS}, {"platform": Platform.ANDROID}),
        ({"platform": "android"}, {"platform": Platform.HUAWEI}, {"platform": Platform.WEB}),
        ({"deviceManufacturer": "Apple"}, {"manufacturer": "Apple"}, {"manufacturer": "apple"}),
        ({"deviceModel": "iPhone 6"}, {"model": "iPhone 6"}, {"model": "iPhone 6s"}),
        ({"osLanguage": "en_GB"}, {"language": "en-GB"}, {"language": "en"}),
        ({"deviceSecure": True}, {"secure": True}, {"secure": None}),
        ({"deviceSecure": False}, {"secure": False}, {"secure": True}),
        ({"notificationsEnabled": True}, {}, {"notifications_enabled": False}),
        ({"tags": "vip"}, {"person_tags": ["a", "vip"]}, {"person_tags": ["VIP"]}),
        ({"tier": 1}, {"attributes": {"tier": 1}}, {"attributes": {"tier": "1"}}),
        ({"on": True}, {"attributes": {"on": True}}, {"attributes": {"on": 1}}),
        ({"since": "2026-01-01"}, {"attributes": {"since": "2026-01-01"}}, {"attributes": {}}),
        ({"a__gt": "1"}, {"attributes": {"a__gt": "1"}}, {"attributes": {"a": "2"}}),
        (
            {"platform": "iOS", "osLanguage": "de"},
            {"platform": Platform.IOS, "language": "de"},
            {"platform": Platform.IOS, "language": "fr"},
        ),
    ],
)
def test_a_leaf_tells_devices_apart(
    leaf: dict[str, Any], fits: dict[str, Any], differs: dict[str, Any]
) -> None:
    application = make_application()
    yes = make_registration(application, **fits)
    make_registration(application, **differs)

    assert reached(application, to_rule(application, some=[leaf])) == {yes.pk}
    assert reached(application, to_rule(application, every=[leaf])) == {yes.pk}


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("applicationVersion", "app_version"),
        ("osVersion", "os_version"),
        ("sdkVersion", "sdk_version"),
    ],
)
def test_a_version_is_meant_as_it_is_written(name: str, column: str) -> None:
    application = make_application()
    devices = {}
    for text in ("4.10", "4.10.0", "build"):
        device = make_registration(application)
        setattr(device, column, pack_version(text))
        device.save()
        setattr(device.address, column, text)
        device.address.save()
        devices[text] = device.pk

    for text, pk in devices.items():
        assert reached(application, to_rule(application, some=[{name: text}])) == {pk}


@pytest.mark.parametrize(
    ("name", "value"),
    [("externalUserId", "u-1"), ("phoneNumber", "+441134960001"), ("email", "A@example.com")],
)
def test_a_person_is_reached_on_all_their_devices(name: str, value: str) -> None:
    application = make_application()
    person = make_person(external_id="u-1", phone="441134960001", email="a@example.com")
    owned = {make_registration(application, person=person).pk for _ in range(2)}
    make_registration(application)

    assert reached(application, to_rule(application, some=[{name: value}])) == owned


def test_a_registration_is_reached_by_its_id() -> None:
    application = make_application()
    device, _ = make_registration(application), make_registration(application)
    known = {"pushRegistrationId": str(device.address.public_id)}

    assert reached(application, to_rule(application, some=[known])) == {device.pk}
    assert reached(application, to_rule(application, some=[{"pushRegistrationId": "x"}])) == set()


IOS, DE, FR = {"platform": "iOS"}, {"osLanguage": "de"}, {"osLanguage": "fr"}
VIP, GOLD = {"tags": "vip"}, {"plan": "gold"}


@pytest.mark.parametrize(
    ("every", "some", "meant"),
    [
        # any leaf; all leaves
        ([], [DE, FR], lambda d: d["language"] in ("de", "fr")),
        ([IOS, DE], [], lambda d: d["ios"] and d["language"] == "de"),
        ([DE, FR], [], lambda d: False),
        # an attribute of both lists: alternatives of one condition
        ([IOS, DE], [FR], lambda d: d["ios"] and d["language"] in ("de", "fr")),
        ([DE, FR], [{"osLanguage": "en"}], lambda d: True),
        # no attribute in common: one of the others must hold
        ([IOS], [VIP, GOLD], lambda d: d["ios"] and (d["vip"] or d["gold"])),
        # both
        (
            [IOS, DE],
            [FR, VIP],
            lambda d: d["ios"] and d["language"] in ("de", "fr") and d["vip"],
        ),
        # an alternative of several members stands beside what it shares
        (
            [IOS, DE],
            [{**FR, **VIP}],
            lambda d: d["ios"] and (d["language"] == "de" or (d["language"] == "fr" and d["vip"])),
        ),
        (
            [DE, GOLD],
            [{**FR, **VIP, "plan": "free"}],
            lambda d: (
                (d["language"] == "de" and d["gold"])
                or (d["language"] == "fr" and d["vip"] and not d["gold"])
            ),
        ),
        ([VIP], [{**FR, **GOLD}], lambda d: d["vip"] and d["language"] == "fr" and d["gold"]),
    ],
)
def test_lists_combine_as_the_vendors_examples_want(
    every: list[Any], some: list[Any], meant: Callable[[dict[str, Any]], bool]
) -> None:
    application = make_application()
    expected = set()
    for ios in (True, False):
        for language in ("de", "fr", "en"):
            for vip in (True, False):
                for gold in (True, False):
                    device = make_registration(
                        application,
                        platform=Platform.IOS if ios else Platform.ANDROID,
                        language=language,
                        person_tags=["vip"] if vip else [],
                        attributes={"plan": "gold" if gold else "free"},
                    )
                    if meant({"ios": ios, "language": language, "vip": vip, "gold": gold}):
                        expected.add(device.pk)

    assert reached(application, to_rule(application, every=every, some=some)) == expected


@pytest.mark.parametrize(
    ("every", "some", "path"),
    [
        ([], [], "$and"),
        ([{}], [], "$and[0]"),
        (["iOS"], [], "$and[0]"),
        ([IOS, {"platform": "Symbian"}], [], "$and[1].platform"),
        ([], [{"deviceSecure": "yes"}], "$or[0].deviceSecure"),
        ([], [DE, {"plan": {"x": 1}}], "$or[1].plan"),
        ([], [{"plan": None}], "$or[0].plan"),
        ([], [{"osVersion": 17}], "$or[0].osVersion"),
        ([], [{"a\x00b": 1}], "$or[0].a\x00b"),
    ],
)
def test_a_fault_names_its_leaf(every: list[Any], some: list[Any], path: str) -> None:
    with pytest.raises(RuleError) as fault:
        to_rule(make_application(), every=every, some=some)
    assert fault.value.path == path


def test_an_attribute_nobody_has_hits_nobody() -> None:
    application = make_application()
    make_registration(application)

    assert reached(application, to_rule(application, some=[{"nobody's": "x"}])) == set()
