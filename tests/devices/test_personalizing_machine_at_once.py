"""Whatever several callers do at the same moment, in whatever order: the rules of people hold."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from campaigns import events
from devices import personalizing, registering
from devices.errors import DeviceError
from devices.models import (
    Address,
    Application,
    AuditEntry,
    Event,
    Identity,
    Person,
    Platform,
    Registration,
)
from devices.personalizing import Choice, Described, Identities
from devices.registering import Device
from tests.devices.test_personalizing_at_once import at_once
from tests.devices.test_personalizing_machine import (
    ANY,
    EMAILS,
    NAMES,
    PHONES,
    SYSTEM,
    TAGS,
    TOKENS,
    Rules,
)
from tests.factories import make_application

Keys: TypeAlias = frozenset[tuple[int, str]]
NOBODY: Keys = frozenset()


@dataclass(frozen=True)
class Call:
    """What one of the callers does, told before it is done."""

    step: Callable[[], object]
    adds: Keys = NOBODY  # identities that somebody has when it succeeds
    erases: int | None = None  # the key of a person
    replaces_phones: bool = False  # of whoever the device belongs to at that moment


@dataclass(frozen=True)
class Wish:
    """A call as it is drawn; whom it is about is known when its turn comes."""

    name: str
    number: int  # of the device or person among those there are
    external_id: str
    phones: tuple[str, ...]
    emails: tuple[str, ...]
    tags: tuple[str, ...]
    token: str
    choice: Choice


WISHES = st.builds(
    Wish,
    name=st.sampled_from(
        ["personalize", "personalize", "personalize", "depersonalize", "change_owner", "register",
         "patch", "delete_device", "erase", "tell"]
    ),
    number=ANY,
    external_id=NAMES | st.just(""),
    phones=st.lists(PHONES, max_size=2).map(tuple),
    emails=st.lists(EMAILS, max_size=1).map(tuple),
    tags=TAGS.map(tuple),
    token=TOKENS,
    choice=st.builds(Choice, force=st.booleans(), primary=st.booleans()),
)  # fmt: skip


def identities() -> Keys:
    return frozenset(Identity.objects.values_list("kind", "value"))


class PeopleAtOnce(Rules):
    """An application whose devices several callers change at the same moment."""

    def __init__(self) -> None:
        super().__init__()
        self.application = make_application()
        self.erased: set[int] = set()

    def teardown(self) -> None:
        for model in (Event, AuditEntry, Application, Person):
            model.objects.all().delete()

    @initialize(count=st.integers(1, 4))
    def some_devices(self, count: int) -> None:
        for _ in range(count):
            registering.register(self.application, Device(platform=Platform.ANDROID))

    @rule(wishes=st.lists(WISHES, min_size=2, max_size=6))
    def several_at_once(self, wishes: list[Wish]) -> None:
        self.happens([call for wish in wishes if (call := self.call(wish))])

    @rule(wish=WISHES, times=st.integers(2, 6))
    def the_same_at_once(self, wish: Wish, times: int) -> None:
        if call := self.call(wish):
            self.happens([call] * times)

    def happens(self, calls: Sequence[Call]) -> None:
        """Callers start together; each succeeds or is refused, and no identity is lost."""
        if not calls:
            return
        before = identities()
        erased = [call.erases for call in calls if call.erases is not None]
        others = Identity.objects.exclude(person__in=erased)
        kept = set(others.values_list("kind", "value"))
        results = at_once([call.step for call in calls])

        done = [
            call
            for call, result in zip(calls, results, strict=True)
            if not isinstance(result, Exception)
        ]
        for result in results:
            if isinstance(result, Exception):
                assert isinstance(result, DeviceError), repr(result)
        self.erased |= {call.erases for call in done if call.erases is not None}
        added = frozenset[tuple[int, str]]().union(*(call.adds for call in done))
        after = identities()
        assert after <= before | added
        if any(call.replaces_phones for call in calls):
            kept = {key for key in kept if key[0] != Identity.Kind.PHONE}
        assert after >= kept
        if not any(call.erases or call.replaces_phones for call in calls):
            assert after == before | added

    def call(self, wish: Wish) -> Call | None:
        if wish.name == "register":
            device = Device(platform=Platform.ANDROID, token=wish.token)
            return Call(partial(registering.register, self.application, device))
        if wish.name == "erase":
            people = list(Person.objects.order_by("pk").values_list("pk", flat=True))
            if not people:
                return None
            pk = people[wish.number % len(people)]
            return Call(partial(personalizing.erase, pk, SYSTEM), erases=pk)
        addresses = list(Address.objects.order_by("pk"))
        if not addresses:
            return None
        make: Callable[[Address, Wish], Call | None] = getattr(self, wish.name)
        return make(addresses[wish.number % len(addresses)], wish)

    def personalize(self, address: Address, wish: Wish) -> Call | None:
        wanted = Identities.of(external_id=wish.external_id, phones=wish.phones, emails=wish.emails)
        if not wanted:
            return None
        step = partial(
            personalizing.personalize, self.application, address.public_id, wanted, SYSTEM,
            described=Described(tags=list(wish.tags), adding=True), choice=wish.choice,
        )  # fmt: skip
        return Call(step, adds=frozenset(wanted.keys))

    def change_owner(self, address: Address, wish: Wish) -> Call:
        described = Described(phones=list(wish.phones), tags=list(wish.tags))
        step = partial(
            personalizing.change_owner, self.application, address.public_id, described, SYSTEM
        )
        keys = frozenset((int(Identity.Kind.PHONE), phone) for phone in wish.phones)
        return Call(step, adds=keys, replaces_phones=True)

    def depersonalize(self, address: Address, wish: Wish) -> Call:
        return Call(
            partial(personalizing.depersonalize, self.application, address.public_id, SYSTEM)
        )

    def patch(self, address: Address, wish: Wish) -> Call:
        device = Device(primary=wish.choice.primary, token=wish.token)
        return Call(partial(registering.refresh, self.application, address.public_id, device))

    def delete_device(self, address: Address, wish: Wish) -> Call:
        return Call(
            partial(personalizing.delete_device, self.application, address.public_id, SYSTEM)
        )

    def tell(self, address: Address, wish: Wish) -> Call:
        at = round(timezone.now().timestamp() * 1000)
        told = [[uuid.uuid4().hex, at, int(Event.Kind.CUSTOM), "bought", "{}"]]
        return Call(partial(events.write, [(address.pk, told)]))

    @invariant()
    def an_identity_belongs_to_one_person(self) -> None:
        assert Identity.objects.count() == len(identities())

    @invariant()
    def a_token_belongs_to_one_device(self) -> None:
        tokens = list(Address.objects.exclude(token="").values_list("token", flat=True))
        assert len(tokens) == len(set(tokens))
        assert Registration.objects.count() == Address.objects.count()

    @invariant()
    def nothing_is_left_of_whoever_was_erased(self) -> None:
        assert not Event.objects.filter(person__in=self.erased).exists()
        assert not Person.objects.filter(pk__in=self.erased).exists()
        trail = AuditEntry.objects.filter(object_type="person")
        gone = trail.filter(object_id__in=[str(pk) for pk in self.erased])
        assert not gone.exclude(before=None, after=None).exists()


@pytest.mark.django_db(transaction=True)
def test_the_rules_hold_whoever_calls_at_the_same_moment() -> None:
    run_state_machine_as_test(
        PeopleAtOnce,
        settings=settings(
            max_examples=12,
            stateful_step_count=10,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
