"""api.mobile: devices register and change. Sections: contract/mobile-sdk.md."""

import threading
import uuid
from typing import Any

import pytest
from django.db import connection

from devices import attributes
from devices.models import Address, Platform, Provider, Registration
from tests.api.apps import DEVICE, INSTANCES, STORED, App, assert_refused, token
from tests.factories import make_application, make_person, make_registration, make_token

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]


# ------------------------------------------------------------------- registering: 2.1


def test_a_registration_is_given_back_whole(app: App) -> None:
    answered = app.register()

    assert answered == {**STORED, "pushRegId": answered["pushRegId"]}
    assert app.call("GET", f"{INSTANCES}/{answered['pushRegId'].upper()}").json() == answered


def test_a_registration_is_stored_sortable_and_as_it_was_told(app: App) -> None:
    address = Address.objects.select_related("registration").get(
        public_id=app.register()["pushRegId"]
    )
    registration = address.registration

    assert registration.application == address.application == app.application
    assert registration.person is None
    assert registration.platform == Platform.ANDROID
    assert registration.app_version == (1 << 48 | 16 << 32 | 1)
    assert (address.app_version, address.os_version) == ("1.16.0", "14")
    assert registration.timezone_offset == 180
    assert registration.last_seen_day == address.last_contact_at.date()
    assert (address.provider, address.environment) == ("fcm", "production")


@pytest.mark.parametrize("flag", ["true", "1"])
def test_the_token_is_given_back_to_who_asks(app: App, flag: str) -> None:
    body = {**DEVICE, "pushServiceToken": token()}

    assert (
        app.post(f"{INSTANCES}?rt={flag}", body).json()["pushServiceToken"]
        == (body["pushServiceToken"])
    )
    assert "pushServiceToken" not in app.post(f"{INSTANCES}?rt=0", body).json()


def test_the_same_token_again_updates_the_same_registration(app: App) -> None:
    same = token()
    first = app.register(pushServiceToken=same)

    second = app.register(pushServiceToken=same, appVersion="2.0", customAttributes={"club": None})

    rest = {name: DEVICE["customAttributes"][name] for name in ("bootsize", "member", "since")}
    assert second == {**first, "appVersion": "2.0", "customAttributes": rest}
    assert Registration.objects.count() == 1


def test_one_token_in_two_applications_is_two_devices(app: App) -> None:
    same = token()

    assert (
        app.register(pushServiceToken=same)["pushRegId"]
        != App(make_application()).register(pushServiceToken=same)["pushRegId"]
    )


def test_registering_a_closed_token_opens_it(app: App) -> None:
    device = make_registration(app.application, enabled=False)
    Address.objects.update(closed_at="2024-01-01T00:00Z", closed_reason="uninstalled")

    app.register(pushServiceToken=device.address.token)

    device.refresh_from_db()
    device.address.refresh_from_db()
    assert device.enabled
    assert (device.address.closed_at, device.address.closed_reason) == (None, "")


def test_without_a_token_each_registration_is_a_new_device(app: App) -> None:
    body = {name: value for name, value in DEVICE.items() if name != "pushServiceType"}

    first, second = (app.post(INSTANCES, body).json()["pushRegId"] for _ in range(2))

    assert first != second
    assert set(Address.objects.values_list("token", "token_digest", "provider")) == {
        ("", None, "fcm")
    }


def test_ios_tokens_are_kept_in_lower_case(app: App) -> None:
    upper = make_token(Platform.IOS).upper()

    for spelling in (upper, upper.lower()):
        app.register(os="iOS", pushServiceType="APNS", pushServiceToken=spelling)

    assert list(Address.objects.values_list("token", "provider")) == [(upper.lower(), "apns")]


@pytest.mark.parametrize(
    ("agent", "os"),
    [
        ("Infobip Mobile API Client/13.1(Android;14)", "Android"),
        ("MobileMessaging/12.0(iOS)", "iOS"),
    ],
)
def test_a_device_that_hides_its_system_is_known_by_its_sdk(app: App, agent: str, os: str) -> None:
    answer = app.post(INSTANCES, {"sdkVersion": "1"}, **{"User-Agent": agent})

    assert answer.json()["os"] == os


def test_a_huawei_phone_stays_one_when_it_says_android(app: App) -> None:
    answered = app.register(pushServiceType="HMS", pushServiceToken="AQAAxyz")
    path = f"{INSTANCES}/{answered['pushRegId']}"

    app.call("PATCH", path, {"os": "Android", "osVersion": "13"})

    assert Registration.objects.get().platform == Platform.HUAWEI
    assert app.call("GET", path).json() == {**answered, "osVersion": "13"}


def test_harmony_5_and_older_phones_of_huawei_have_tokens_of_different_kinds(app: App) -> None:
    answered = app.register(os="HarmonyOS", pushServiceType="Harmony", pushServiceToken="MAMzLg")
    address = Address.objects.get()
    assert (answered["os"], answered["pushServiceType"]) == ("HarmonyOS", "Harmony")
    assert (address.provider, address.kind) == (Provider.HMS, Address.Kind.HARMONY)
    assert address.registration.platform == Platform.HUAWEI
    path = f"{INSTANCES}/{answered['pushRegId']}"

    app.call("PATCH", path, {"os": "HarmonyOS", "osVersion": "5.0.1"})

    assert app.call("GET", path).json() == {**answered, "osVersion": "5.0.1"}

    app.call("PATCH", path, {"pushServiceType": "HMS", "pushServiceToken": "AQAAxyz"})

    address.refresh_from_db()
    assert (address.token, address.kind) == ("AQAAxyz", Address.Kind.TOKEN)


def test_registering_takes_few_statements(app: App, django_assert_max_num_queries: Any) -> None:
    attributes._known[app.application.pk] = (float("inf"), {})
    app.register(customAttributes={})
    same = token()

    with django_assert_max_num_queries(2):  # nobody has the token; one for both rows
        app.register(pushServiceToken=same, customAttributes={})
    with django_assert_max_num_queries(1):  # both rows
        app.register(pushServiceToken=same, customAttributes={})


@pytest.mark.django_db(transaction=True)
def test_one_token_registered_many_times_at_once_is_one_device(app: App) -> None:
    same, together = token(), threading.Barrier(6)
    answers: list[Any] = []

    def phone() -> None:
        each = App(app.application)
        together.wait(timeout=30)
        answers.append(each.post(INSTANCES, {**DEVICE, "pushServiceToken": same}))
        connection.close()

    phones = [threading.Thread(target=phone) for _ in range(6)]
    for each in phones:
        each.start()
    for each in phones:
        each.join(timeout=60)

    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["pushRegId"] for answer in answers}) == 1
    assert Registration.objects.count() == 1


# ------------------------------------------------------------------- changing: 2.3


@pytest.mark.parametrize("override", [False, True])
def test_a_change_keeps_what_it_does_not_name(app: App, override: bool) -> None:
    answered = app.register()
    path = f"{INSTANCES}/{answered['pushRegId']}"
    body = {"language": "de_DE", "deviceName": None, "regEnabled": False}

    if override:
        answer = app.post(path, body, **{"X-HTTP-Method-Override": "PATCH"})
    else:
        answer = app.call("PATCH", path, body)

    assert (answer.status_code, answer.json()) == (200, {})
    del answered["deviceName"]
    assert app.call("GET", path).json() == {**answered, "language": "de-DE", "regEnabled": False}


def test_custom_attributes_are_merged(app: App) -> None:
    answered = app.register(customAttributes={"a": 1, "b": "x"})
    path = f"{INSTANCES}/{answered['pushRegId']}"

    app.call("PATCH", path, {"customAttributes": {"b": None, "c": [{"n": 1}]}})
    assert app.call("GET", path).json()["customAttributes"] == {"a": 1, "c": [{"n": 1}]}

    app.call("PATCH", path, {"customAttributes": None})
    assert "customAttributes" not in app.call("GET", path).json()


def test_a_token_moves_to_the_newest_registration(app: App) -> None:
    older, newer, moving = app.register(), app.register(), token()
    for each in (older, newer):
        path = f"{INSTANCES}/{each['pushRegId']}"
        assert app.call("PATCH", path, {"pushServiceToken": moving}).status_code == 200

    addresses = Address.objects.values_list("token", "closed_reason", "registration__enabled")
    assert addresses.get(public_id=newer["pushRegId"]) == (moving, "", True)
    assert addresses.get(public_id=older["pushRegId"]) == ("", "replaced", False)


def test_a_registration_of_another_application_is_not_found(app: App) -> None:
    stranger = App(make_application()).register()
    missing = (404, "NO_REGISTRATION", "Registration not found")

    for identifier in (stranger["pushRegId"], str(uuid.uuid4()), "shoe"):
        path = f"{INSTANCES}/{identifier}"
        assert_refused(app.call("GET", path), *missing)
        assert_refused(app.call("PATCH", path, {"regEnabled": False}), *missing)
    assert Registration.objects.get().enabled


def test_only_a_device_of_the_same_person_may_speak_for_another(app: App) -> None:
    person = make_person()
    mine, other = (make_registration(app.application, person=person) for _ in range(2))
    stranger = make_registration(app.application)
    path = f"{INSTANCES}/{other.address.public_id}"

    refused = app.call(
        "PATCH", path, {"isPrimary": True}, pushregistrationid=str(stranger.address.public_id)
    )
    assert_refused(refused, 404, "NO_REGISTRATION", "Registration not found")

    allowed = app.call(
        "PATCH", path, {"isPrimary": True}, pushregistrationid=str(mine.address.public_id)
    )
    assert allowed.status_code == 200
    assert list(Registration.objects.filter(primary=True)) == [other]


def test_a_person_has_one_primary_device(app: App) -> None:
    person = make_person()
    first, second = (make_registration(app.application, person=person) for _ in range(2))

    for device in (first, second):
        app.call("PATCH", f"{INSTANCES}/{device.address.public_id}", {"isPrimary": True})

    assert list(Registration.objects.filter(primary=True)) == [second]


def test_the_day_of_the_last_contact_moves_once_a_day(
    app: App, django_assert_num_queries: Any
) -> None:
    path = f"{INSTANCES}/{app.register()['pushRegId']}"
    Registration.objects.update(last_seen_day="2024-01-01")
    Address.objects.update(last_contact_at="2024-01-01T00:00Z")

    with django_assert_num_queries(1):
        app.call("PATCH", path, {})

    address = Address.objects.select_related("registration").get()
    assert address.last_contact_at.year > 2024
    assert address.registration.last_seen_day == address.last_contact_at.date()
