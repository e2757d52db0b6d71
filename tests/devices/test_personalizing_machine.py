"""Whatever the order of calls, devices, people and identities belong together as they must."""

from collections import Counter
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from devices import personalizing, registering
from devices.audit import Author
from devices.errors import (
    AlreadyPersonalizedError,
    IdentityTakenError,
    NothingToUndoError,
    SeveralPeopleError,
    UnknownPersonError,
    UnknownRegistrationError,
)
from devices.models import AuditEntry, Identity, Person, Platform, Registration
from devices.personalizing import Choice, Described, Identities
from devices.personalizing.undoing import MOVES
from devices.registering import Device
from tests.factories import make_application

pytestmark = pytest.mark.django_db

SYSTEM = Author("system")
TOKENS = st.sampled_from(["token-1", "token-2", "token-3", ""])
NAMES = st.sampled_from(["anna", "boris", "chloe"])
PHONES = st.sampled_from(["11111", "22222", "33333"])
EMAILS = st.sampled_from(["a@example.com", "b@example.com"])
TAGS = st.lists(st.sampled_from(["Pizza", "Sports"]), max_size=2)
ANY = st.integers(min_value=0, max_value=99)


class Rules(RuleBasedStateMachine):
    """What holds of devices and people whenever nobody changes them."""

    @invariant()
    def a_person_has_one_primary_device_per_application(self) -> None:
        primary = Registration.objects.filter(primary=True, person__isnull=False)
        counted = Counter(primary.values_list("person_id", "application_id"))
        assert set(counted.values()) <= {1}

    @invariant()
    def devices_hold_the_tags_of_their_person(self) -> None:
        for device in Registration.objects.select_related("person"):
            assert device.person_tags == (device.person.tags if device.person else [])

    @invariant()
    def an_anonymous_person_has_a_device(self) -> None:
        assert not Person.objects.filter(identities=None, registrations=None).exists()


class People(Rules):
    """Two applications, whose devices come, change hands and go."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.applications = [make_application(), make_application()]
        self.seen: set[tuple[int, str]] = set()  # identities that somebody got
        self.gone: set[tuple[int, str]] = set()  # and that were taken away on purpose

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def device(self, number: int) -> Registration | None:
        devices = list(Registration.objects.select_related("address").order_by("pk"))
        return devices[number % len(devices)] if devices else None

    def person(self, number: int) -> Person | None:
        people = list(Person.objects.order_by("pk"))
        return people[number % len(people)] if people else None

    @rule(application=st.integers(0, 1), token=TOKENS, primary=st.booleans())
    def register(self, application: int, token: str, primary: bool) -> None:
        registering.register(
            self.applications[application],
            Device(platform=Platform.ANDROID, token=token, primary=primary),
        )

    @rule(number=ANY, primary=st.booleans(), token=TOKENS)
    def patch(self, number: int, primary: bool, token: str) -> None:
        if device := self.device(number):
            registering.refresh(
                device.application, device.address.public_id, Device(primary=primary, token=token)
            )

    @rule(
        number=ANY,
        external_id=NAMES | st.just(""),
        phones=st.lists(PHONES, max_size=2),
        emails=st.lists(EMAILS, max_size=1),
        tags=TAGS,
        choice=st.builds(
            Choice, force=st.booleans(), primary=st.booleans(), keep_as_lead=st.booleans()
        ),
    )
    def personalize(
        self, number: int, external_id: str, phones: list[str], emails: list[str], tags: list[str],
        choice: Choice,
    ) -> None:  # fmt: skip
        device = self.device(number)
        identities = Identities.of(external_id=external_id, phones=phones, emails=emails)
        if device is None or not identities:
            return
        before = self.everything()
        try:
            person = personalizing.personalize(
                device.application, device.address.public_id, identities, SYSTEM,
                described=Described(tags=tags, adding=True), choice=choice,
            )  # fmt: skip
        except (AlreadyPersonalizedError, SeveralPeopleError, IdentityTakenError):
            assert self.everything() == before
            return
        assert Registration.objects.get(pk=device.pk).person == person
        assert set(person.identities.values_list("kind", "value")) >= identities.keys
        assert set(tags) <= set(person.tags)
        self.seen |= identities.keys
        self.gone -= identities.keys

    @rule(number=ANY)
    def depersonalize(self, number: int) -> None:
        if device := self.device(number):
            personalizing.depersonalize(device.application, device.address.public_id, SYSTEM)
            device.refresh_from_db()
            assert device.person is None or not device.person.identities.exists()

    @rule(number=ANY)
    def undo(self, number: int) -> None:
        if device := self.device(number):
            moves = AuditEntry.objects.filter(
                object_type="registration", object_id=str(device.pk), action__in=MOVES
            )
            entry = moves.order_by("-pk").first()
            if entry is None:
                return
            possible = personalizing.can_undo(entry, device)
            try:
                personalizing.undo(device.application, device.address.public_id, entry, SYSTEM)
            except NothingToUndoError:
                assert not possible
                return
            assert possible

    @rule(number=ANY, phones=st.lists(PHONES, max_size=2), tags=TAGS)
    def change_owner(self, number: int, phones: list[str], tags: list[str]) -> None:
        if device := self.device(number):
            owned = Identity.objects.filter(kind=Identity.Kind.PHONE, person=device.person_id or 0)
            mine = set(owned.values_list("kind", "value"))
            try:
                personalizing.change_owner(
                    device.application, device.address.public_id,
                    Described(phones=phones, tags=tags), SYSTEM,
                )  # fmt: skip
            except IdentityTakenError:
                return
            new: set[tuple[int, str]] = {(int(Identity.Kind.PHONE), each) for each in phones}
            self.gone = (self.gone | mine) - new
            self.seen |= new

    @rule(number=ANY)
    def erase(self, number: int) -> None:
        if person := self.person(number):
            self.gone |= set(person.identities.values_list("kind", "value"))
            personalizing.erase(person.pk, SYSTEM)
            with pytest.raises(UnknownPersonError):
                personalizing.erase(person.pk, SYSTEM)

    @rule(number=ANY)
    def delete_device(self, number: int) -> None:
        if device := self.device(number):
            identifier = device.address.public_id
            personalizing.delete_device(device.application, identifier, SYSTEM)
            with pytest.raises(UnknownRegistrationError):
                personalizing.delete_device(device.application, identifier, SYSTEM)

    def everything(self) -> tuple[Any, ...]:
        return (
            list(Registration.objects.order_by("pk").values()),
            list(Person.objects.order_by("pk").values()),
            list(Identity.objects.order_by("pk").values()),
        )

    @invariant()
    def no_identity_is_lost_or_shared(self) -> None:
        identities = list(Identity.objects.values_list("kind", "value"))
        assert len(identities) == len(set(identities))
        assert set(identities) == self.seen - self.gone


def test_the_rules_hold_in_whatever_order() -> None:
    run_state_machine_as_test(
        People,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
