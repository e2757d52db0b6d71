"""Indexes on custom attributes: built and dropped by a task that may be killed at any moment."""

from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, connections

from devices import indexing, tasks
from devices.indexing import MOST, IndexRefusedError, State, name_of, progress
from devices.models import Application, AttributeDefinition, AuditEntry, Role
from tests.factories import make_application, make_person, make_registration, make_user

Type = AttributeDefinition.Type
HOSTILE = "x'); DROP TABLE devices_person; --%s\\"


@pytest.fixture
def shop() -> Application:
    return make_application(name="Shop")


def define(application: Application | None, name: str, type_: str) -> AttributeDefinition:
    scope = AttributeDefinition.Scope
    return AttributeDefinition.objects.create(
        scope=scope.DEVICE if application else scope.PERSON,
        application=application,
        name=name,
        type=type_,
    )


def want(definition: AttributeDefinition, shop: Application, *, indexed: bool = True) -> bool:
    user = make_user(Role.ADMINISTRATOR, shop)
    return indexing.switch(definition, user, indexed=indexed, application=shop)


def state(definition: AttributeDefinition) -> State:
    definition.refresh_from_db()
    return indexing.conditions([definition])[definition.pk].state


@pytest.fixture
def clean(transactional_db: None) -> Any:
    """Indexes outlive the rows of a test: drop them."""
    yield
    AttributeDefinition.objects.all().delete()
    indexing.fit()
    assert indexing._existing() == {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_statistic_ext")
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    ("type_", "value"), [(Type.NUMBER, 5), (Type.DATE, "2026-11-30"), (Type.TEXT, "x" * 4096)]
)
@pytest.mark.parametrize("of_device", [True, False])
def test_an_index_is_built_and_dropped(
    clean: None, shop: Application, type_: str, value: object, of_device: bool
) -> None:
    for attributes in ({HOSTILE: value}, {HOSTILE: [{"a": "y" * 4000}]}, {}, {HOSTILE: True}):
        make_registration(shop, attributes=attributes)
        make_person(attributes=attributes)
    definition = define(shop if of_device else None, HOSTILE, type_)
    assert state(definition) == State.NONE

    assert want(definition, shop)
    assert not want(definition, shop)  # said already
    assert state(definition) == State.WAITING
    assert indexing.fit() == 1
    assert state(definition) == State.READY
    assert indexing.fit() == 0  # started twice, without harm

    assert want(definition, shop, indexed=False)
    assert state(definition) == State.DROPPING
    assert indexing.fit() == 1
    assert state(definition) == State.NONE


@pytest.mark.parametrize(
    ("type_", "values", "condition"),
    [
        (Type.NUMBER, [10, 200], "(attributes -> 'a') > '100' AND {kind} = 'number'"),
        (
            Type.TEXT,
            ["free", "gold"],
            "left(attributes ->> 'a', 32) = 'gold' AND {kind} = 'string'",
        ),
    ],
)
def test_the_planner_knows_how_many_have_such_a_value(
    clean: None, shop: Application, type_: str, values: list[object], condition: str
) -> None:
    for number in range(400):
        make_registration(shop, attributes={"a": values[number % 2]})
    want(define(shop, "a", type_), shop)
    indexing.fit()

    asked = condition.format(kind="jsonb_typeof(attributes -> 'a')")
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN SELECT 1 FROM devices_registration WHERE {asked}")
        (plan,) = cursor.fetchone()
    rows = int(plan.partition("rows=")[2].split()[0])
    assert 150 < rows < 250


def test_what_another_type_has_can_still_be_kept(clean: None, shop: Application) -> None:
    for number, type_ in enumerate((Type.NUMBER, Type.DATE, Type.TEXT)):
        want(define(shop, f"a{number}", type_), shop)
    indexing.fit()
    long = {f"a{number}": "ä" * 4096 for number in range(3)}
    lists = {f"a{number}": [{"b": "y" * 4000}] for number in range(3)}

    assert make_registration(shop, attributes=long).pk
    assert make_registration(shop, attributes=lists).pk


def test_a_build_that_was_stopped_leaves_nothing_and_begins_again(
    clean: None, shop: Application
) -> None:
    """As a killed worker leaves it: an index that the database knows, and does not use."""
    make_registration(shop, attributes={"ltv": 5})
    definition = define(shop, "ltv", Type.NUMBER)
    want(definition, shop)
    indexing.fit()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
            [name_of(definition)],
        )
    assert state(definition) == State.WAITING

    assert indexing.fit() == 2  # dropped, and built

    assert state(definition) == State.READY


def test_indexes_of_deleted_applications_are_dropped(clean: None, shop: Application) -> None:
    definition = define(shop, "ltv", Type.NUMBER)
    want(definition, shop)
    indexing.fit()
    shop.delete()

    assert indexing.fit() == 1
    assert indexing._existing() == {}


def test_only_one_builds_at_a_time(clean: None, shop: Application) -> None:
    definition = define(shop, "ltv", Type.NUMBER)
    want(definition, shop)
    settings = connections["default"].get_connection_params()
    keep = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{key: settings[key] for key in keep if key in settings}) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [indexing.LOCK])
        tasks.fit_indexes()
        assert state(definition) == State.WAITING
        other.execute("SELECT pg_advisory_unlock(%s)", [indexing.LOCK])  # closing takes a while
    tasks.fit_indexes()
    assert state(definition) == State.READY


def test_a_build_that_fails_is_said_and_not_tried_for_ever(
    clean: None, shop: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_registration(shop, attributes={"ltv": 5})
    definition = define(shop, "ltv", Type.NUMBER)
    want(definition, shop)
    values = ("((attributes ->> {name})::int / 0)", "true")
    with monkeypatch.context() as patch:
        patch.setitem(indexing.VALUES, Type.NUMBER, values)
        assert indexing.fit() == 1
        assert indexing.fit() == 0
    definition.refresh_from_db()
    assert definition.index_fault
    assert indexing._existing() == {}

    assert want(definition, shop)  # said again, it is tried again
    indexing.fit()
    assert state(definition) == State.READY


def test_a_database_that_goes_away_is_no_fault_of_the_attribute(
    clean: None, shop: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = define(shop, "ltv", Type.NUMBER)
    want(definition, shop)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (own,) = cursor.fetchone()
    ended = f"SELECT pg_terminate_backend({own})"
    with monkeypatch.context() as patch:
        patch.setattr(indexing, "statement", lambda _: psycopg.sql.SQL(ended))
        with pytest.raises(OperationalError):
            indexing._build(name_of(definition), definition)
    connection.close()

    definition.refresh_from_db()
    assert definition.index_fault == ""
    assert indexing.fit() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("type_", [Type.BOOLEAN, Type.LIST])
def test_what_needs_no_index_gets_none(shop: Application, type_: str) -> None:
    with pytest.raises(IndexRefusedError, match="Only numbers"):
        want(define(shop, "x", type_), shop)


@pytest.mark.django_db
def test_an_application_has_only_so_many_indexes(shop: Application) -> None:
    for number in range(MOST):
        assert want(define(shop, f"a{number}", Type.NUMBER), shop)
    with pytest.raises(IndexRefusedError, match=f"At most {MOST}"):
        want(define(shop, "more", Type.NUMBER), shop)
    other = make_application()
    assert want(define(other, "a", Type.NUMBER), other)


@pytest.mark.django_db
def test_the_switch_is_written_down(shop: Application) -> None:
    definition = define(shop, "ltv", Type.NUMBER)
    want(definition, shop)
    want(definition, shop, indexed=False)

    built, dropped = AuditEntry.objects.filter(object_type="attributedefinition").order_by("pk")
    assert (built.action, built.before, built.after) == (
        "index attribute", {"indexed": False}, {"indexed": True},
    )  # fmt: skip
    assert (dropped.action, dropped.after) == ("unindex attribute", {"indexed": False})
    assert built.application == shop


@pytest.mark.parametrize(
    ("report", "share", "doing"),
    [
        (("initializing", 0, 0, 0, 0), 0.0, "beginning"),
        (("building index: scanning table", 50, 100, 0, 0), 0.2, "reading the table"),
        (("building index: loading tuples in tree", 0, 0, 1, 3), 0.5, "writing the index"),
        (("index validation: scanning table", 100, 100, 0, 0), 0.95, "checking the table"),
        (("waiting for old snapshots", 0, 0, 0, 0), 0.95, "waiting for older transactions"),
    ],
)
def test_progress_is_read_from_the_databases_report(
    report: tuple[Any, ...], share: float, doing: str
) -> None:
    found, said = progress(*report)
    assert found == pytest.approx(share)
    assert said == doing
