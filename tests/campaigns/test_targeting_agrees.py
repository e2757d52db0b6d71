"""The compiler against plain Python: random trees on random devices."""

import random
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from campaigns import ids, sampling
from campaigns.models import Bulk, ListMember, Message, SampledRegistration, Segment, StaticList
from campaigns.targeting import EVENT, FIELDS, OPERATORS, Rule, compiled
from devices import normalizing
from devices.models import Address, Application, Event, Identity, Person, Platform, Registration
from devices.versions import pack_version
from tests.campaigns import meaning
from tests.campaigns.meaning import Device, Done, Human, Meaning, Sent
from tests.factories import make_application, make_bulk, make_campaign

DEVICES = 240
EXAMPLES = 2000
NOW = datetime(2027, 2, 26, 22, 30, tzinfo=UTC)  # east of UTC it is tomorrow; February ends soon

WORDS = ["", "de", "de-AT", "en", "100%", "a_b", "ä\\'\"", "DE"]
VERSIONS = ["", "1.9", "1.10", "1.10.0", "2.0-beta", "2.0", "new"]
TAGS = ["x", "y", "vip", "{}", "a,b"]
DAYS = [NOW.date() + timedelta(days=days) for days in (-400, -31, -30, -8, -7, -1, 0, 1, 2, 7)]
BIRTHDAYS = [None, date(1990, 2, 26), date(1992, 2, 29), date(1980, 3, 1), date(2000, 12, 31)]
NUMBERS = [0, 1, -3, 2.5, 2**53 + 1, 1e22, 0.1]
ATTRIBUTES: list[Any] = [
    True, False, *NUMBERS[:-2], 0.1, "", "a", "b", "5", "true", "100%", "2026-99-99",
    *[day.isoformat() for day in DAYS], [], [{"sku": "a", "n": 1}, {"sku": "b"}], [{"n": 1.0}],
]  # fmt: skip
NAMES = [
    "k",
    "a__gt",
    "contains",
    "x'); DROP TABLE people; --",
    "%s",
    '"q"',
    "k.0",
    "ключ",
    "2026",
    "-1",
]
EVENTS = ["", "purchase", "a'b"]  # a session has no name
OFFSETS = [None, -720, -480, -330, 0, 60, 89, 90, 120, 345, 840]
ZONES = ["UTC", "Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles", "recipient"]


class World:
    """An application with devices of every kind, in the database and in plain Python."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.application = make_application()
        other = make_application()
        self.campaigns = [make_campaign(self.application) for _ in range(3)]
        self.bulks: list[Bulk] = [
            make_bulk(self.application, campaign=campaign, starts_at=NOW - timedelta(days=days))
            for campaign, days in zip([*self.campaigns[:2], None], (40, 3, 20), strict=True)
        ]  # the third campaign was never launched; the last bulk is an API's
        self.lists = [StaticList.objects.create(application=self.application, name=n) for n in "ab"]
        rules: list[Rule] = [
            {"field": "tag", "op": "has", "value": "x"},
            {"not": {"field": "known", "op": "is", "value": True}},
        ]
        self.segments = {self.segment(rule): rule for rule in rules}
        self.devices: dict[int, Device] = {}
        self.people: list[tuple[Person, Human]] = [self.person(n) for n in range(DEVICES // 3)]
        for _ in range(DEVICES):
            self.device(self.application)
        kept = dict(self.devices)
        for _ in range(10):
            self.device(other)
        self.devices = kept

    def segment(self, rule: Rule) -> int:
        name = str(self.random.random())
        return Segment.objects.create(application=self.application, name=name, rule=rule).pk

    def pick(self, values: list[Any]) -> Any:
        return self.random.choice(values)

    def attributes(self) -> dict[str, Any]:
        return {name: self.pick(ATTRIBUTES) for name in NAMES if self.random.random() < 0.5}

    def person(self, number: int) -> tuple[Person, Human]:
        human = Human(
            texts={name: self.pick(WORDS)[:5] for name in meaning.PERSON_TEXTS},
            gender=self.pick(["", "MALE", "FEMALE"]),
            birthday=self.pick(BIRTHDAYS),
            kind=self.pick(["LEAD", "CUSTOMER"]),
            attributes=self.attributes(),
            identities={},
        )
        person = Person.objects.create(
            **human.texts,
            gender=human.gender,
            birthday=human.birthday,
            kind=human.kind,
            attributes=human.attributes,
        )
        for kind, name, value in (
            (Identity.Kind.EXTERNAL_ID, "external_id", f"u{number}"),
            (Identity.Kind.PHONE, "phone", f"49151000{number:04}"),
            (Identity.Kind.EMAIL, "email", f"p{number}@example.com"),
        ):
            if self.random.random() < 0.6:
                Identity.objects.create(person=person, kind=kind, value=value)
                human.identities[name] = {value}
        if self.random.random() < 0.2:
            found = self.pick(self.lists)
            ListMember.objects.create(list=found, person=person)
            human.lists.add(found.pk)
        return person, human

    def device(self, application: Application) -> None:
        person, human = self.pick(self.people) if self.random.random() < 0.7 else (None, None)
        tags = self.random.sample(TAGS, self.random.randrange(3)) if person else []
        primary = person is not None and not Registration.objects.filter(
            person=person, application=application, primary=True
        ).exists()  # fmt: skip
        device = Device(
            platform=self.pick(list(Platform)),
            texts={name: self.pick(WORDS) for name in meaning.TEXTS},
            versions={name: self.pick(VERSIONS) for name in meaning.VERSIONS},
            flags={
                "primary": primary,
                "secure": self.pick([None, True, False]),
                "geofencing": self.pick([None, True, False]),
                "enabled": self.pick([True, True, False]),
                "notifications": self.pick([True, True, False]),
            },
            offset=self.pick(OFFSETS),
            created=NOW - timedelta(minutes=self.random.randrange(60_000)),
            last_seen=self.pick(DAYS[:8]),
            attributes=self.attributes(),
            registration_id=str(uuid.UUID(int=self.random.getrandbits(128))),
            tags=tags,
            person=human,
        )
        row = Registration.objects.create(
            application=application,
            person=person,
            platform=device.platform,
            **device.texts,
            **{name: pack_version(text) for name, text in device.versions.items()},
            primary=primary,
            secure=device.flags["secure"],
            geofencing=device.flags["geofencing"],
            enabled=bool(device.flags["enabled"]),
            notifications_enabled=bool(device.flags["notifications"]),
            timezone_offset=device.offset,
            created_at=device.created,
            last_seen_day=device.last_seen,
            attributes=device.attributes,
            person_tags=tags,
        )
        Address.objects.create(
            registration=row,
            application=application,
            public_id=device.registration_id,
            token=f"t{row.pk}",
            token_digest=normalizing.digest(f"t{row.pk}"),
            **device.versions,
        )
        self.devices[row.pk] = device
        if application == self.application:
            self.happen(row, device)

    def happen(self, row: Registration, device: Device) -> None:
        for bulk in self.bulks:
            if self.random.random() < 0.5:
                continue
            state = self.pick(list(Message.State))
            times: list[datetime | None] = [
                bulk.starts_at + timedelta(hours=self.random.randrange(900)) for _ in range(4)
            ]
            for number in (1, 2, 3):  # receipts get lost
                if self.random.random() < 0.3:
                    times[number] = None
            sent, delivered, seen, clicked = times
            assert sent is not None
            Message.objects.create(
                id=ids.message_id(bulk, row.pk),
                bulk=bulk,
                registration=row,
                platform=row.platform,
                state=state,
                sent_at=sent,
                delivered_at=delivered,
                seen_at=seen,
                clicked_at=clicked,
            )
            device.messages.append(Sent(bulk.campaign_id, state, sent, delivered, seen, clicked))
        for _ in range(self.random.randrange(4)):
            event = Done(self.pick(EVENTS), self.around_now(), self.attributes())
            kind = Event.Kind.CUSTOM if event.name else Event.Kind.SESSION
            Event.objects.create(
                id=uuid.uuid4(), at=event.at, application=row.application, registration=row,
                kind=kind, name=event.name, properties=event.properties,
            )  # fmt: skip
            device.events.append(event)
        if self.random.random() < 0.2:
            found = self.pick(self.lists)
            ListMember.objects.create(list=found, registration=row)
            device.lists.add(found.pk)

    def around_now(self) -> datetime:
        """Mostly in the past: clocks of devices may be ahead."""
        return NOW - timedelta(minutes=self.random.randrange(-600, 15_000))

    # ------------------------------------------------------------ rules about this world

    def rules(self) -> st.SearchStrategy[Rule]:
        return st.recursive(
            self.tests(),
            lambda inner: st.one_of(
                st.builds(lambda members: {"all": members}, st.lists(inner, max_size=4)),
                st.builds(lambda members: {"any": members}, st.lists(inner, max_size=4)),
                st.builds(lambda member: {"not": member}, inner),
            ),
            max_leaves=8,
        )

    def tests(self) -> st.SearchStrategy[Rule]:
        names = [
            *FIELDS,
            *[f"{kind}attribute:{name}" for kind in ("", "person_") for name in NAMES],
        ]

        @st.composite
        def test(draw: Callable[[Any], Any]) -> Rule:
            name = draw(st.sampled_from(names))
            kind = "event" if name.startswith(EVENT) else "attribute"
            kind = FIELDS[name].kind if name in FIELDS else kind
            op = draw(st.sampled_from(list(OPERATORS[kind])))
            rule: Rule = {"field": name, "op": op}
            value = draw(self.values(name, kind, op))
            if value is not None:
                rule["value"] = value
            if kind in ("day", "birthday", "attribute") and draw(st.booleans()):
                rule["zone"] = draw(st.sampled_from(ZONES))
            if kind == "event":
                rule |= draw(st.sampled_from([{}, {"times": 1}, {"times": 2}]))
                rule["where"] = draw(st.lists(self.properties(), max_size=2))
            if kind == "behaviour" and draw(st.booleans()):
                rule["campaign"] = draw(st.sampled_from(self.campaigns)).pk
            return rule

        return test()

    def values(self, name: str, kind: str, op: str) -> st.SearchStrategy[Any]:
        if op in ("empty", "not_empty", "ever", "never"):
            return st.none()
        if op.endswith("_days") or op == "anniversary_within":
            return st.sampled_from([0, 1, 3, 7, 8, 30, 31, 364, 365])
        if kind == "attribute":
            return self.attribute_values(op)
        values = self.plain_values(name, kind)
        if op == "between":
            order = sorted if kind in ("day", "birthday") else list
            return st.tuples(values, values).map(order)
        if op in ("in", "not_in", "has_any", "has_all") and kind not in ("list", "segment"):
            return st.lists(values, min_size=1, max_size=3)
        return values

    def plain_values(self, name: str, kind: str) -> st.SearchStrategy[Any]:
        identities = {"external_id": "u{}", "phone": "+49151000{:04}", "email": "P{}@example.COM"}
        if kind == "identity":
            return st.integers(0, 90).map(identities[name].format)
        of_choices = {
            "platform": ["iOS", "android", "Huawei", "Web"],
            "gender": ["MALE", "female"],
            "person_type": ["LEAD", "CUSTOMER"],
        }
        registrations = [device.registration_id for device in self.devices.values()][:9]
        days = [day.isoformat() for day in DAYS]
        of_kinds: dict[str, list[Any]] = {
            "flag": [True, False],
            "presence": [True, False],
            "list": [found.pk for found in self.lists],
            "segment": list(self.segments),
            "day": days,
            "birthday": [*days, "1990-02-26", "1992-02-29"],
            "number": [-720, 0, 60, 90, 840],
            "version": [text for text in VERSIONS if pack_version(text)],
            "tags": TAGS,
            "registration": [*registrations, "nobody"],
            "text": [*[word for word in WORDS if word], "e", "-", "%", "_", "\\"],
        }
        return st.sampled_from(of_choices[name] if kind == "choice" else of_kinds[kind])

    def properties(self) -> st.SearchStrategy[Rule]:
        @st.composite
        def condition(draw: Callable[[Any], Any]) -> Rule:
            op = draw(st.sampled_from(list(OPERATORS["property"])))
            found: Rule = {"property": draw(st.sampled_from(NAMES)), "op": op}
            if op not in ("empty", "not_empty"):
                found["value"] = draw(self.attribute_values(op))
            return found

        return condition()

    def attribute_values(self, op: str) -> st.SearchStrategy[Any]:
        scalars = st.sampled_from([each for each in ATTRIBUTES if not isinstance(each, list)])
        days = st.sampled_from([day.isoformat() for day in DAYS])
        numbers = st.sampled_from(NUMBERS[:5])
        if op == "has_item":
            return st.sampled_from([{"sku": "a"}, {"n": 1}, {"sku": "b", "n": 1}])
        if op in ("is", "is_not"):
            return scalars
        if op in ("in", "not_in"):
            return st.lists(scalars, min_size=1, max_size=3) | st.just(
                [each for each in ATTRIBUTES if not isinstance(each, list)]
            )
        if op == "between":
            return st.tuples(days, days).map(sorted) | st.tuples(numbers, numbers).map(list)
        if op in ("lt", "lte", "gt", "gte"):
            return days | numbers
        if op in ("before", "after", "on_or_before", "on_or_after"):
            return days
        return st.sampled_from(["a", "0", "%", "-", "2026", "tru"])


def ids_of(world: World, rule: Rule, *, sample: bool) -> set[int]:
    found = compiled(rule, world.application, now=NOW, sample=sample).condition
    table = SampledRegistration if sample else Registration
    rows = table.objects.filter(found, application=world.application)
    return set(rows.values_list("pk", flat=True))


def agree(*, sample: bool, examples: int) -> None:
    world = World(seed=1)
    if sample:
        sampling.rebuild(world.application)
        assert SampledRegistration.objects.count() == DEVICES
    judge = Meaning(NOW, world.segments)

    @hypothesis_settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(rule=world.rules())
    def check(rule: Rule) -> None:
        expected = {pk for pk, device in world.devices.items() if judge.holds(rule, device)}
        assert ids_of(world, rule, sample=sample) == expected

    check()


@pytest.mark.django_db
@pytest.mark.timeout(600)
def test_the_compiler_agrees_with_plain_python() -> None:
    agree(sample=False, examples=EXAMPLES)


@pytest.mark.django_db
@pytest.mark.timeout(600)
def test_the_sample_is_asked_the_same() -> None:
    agree(sample=True, examples=EXAMPLES // 10)
