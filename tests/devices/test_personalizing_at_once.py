"""devices.personalizing: callers at the same moment lose nothing and break no rule."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from campaigns import events
from devices import personalizing, registering
from devices.errors import DeviceError, IdentityTakenError
from devices.models import Event, Identity, Person, Platform, Registration
from devices.personalizing import Choice, Described, Identities
from devices.registering import Device
from tests.devices.owners import ANNA, SYSTEM, known_by
from tests.factories import make_application, make_person, make_registration
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def personalize(
    device: Registration, *, tags: list[str] | None = None, choice: Choice | None = None,
    **identities: Any,
) -> Person:  # fmt: skip
    return personalizing.personalize(
        device.application,
        device.address.public_id,
        Identities.of(**identities),
        SYSTEM,
        described=Described(adding=True, tags=tags or []),
        choice=choice,
    )


def keeps_the_rules() -> None:
    """What must hold after whatever calls: see the constraints of devices.models.people."""
    identities = Identity.objects.values_list("kind", "value")
    assert max(Counter(identities).values(), default=1) == 1
    primary = Registration.objects.filter(primary=True, person__isnull=False)
    owners = Counter(primary.values_list("person_id", "application_id"))
    assert max(owners.values(), default=1) == 1
    for device in Registration.objects.select_related("person"):
        assert device.person_tags == (device.person.tags if device.person else [])
    assert not Person.objects.filter(identities=None, registrations=None).exists()


CALLERS = 20  # at once; each has a connection, and the tests of other processes need some, too


def at_once(steps: list[Callable[[], object]]) -> list[object]:
    """What each step returned or raised; callers start together and take turns at the steps."""
    callers = min(CALLERS, len(steps))
    together = threading.Barrier(callers)
    results: list[object] = [None] * len(steps)

    def run(first: int) -> None:
        together.wait(timeout=30)
        try:
            for number in range(first, len(steps), callers):
                try:
                    results[number] = steps[number]()
                except Exception as error:  # noqa: BLE001 (compared by the test)
                    results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[first]) for first in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


@pytest.mark.parametrize("devices", [1, 50])
def test_fifty_identical_calls_at_once_make_one_person(devices: int) -> None:
    application = make_application()
    registrations = [make_registration(application) for _ in range(devices)]
    primary = Choice(primary=True)

    results = at_once(
        [
            partial(personalize, registrations[number % devices], **ANNA, choice=primary)
            for number in range(50)
        ]
    )

    person = Person.objects.get()
    assert results == [person] * 50
    assert known_by(person) == ["anna", "79810000000", "anna@example.com"]
    assert Registration.objects.filter(person=person).count() == devices
    assert Registration.objects.filter(primary=True).count() == 1


def test_whoever_is_erased_waits_for_their_events_that_are_just_written() -> None:
    anna = make_person(external_id="anna")
    device = make_registration(make_application(), person=anna)
    at = round(timezone.now().timestamp() * 1000)
    told = [uuid.uuid4().hex, at, int(Event.Kind.CUSTOM), "bought", "{}"]
    raised: list[object] = []

    def erase() -> None:
        raised.extend(at_once([partial(personalizing.erase, anna.pk, SYSTEM)]))

    erasing = threading.Thread(target=erase)
    with transaction.atomic():
        events.write([(device.pk, [told])])
        erasing.start()
        eventually(lambda: bool(raised) or somebody_waits_for_a_lock())
    erasing.join(timeout=60)

    assert raised == [None]
    assert not Event.objects.exists()


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) > 0 FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE d.datname = current_database() AND NOT l.granted"
        )
        (waits,) = cursor.fetchone()
    return bool(waits)


def test_of_two_people_racing_for_one_phone_one_wins_and_nothing_is_lost() -> None:
    said = Described(phones=["79810000000"], middle_name="M")
    for _ in range(5):
        anna, boris = make_person(first_name="Anna"), make_person(first_name="Boris")

        results = at_once(
            [partial(personalizing.change, each.pk, said, SYSTEM) for each in (anna, boris)]
        )

        (lost,) = (each for each in results if isinstance(each, IdentityTakenError))
        (won,) = (each for each in results if isinstance(each, Person))
        assert lost.kind == Identity.Kind.PHONE
        assert Identity.objects.get().person == won
        assert set(Person.objects.values_list("first_name", "middle_name")) == {
            (each.first_name, "M" if each == won else "") for each in (anna, boris)
        }
        Person.objects.all().delete()


def test_an_anonymous_person_whose_devices_leave_at_once_is_deleted_once() -> None:
    application = make_application()
    anna = make_person(external_id="anna")
    for _ in range(5):
        left = make_person(tags=["Pizza"])
        devices = [
            make_registration(application, person=left, person_tags=["Pizza"]) for _ in range(4)
        ]

        results = at_once([partial(personalize, each, external_id="anna") for each in devices])

        assert results == [anna] * 4
        assert list(Person.objects.all()) == [anna]
        keeps_the_rules()


# ------------------------------------------------------------------- whatever calls, at once

IDENTITIES = st.fixed_dictionaries(
    {
        "external_id": st.sampled_from(["anna", "boris", ""]),
        "phones": st.lists(st.sampled_from(["11111", "22222"]), min_size=1, max_size=2),
    }
)
CHOICES = st.builds(Choice, force=st.booleans(), primary=st.booleans(), keep_as_lead=st.booleans())
TAGS = st.lists(st.sampled_from(["Pizza", "Sports"]), max_size=2)
DEVICES = st.integers(0, 3)
TOKENS = st.sampled_from(["token-1", "token-2"])
CALLS = st.one_of(
    st.tuples(st.just("personalize"), DEVICES, IDENTITIES, CHOICES, TAGS),
    st.tuples(st.just("personalize"), DEVICES, IDENTITIES, CHOICES, TAGS),
    st.tuples(st.just("depersonalize"), DEVICES),
    st.tuples(st.just("describe"), DEVICES, TAGS),
    st.tuples(st.just("patch"), DEVICES, st.booleans(), TOKENS),
    st.tuples(st.just("register"), TOKENS, st.booleans()),
    st.tuples(st.just("delete"), DEVICES),
    st.tuples(st.just("erase"), DEVICES),
)


def call(devices: list[Registration], call: tuple[Any, ...]) -> None:
    """Do what one caller asks; a refusal is an answer, too."""
    name, *told = call
    application = devices[0].application
    try:
        match name:
            case "register":
                token, primary = told
                registering.register(
                    application, Device(platform=Platform.ANDROID, token=token, primary=primary)
                )
            case "erase":
                owner = Registration.objects.filter(pk=devices[told[0]].pk).first()
                if owner is not None and owner.person_id is not None:
                    personalizing.erase(owner.person_id, SYSTEM)
            case _:
                _call_for(devices[told[0]], name, told[1:])
    except DeviceError:
        pass


def _call_for(device: Registration, name: str, told: list[Any]) -> None:
    application, identifier = device.application, device.address.public_id
    match name:
        case "personalize":
            identities, choice, tags = told
            personalize(device, choice=choice, tags=tags, **identities)
        case "depersonalize":
            personalizing.depersonalize(application, identifier, SYSTEM)
        case "describe":
            personalizing.change_owner(application, identifier, Described(tags=told[0]), SYSTEM)
        case "patch":
            primary, token = told
            registering.refresh(application, identifier, Device(primary=primary, token=token))
        case "delete":
            personalizing.delete_device(application, identifier, SYSTEM)


def test_whatever_is_called_at_once_keeps_the_rules() -> None:
    @settings(
        max_examples=25,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.lists(CALLS, min_size=3, max_size=6), min_size=4, max_size=4))
    def holds(programs: list[list[tuple[Any, ...]]]) -> None:
        Registration.objects.all().delete()
        Person.objects.all().delete()
        application = make_application()
        devices = [make_registration(application) for _ in range(4)]

        def run(program: list[tuple[Any, ...]]) -> None:
            for each in program:
                call(devices, each)

        results = at_once([partial(run, program) for program in programs])

        assert results == [None] * 4  # nothing but refusals, each an answer
        keeps_the_rules()

    holds()
