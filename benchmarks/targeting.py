"""Targeting: how soon a count is there while somebody types, how true it is, how fast an
audience is counted and handed out.

The baseline, in the same run: the same rules counted as Django would count them, by keywords
and joins.
"""

import argparse
import random
import time
import uuid
from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Q  # noqa: E402

from benchmarks import building  # noqa: E402
from benchmarks.results import Row, Table, report  # noqa: E402
from campaigns import audience, counting, sampling  # noqa: E402
from campaigns.audience import AudienceSize  # noqa: E402
from campaigns.targeting import EVERYBODY, Rule  # noqa: E402
from devices import indexing, registering  # noqa: E402
from devices.models import Address, Application, AttributeDefinition, Registration  # noqa: E402
from devices.registering import Device  # noqa: E402
from devices.versions import pack_version  # noqa: E402
from tests.campaigns.population import populate, vacuum  # noqa: E402
from tests.factories import make_application  # noqa: E402

IOS: Rule = {"field": "platform", "op": "is", "value": "iOS"}
GERMAN: Rule = {"field": "language", "op": "in", "value": ["de", "de-AT"]}
OLD: Rule = {"field": "app_version", "op": "lt", "value": "4.10"}
VIP: Rule = {"field": "tag", "op": "has", "value": "vip"}
NEWS: Rule = {"field": "tag", "op": "has", "value": "news"}
FREE: Rule = {"field": "attribute:plan", "op": "is", "value": "free"}
RICH: Rule = {"field": "attribute:ltv", "op": "gt", "value": 100}
BOUGHT: Rule = {"field": "attribute:bought", "op": "within_days", "value": 30}
LOYAL: Rule = {"field": "person_attribute:loyalty", "op": "gte", "value": 500}
MALE: Rule = {"field": "gender", "op": "is", "value": "MALE"}
IDS: Rule = {"field": "external_id", "op": "in", "value": [f"u-{n}" for n in range(1, 1001)]}
MAIL: Rule = {"field": "external_id", "op": "not_empty"}
NESTED: Rule = {"all": [{"any": [IOS, GERMAN]}, OLD, {"any": [BOUGHT, NEWS]}, {"not": VIP}]}

OLDER, VERSION = pack_version("4.10"), "app_version__lt"
BY_KEYWORDS = {
    "everybody": Q(),
    "platform": Q(platform=2),
    "platform, language, version": Q(
        platform=2, language__in=["de", "de-AT"], app_version__gt=0, app_version__lt=OLDER
    ),
    "tag": Q(person__tags__contains=["vip"]),
    "attribute": Q(attributes__plan="free"),
    "attribute range": Q(attributes__ltv__gt=100),
    "nested": (Q(platform=2) | Q(language__in=["de", "de-AT"]))
    & Q(app_version__gt=0, app_version__lt=OLDER)
    & (
        Q(attributes__bought__gte=(datetime.now(UTC).date() - timedelta(days=30)).isoformat())
        | Q(person__tags__contains=["news"])
    )
    & ~Q(person__tags__contains=["vip"]),
}
RULES: dict[str, Rule] = {
    "everybody": EVERYBODY,
    "platform": IOS,
    "platform, language, version": {"all": [IOS, GERMAN, OLD]},
    "tag": VIP,
    "attribute": FREE,
    "attribute range": RICH,
    "nested": NESTED,
    "all but": {"not": {"any": [IOS, FREE]}},
    "person": {"all": [MALE, LOYAL]},
    "1,000 external ids": IDS,
    "has an external id": MAIL,
}
TWENTY: Rule = {
    "all": [
        {"any": [IOS, GERMAN, {"field": "platform", "op": "in", "value": ["Huawei", "Web"]}]},
        OLD, {"not": VIP}, {"any": [BOUGHT, NEWS, RICH]}, {"not": {"all": [MALE, LOYAL]}},
        *[{"field": "app_version", "op": "is_not", "value": f"4.{minor}"} for minor in range(5)],
        *[{"field": "model", "op": "not_contains", "value": f"40{n}"} for n in range(5)],
    ]
}  # fmt: skip
FULL = 5_000_000  # devices, and two people to five of them
CONTACTS = 500
BLOCK = 100_000  # numbers of devices, of which each block holds those that match
INDEXED = {  # what an administrator would have indexed, and rules that ask it
    "ltv": (
        AttributeDefinition.Type.NUMBER,
        {"ltv > 100": RICH, "ltv 200 to 300": {**RICH, "op": "between", "value": [200, 300]}},
    ),
    "bought": (
        AttributeDefinition.Type.DATE,
        {"bought in the last 30 days": BOUGHT},
    ),
    "plan": (
        AttributeDefinition.Type.TEXT,
        {"plan starts with g": {**FREE, "op": "starts_with", "value": "g"}},
    ),
}
SYSTEM = ("everybody", "platform", "platform, language, version", "tag", "attribute")


class Dice:
    """Random rules about the population: tests of every kind, groups up to three deep."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def rule(self, depth: int = 3) -> Rule:
        if depth == 0 or self.random.random() < 0.35:
            return self.test()
        kind = self.random.choice(["all", "any", "not"])
        if kind == "not":
            return {"not": self.rule(depth - 1)}
        return {kind: [self.rule(depth - 1) for _ in range(self.random.randint(1, 3))]}

    def test(self) -> Rule:
        pick, number = self.random.choice, self.random.randint
        day = (date.today() - timedelta(days=number(1, 700))).isoformat()  # noqa: DTZ011
        tests: list[Callable[[], Rule]] = [
            lambda: {"field": "platform", "value": pick(["iOS", "Android", "Huawei", "Web"])},
            lambda: {"field": "language", "op": "starts_with", "value": pick(["e", "de", "f"])},
            lambda: {"field": "app_version", "op": "lt", "value": f"4.{number(1, 14)}"},
            lambda: {"field": "app_version", "op": "gte", "value": f"4.{number(1, 14)}"},
            lambda: {"field": "model", "op": "contains", "value": str(number(0, 9))},
            lambda: {"field": "manufacturer", "op": "not_in", "value": ["Apple", "Google"]},
            lambda: {"field": "created", "op": pick(["before", "after"]), "value": day,
                     "zone": pick(["UTC", "Europe/Berlin", "recipient"])},
            lambda: {"field": "last_seen", "op": "within_days", "value": number(0, 180)},
            lambda: {"field": "timezone", "op": "gt", "value": number(-480, 500)},
            lambda: {"field": "tag", "op": "has", "value": pick(["news", "vip", "staff"])},
            lambda: {"field": "attribute:plan", "value": pick(["free", "plus", "gold"])},
            lambda: {"field": "attribute:ltv", "op": "gt", "value": number(0, 300)},
            lambda: {"field": "attribute:ltv", "op": "lte", "value": number(0, 300)},
            lambda: {"field": "attribute:bought", "op": "within_days", "value": number(1, 300)},
            lambda: {"field": "gender", "value": pick(["MALE", "FEMALE"])},
            lambda: {"field": "birthday", "op": "anniversary_within", "value": number(0, 90)},
            lambda: {"field": "person_attribute:loyalty", "op": "gt", "value": number(0, 800)},
            lambda: {"field": "external_id", "op": pick(["not_empty", "empty"])},
        ]  # fmt: skip
        return pick(tests)()


def timed(call: Callable[[], Any], rounds: int = 3) -> float:
    """Milliseconds, the median of some."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1000)
    return median(took)


def named(application: Application) -> list[Row]:
    """The rules above: live, exactly, and as Django alone would."""
    rows, peers = [], []
    for name, rule in RULES.items():
        live = timed(lambda rule=rule: counting.live(application, rule))  # type: ignore[misc]
        counted = audience.of(application, rule)
        exact = timed(counted.count, 1 + (name in SYSTEM))
        note = f"exact {exact:,.0f} ms"
        if name in BY_KEYWORDS:
            devices = Registration.objects.filter(
                BY_KEYWORDS[name], application=application, enabled=True, notifications_enabled=True
            )
            peer = timed(devices.count, 1)
            assert devices.count() == counted.count(), name
            note += f", by keywords {peer:,.0f} ms: {peer / live:.1f} times the live count"
            peers.append((peer / live, peer / exact))
        rows.append(Row(f"live count: {name}", live, "ms", note, ceiling=100))
        if name in SYSTEM:
            shown = timed(lambda rule=rule: audience.size(application, rule))  # type: ignore[misc]
            note = f"by platform and reason; reachable ones alone {exact:,.0f} ms"
            rows.append(Row(f"exact count: {name}", shown, "ms", note, ceiling=1000))
    for number, what in enumerate(("live count", "exact count of who can be reached")):
        ratio = median(each[number] for each in peers)
        how = f"median of {len(peers)} rules"
        rows.append(Row(f"count by keywords / {what}", ratio, "x", how))
    return rows


def typed(application: Application, rules: Sequence[Rule]) -> tuple[list[Row], list[AudienceSize]]:
    """How soon the size of random rules is there while somebody types; and those sizes."""
    took, sizes = [], []
    for rule in rules:
        began = time.perf_counter()
        sizes.append(counting.live(application, rule))
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    estimates = sum(not size.exact for size in sizes)
    how = f"of {len(rules):,} random rules, {estimates:,} of them estimated"
    rows = [
        Row("live count, median", median(took), "ms", how, ceiling=100),
        Row("live count, 99th of 100", took[int(len(took) * 0.99)], "ms", how, ceiling=100),
        Row("live count, slowest", took[-1], "ms", how, ceiling=100),
    ]
    return rows, sizes


def truth(application: Application, sized: Sequence[tuple[Rule, AudienceSize]]) -> list[Row]:
    """How often the true size lies within the error that was stated."""
    held = 0
    for rule, size in sized:
        if size.exact:
            held += 1
            continue
        true = audience.of(application, rule).count()
        if size.at_most is not None:
            held += true <= size.at_most
        else:
            held += abs(true - size.total) <= size.error
    how = f"of {len(sized):,} random rules"
    return [Row("error bound holds", 100 * held / len(sized), "%", how, floor=95)]


def indexed(application: Application) -> list[Row]:
    """Exact counts, reasons of not being reachable included, before and after an index."""
    before = {
        name: timed(lambda rule=rule: audience.size(application, rule), 1)  # type: ignore[misc]
        for _, rules in INDEXED.values()
        for name, rule in rules.items()
    }
    for name, (type_, _) in INDEXED.items():
        AttributeDefinition.objects.update_or_create(
            scope=AttributeDefinition.Scope.DEVICE,
            application=application,
            name=name,
            defaults={"type": type_, "indexed": True},
        )
    began = time.perf_counter()
    built = indexing.fit()
    took = (time.perf_counter() - began) / built
    rows = [Row("index of an attribute, built beside everything", took, "s", f"of {built}")]
    for _, rules in INDEXED.values():
        for name, rule in rules.items():
            exact = timed(lambda rule=rule: audience.size(application, rule))  # type: ignore[misc]
            note = f"{before[name]:,.0f} ms without: {before[name] / exact:.1f} times"
            rows.append(Row(f"exact count: {name}, indexed", exact, "ms", note, ceiling=1000))
    return rows


def contacts(application: Application) -> Row:
    """Phones that say hello write into no index, so that counts stay as fast as they are."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO devices_address (registration_id, application_id, public_id, provider,"
            " kind, environment, token, closed_reason, closed_answer, app_version, os_version,"
            " sdk_version, device_name) SELECT id, application_id, gen_random_uuid(), '', 'token',"
            " 'production', '', '', '', '', '', '', '' FROM devices_registration"
            " WHERE application_id = %s ORDER BY id LIMIT %s",
            [application.pk, CONTACTS],
        )
    before = _updates()
    for public_id in Address.objects.filter(application=application).values_list(
        "public_id", flat=True
    ):
        registering.refresh(application, public_id, Device())
    every, hot = (now - then for now, then in zip(_updates(), before, strict=True))
    share = 100 * hot / every if every else 100.0
    return Row("contacts that touch no index", share, "%", f"of {every:,} updated rows", floor=90)


def _updates() -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT sum(n_tup_upd)::bigint, sum(n_tup_hot_upd)::bigint FROM pg_stat_user_tables"
            " WHERE relname IN ('devices_registration', 'devices_address')"
        )
        found: tuple[int, int] = cursor.fetchone()
    return found


def ids_out(application: Application) -> list[Row]:
    """Ids of a platform's devices: in blocks of eight bytes each, and a row for each."""
    sql, parameters = audience.of(application, IOS).values("pk").query.sql_with_params()
    blocks = (
        f"SELECT string_agg(int8send(id), ''::bytea) FROM ({sql}) found (id) GROUP BY id / {BLOCK}"
    )

    def packed() -> int:
        ids = array("q")
        for block in _copied(blocks, parameters, "bytea"):
            ids.frombytes(block)
        ids.byteswap()
        return len(ids)

    count = packed()
    row_by_row = timed(lambda: sum(1 for _ in _copied(sql, parameters, "int8")))
    rate, each = count * 1000 / timed(packed), count * 1000 / row_by_row
    note = f"{count:,} ids; a row for each {each:,.0f}"
    return [Row("ids out", rate, "ids/s", note, floor=500_000)]


def _copied(sql: str, parameters: Any, kind: str) -> Iterator[Any]:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY ({sql}) TO STDOUT (FORMAT BINARY)", parameters) as copy,
    ):
        copy.set_types([kind])
        for (value,) in copy.rows():
            yield value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=500_000)
    parser.add_argument(
        "--full",
        action="store_const",
        const=FULL,
        dest="devices",
        help="5,000,000 devices and 2,000,000 people: ten minutes, 10 GB",
    )
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--truths", type=int, default=1000, help="rules that are counted exactly")
    parser.add_argument("--rounds", type=int, default=40, help="of each action of the builder")
    options = parser.parse_args()
    settings.ALLOWED_HOSTS = ["*"]  # its pages are asked in this process
    application = make_application(name=f"bench {uuid.uuid4()}")
    populate(application, options.devices)
    vacuum()
    began = time.perf_counter()
    sampling.rebuild(application)
    drawn = time.perf_counter() - began
    user = User.objects.create_superuser(f"bench-{uuid.uuid4()}", password=str(uuid.uuid4()))
    dice = Dice(1)
    rules = [dice.rule() for _ in range(options.rules)]
    live, sizes = typed(application, rules)
    rows = [
        Row("drawing the sample", drawn, "s"),
        *named(application),
        *live,
        *ids_out(application),
        contacts(application),
        *building.rows(application, TWENTY, user, options.rounds),
        *indexed(application),
    ]
    print("· exact counts of the random rules, which takes longest", flush=True)
    rows += truth(application, list(zip(rules, sizes, strict=True))[: options.truths])
    size = "--full" if options.devices == FULL else f"--devices {options.devices}"
    how = f"manage.py bench targeting {size} --rules {options.rules} --truths {options.truths}"
    report(Table("targeting", f"Rules on {options.devices:,} devices", how, rows))


if __name__ == "__main__":
    main()
