"""api.mobile_events: what an app tells of its use. Sections: contract/mobile-sdk.md 3.6."""

import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Count

from campaigns import events, partitions
from campaigns.store import store
from devices.models import Event, Registration
from tests.api.apps import INSTANCES, App, assert_refused
from tests.factories import make_application, make_person, make_registration

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh")]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon(time_machine: Any) -> None:
    time_machine.move_to(NOW, tick=False)


class Phone:
    """A registered app that tells of its use."""

    def __init__(self, app: App, **given: Any) -> None:
        self.app = app
        self.device = make_registration(app.application, **given)
        self.id = str(self.device.address.public_id)

    def session(self, body: Any = None) -> Any:
        return self.app.post(f"{INSTANCES}/{self.id}/user/events/session", body)

    def custom(self, *told: Any, query: str = "?validate=false", **headers: str) -> Any:
        path = f"{INSTANCES}/{self.id}/user/events/custom{query}"
        return self.app.post(path, {"events": list(told)}, **headers)


@pytest.fixture
def phone(app: App) -> Phone:
    return Phone(app)


def kept() -> list[tuple[datetime, int, str, Any]]:
    events.consume(seconds=5)
    return list(Event.objects.order_by("at", "id").values_list("at", "kind", "name", "properties"))


BOUGHT: dict[str, Any] = {
    "definitionId": "bought",
    "date": "2026-03-01T10:00:00Z",
    "properties": {"price": 9.5, "items": 3, "gift": False, "sku": "a-7"},
}
BOUGHT_AT = NOW - timedelta(hours=2)

# ------------------------------------------------------------------- custom events


def test_custom_events_are_kept_as_they_are_told(phone: Phone) -> None:
    person = make_person(external_id="jdoe")
    Registration.objects.update(person=person)

    answer = phone.custom(BOUGHT, {"definitionId": "looked"})

    assert (answer.status_code, answer.json()) == (200, {})
    assert kept() == [
        (BOUGHT_AT, Event.Kind.CUSTOM, "bought", BOUGHT["properties"]),
        (NOW, Event.Kind.CUSTOM, "looked", {}),
    ]
    for event in Event.objects.all():
        assert (event.application_id, event.registration_id) == (
            phone.app.application.pk,
            phone.device.pk,
        )
        assert event.person_id == person.pk


def test_without_definitions_every_event_is_valid(phone: Phone) -> None:
    assert phone.custom(BOUGHT, query="?validate=true").json() == {}

    assert len(kept()) == 1


@pytest.mark.parametrize("zone", ["Z", "+00:00", "+0000", ".000Z"])
def test_dates_come_in_every_spelling_of_utc(phone: Phone, zone: str) -> None:
    phone.custom({**BOUGHT, "date": f"2026-03-01T10:00:00{zone}"})

    assert [at for at, *_ in kept()] == [BOUGHT_AT]


def test_an_offset_is_reckoned_with(phone: Phone) -> None:
    phone.custom({**BOUGHT, "date": "2026-03-01T13:00:00+03:00"})

    assert [at for at, *_ in kept()] == [BOUGHT_AT]


def test_telling_again_adds_nothing_but_twice_in_a_call_is_twice(phone: Phone) -> None:
    for _ in range(3):
        phone.custom(BOUGHT, BOUGHT, {**BOUGHT, "properties": {"price": 1}})
    phone.custom(BOUGHT)

    assert len(kept()) == 3
    phone.custom(BOUGHT, BOUGHT)
    assert len(kept()) == 3


def test_a_clock_that_is_ahead_says_now_and_what_is_too_old_is_left_out(phone: Phone) -> None:
    for date in ("2030-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z"):
        phone.custom({"definitionId": date, "date": date})

    assert [(at, name) for at, _, name, _ in kept()] == [
        (datetime(2026, 2, 2, tzinfo=UTC), "2026-02-02T00:00:00Z"),
        (NOW, "2030-01-01T00:00:00Z"),
    ]


def test_a_call_is_one_entry_of_the_stream(phone: Phone, django_assert_num_queries: Any) -> None:
    phone.custom(BOUGHT)
    store().delete(events.STREAM)

    with django_assert_num_queries(1):
        phone.custom(*[{**BOUGHT, "definitionId": f"e{number}"} for number in range(500)])

    assert store().xlen(events.STREAM) == 1
    assert len(kept()) == 500
    assert store().xlen(events.STREAM) == 0


def test_while_the_store_is_away_events_go_straight_to_the_database(
    phone: Phone, settings: Any
) -> None:
    settings.STORE_URL = "unix:///nowhere/store.sock"

    assert phone.custom(BOUGHT).status_code == 200

    assert Event.objects.count() == 1


def test_events_of_a_device_that_is_gone_are_left_out(phone: Phone) -> None:
    phone.custom(BOUGHT)
    phone.device.delete()

    assert kept() == []
    assert store().xlen(events.STREAM) == 0


def test_a_device_of_another_application_is_not_found(app: App) -> None:
    stranger = Phone(App(make_application()))
    missing = (404, "NO_REGISTRATION", "Registration not found")

    for identifier in (stranger.id, str(uuid.uuid4()), "shoe"):
        base = f"{INSTANCES}/{identifier}/user/events"
        assert_refused(app.post(f"{base}/custom", {"events": [BOUGHT]}), *missing)
        assert_refused(app.post(f"{base}/session", {}), *missing)
    assert kept() == []


def test_only_a_device_of_the_same_person_may_tell_for_another(app: App, phone: Phone) -> None:
    stranger = str(make_registration(app.application).address.public_id)
    refused = phone.custom(BOUGHT, pushregistrationid=stranger)
    assert_refused(refused, 404, "NO_REGISTRATION", "Registration not found")

    person = make_person()
    Registration.objects.update(person=person)

    assert phone.custom(BOUGHT, pushregistrationid=stranger).status_code == 200
    assert phone.custom(BOUGHT, pushregistrationid=phone.id).status_code == 200
    assert len(kept()) == 1


DATE = "date-time such as 2024-01-01T10:00:00Z"


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (b"1", "events.0 should be object"),
        (b"{}", "events.0.definitionId should be given"),
        (b'{"definitionId":""}', "events.0.definitionId should be a string that is not empty"),
        (
            b'{"definitionId":"%s"}' % (b"x" * 256),
            "events.0.definitionId should be string of at most 255 characters",
        ),
        (
            b'{"definitionId":"a\\u0000"}',
            "events.0.definitionId should be a string without NUL",
        ),
        (b'{"definitionId":"a","date":1}', f"events.0.date should be {DATE}"),
        (b'{"definitionId":"a","date":"2026-03-01"}', f"events.0.date should be {DATE}"),
        (b'{"definitionId":"a","date":"2026-03-01T10:00:00"}', f"events.0.date should be {DATE}"),
        (b'{"definitionId":"a","date":"2026-02-30T10:00:00Z"}', f"events.0.date should be {DATE}"),
        (
            b'{"definitionId":"a","date":"0001-01-01T00:00:00+14:00"}',
            f"events.0.date should be {DATE}",
        ),
        (b'{"definitionId":"a","properties":[]}', "events.0.properties should be object"),
        (
            b'{"definitionId":"a","properties":{"a\\u0000":1}}',
            "events.0.properties should be object without NUL",
        ),
        (
            b'{"definitionId":"a","properties":{"a":-1e999}}',
            "events.0.properties should be object with finite numbers",
        ),
        (
            b'{"properties":{"a":%s' % (b"[" * 100_000),
            "events.0.properties.a.0.0.0",
        ),
        (b'{"definitionId":"\xff"}', "Request body should be valid JSON"),
    ],
)
def test_an_event_of_a_wrong_form_names_the_member(phone: Phone, told: bytes, text: str) -> None:
    path = f"{INSTANCES}/{phone.id}/user/events/custom"

    answer = phone.app.post(path, b'{"events":[%s]}' % told)

    refusal = answer.json()["requestError"]["serviceException"]
    assert (answer.status_code, refusal["messageId"]) == (400, "REQUEST_FORMAT_INVALID")
    assert refusal["text"].startswith(text)
    assert kept() == []


def test_a_call_has_at_most_500_events(phone: Phone) -> None:
    text = "events should be array of at most 500 members"

    assert_refused(phone.custom(*[BOUGHT] * 501), 400, "REQUEST_FORMAT_INVALID", text)


# ------------------------------------------------------------------- sessions


def test_a_session_is_one_row_that_learns_its_end(phone: Phone) -> None:
    start, other = "2026-03-01T10:00:00Z", "2026-03-01T11:00:00+0000"
    assert phone.session({"sessionStarts": [start]}).json() == {}
    assert kept() == [(BOUGHT_AT, Event.Kind.SESSION, "", {})]

    bounds = {start: "2026-03-01T10:05:30Z"}
    for _ in range(2):
        phone.session({"sessionStarts": [start, other], "sessionBounds": bounds})
    phone.session({"sessionStarts": [start]})

    assert kept() == [
        (BOUGHT_AT, Event.Kind.SESSION, "", {"seconds": 330}),
        (BOUGHT_AT + timedelta(hours=1), Event.Kind.SESSION, "", {}),
    ]


def test_start_and_end_may_come_in_one_batch(phone: Phone) -> None:
    start = "2026-03-01T10:00:00Z"
    phone.session({"sessionStarts": [start]})
    phone.session({"sessionBounds": {start: "2026-03-01T09:00:00Z"}})

    assert kept() == [(BOUGHT_AT, Event.Kind.SESSION, "", {"seconds": 0})]


def test_a_session_without_a_body_says_that_the_device_is_alive(phone: Phone) -> None:
    Registration.objects.update(last_seen_day="2024-01-01")

    assert phone.session(b"{}").json() == {}

    assert Registration.objects.get().last_seen_day == NOW.date()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"sessionStarts": "x"}, "sessionStarts should be array"),
        ({"sessionStarts": [1]}, f"sessionStarts.0 should be {DATE}"),
        ({"sessionBounds": []}, "sessionBounds should be object"),
        ({"sessionBounds": {"2026-03-01T10:00:00Z": None}}, f"sessionBounds should be {DATE}"),
        ({"sessionBounds": {"soon": "later"}}, f"sessionBounds should be {DATE}"),
        ({"systemData": {"osVersion": 14}}, "systemData.osVersion should be string"),
    ],
)
def test_a_session_of_a_wrong_form_names_the_member(phone: Phone, body: Any, text: str) -> None:
    assert_refused(phone.session(body), 400, "REQUEST_FORMAT_INVALID", text)
    assert kept() == []


# ------------------------------------------------------------------- counting and keeping


def test_who_did_something_how_often_within_days_can_be_counted(app: App) -> None:
    often, once, long_ago, other = (Phone(app) for _ in range(4))
    for hours in (1, 2, 3):
        date = (NOW - timedelta(hours=hours)).isoformat()
        often.custom({**BOUGHT, "date": date})
        long_ago.custom({**BOUGHT, "date": (NOW - timedelta(days=20 + hours)).isoformat()})
        other.custom({**BOUGHT, "date": date, "properties": {"sku": "b-1"}})
    once.custom(BOUGHT)
    kept()

    did = Event.objects.filter(
        application=app.application,
        kind=Event.Kind.CUSTOM,
        name="bought",
        at__gte=NOW - timedelta(days=7),
        properties__contains={"sku": "a-7"},
        properties__price__gt=9,
    )
    counted = did.values("registration").annotate(times=Count("pk"))

    assert {each["registration"]: each["times"] for each in counted} == {
        often.device.pk: 3,
        once.device.pk: 1,
    }


def test_events_lie_in_the_partition_of_their_day_until_it_is_dropped(
    phone: Phone, settings: Any, time_machine: Any
) -> None:
    phone.custom(BOUGHT)
    kept()
    made = partitions.EVENTS.make_ahead()
    assert {"devices_event_20260301", "devices_event_20260129"} <= set(made)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM devices_event")
        assert [name for (name,) in cursor.fetchall()] == ["devices_event_20260301"]

    settings.EVENT_RETENTION_DAYS = 60
    time_machine.move_to(NOW + timedelta(days=61))
    partitions.keep_days_of_events()

    assert not Event.objects.exists()
    assert "devices_event_20260301" not in partitions.EVENTS.existing()


@pytest.mark.django_db(transaction=True)
def test_many_at_once_tell_the_same_and_it_is_kept_once(app: App) -> None:
    phone, together = Phone(app), threading.Barrier(4)
    told = [
        events.Told(kind=Event.Kind.CUSTOM, name=f"e{number}", at=NOW - timedelta(minutes=number))
        for number in range(200)
    ]
    packed = events._packed(phone.device.pk, told)
    written: list[int] = []

    def write(turn: int) -> None:
        together.wait(timeout=30)
        written.append(events.write([(phone.device.pk, packed[turn:] + packed[:turn])]))
        connection.close()

    writers = [threading.Thread(target=write, args=(50 * turn,)) for turn in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(timeout=60)

    assert written == [200] * 4
    assert Event.objects.count() == 200
