"""What holds of an import whatever stands in the file, and whatever was known before."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from devices import import_batches, importing
from devices.models import Application, ImportRun, Person, Registration
from tests.factories import make_application

pytestmark = pytest.mark.django_db
HEADER = "platform,token,registration id,external id,phone,e-mail,first name,tags,language,plan,n"
_worlds = itertools.count(1000)  # of as many digits


@dataclass(frozen=True)
class Said:
    """A row; numbers name what belongs to one world alone."""

    platform: str
    token: str
    device: int
    external_id: int
    phone: int
    email: int
    rest: tuple[str, ...]

    def text(self, world: int) -> str:
        return ",".join([
            self.platform,
            self.token,
            str(UUID(int=world * 1000 + self.device)) if self.device else "",
            f"{world}-u-{self.external_id}" if self.external_id else "",
            f"+{world}7000000{self.phone}" if self.phone else "",
            f"{world}-{self.email}@example.com" if self.email else "",
            *self.rest,
        ])  # fmt: skip


rows = st.builds(
    Said,
    platform=st.sampled_from(["Android", "Android", "Android", "Huawei", "Symbian"]),
    token=st.sampled_from(["", *(f"t-{n}" for n in range(6))]),
    device=st.integers(0, 4),
    external_id=st.integers(0, 3),
    phone=st.integers(0, 3),
    email=st.integers(0, 2),
    rest=st.tuples(
        st.sampled_from(["", "", "Ana", "Ben"]),
        st.sampled_from(["", "", "vip", "new|vip", "new"]),
        st.sampled_from(["", "de", "fr"]),
        st.sampled_from(["", "gold", "free"]),
        st.sampled_from(["", "1", "2.5", "many"]),
    ),
)
files = st.lists(rows, max_size=10)
# Of two names of one person the last counts: each time, one changes the other.
agreeing = files.map(
    lambda file: [replace(row, rest=(row.rest[0] and "Ana", *row.rest[1:])) for row in file]
)
several = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def taken(application: Application, world: int, said: Iterable[Said]) -> ImportRun:
    text = "\n".join([HEADER, *(row.text(world) for row in said)])
    run = importing.receive(application, None, "devices.csv", [text.encode()])
    finished = importing.run_upload(run.pk)
    assert finished is not None
    assert finished.status == ImportRun.Status.DONE, finished.error
    return finished


def in_small_batches(size: int) -> Any:
    return mock.patch.object(import_batches, "BATCH", size)


def known(person: Person | None, world: int) -> Any:
    """A person without its key and its world."""
    if person is None:
        return None
    names = sorted(person.identities.values_list("kind", "value"))
    told = [(kind, re.sub(rf"^{world}-?", "", value)) for kind, value in names]
    return told, person.first_name, person.kind, person.tags, person.attributes


def picture(application: Application, world: int) -> Any:
    """Everything an import may write, without keys and times."""
    devices = []
    for each in application.registrations.select_related("address", "person"):
        number, token = each.address.public_id.int - world * 1000, each.address.token
        devices.append((
            token, number if 0 < number < 1000 else None, each.address.provider, each.platform,
            each.language, each.attributes, each.person_tags, each.enabled, each.primary,
            known(each.person, world),
        ))  # fmt: skip
        assert each.person is None or each.person_tags == each.person.tags
    alone = Person.objects.filter(identities__value__startswith=f"{world}", registrations=None)
    return sorted(devices, key=str), sorted((known(each, world) for each in alone), key=str)


def places() -> list[Any]:
    """Where the rows lie: any UPDATE moves one."""
    found = []
    with connection.cursor() as cursor:
        for table in ("registration", "address", "person", "identity"):
            cursor.execute(f"SELECT tableoid, ctid FROM devices_{table}")
            found += cursor.fetchall()
    return sorted(found)


@several
@given(before=files, file=files, cut=st.integers(0, 10), size=st.integers(1, 10))
def test_it_makes_no_difference_where_a_file_is_parted(
    before: list[Said], file: list[Said], cut: int, size: int
) -> None:
    whole, parted = next(_worlds), next(_worlds)
    first, second = make_application(), make_application()
    taken(first, whole, before)
    taken(second, parted, before)
    Registration.objects.filter(address__token__in=["t-1", "t-2"], person=None).update(primary=True)

    run = taken(first, whole, file)
    # A device may stand in one file once, but in each of two.
    assume(not run.refusals.filter(reason__contains="stands in line").exists())
    with in_small_batches(size):
        parts = [taken(second, parted, part) for part in (file[:cut], file[cut:])]

    assert picture(first, whole) == picture(second, parted)
    for name in ("rows", "created", "updated", "refused"):
        assert getattr(run, name) == sum(getattr(part, name) for part in parts), name


@several
@given(before=files, file=agreeing, size=st.integers(1, 10))
def test_rows_that_were_taken_change_nothing_when_they_come_again(
    before: list[Said], file: list[Said], size: int
) -> None:
    world, application = next(_worlds), make_application()
    taken(application, world, before)
    with in_small_batches(size):
        run = taken(application, world, file)
        refused = set(run.refusals.values_list("line", flat=True))
        kept = [row for line, row in enumerate(file, 2) if line not in refused]
        lying = places()
        again = taken(application, world, kept)

    assert (again.created, again.updated) == (0, 0)
    assert (again.rows, again.refused) == (len(kept), 0)
    assert places() == lying


@several
@given(before=files, file=files)
def test_every_row_is_taken_or_refused(before: list[Said], file: list[Said]) -> None:
    world, application = next(_worlds), make_application()
    taken(application, world, before)
    devices = application.registrations.count()
    run = taken(application, world, file)

    same = run.rows - run.created - run.updated - run.refused
    assert (run.rows, run.refusals.count()) == (len(file), run.refused)
    assert same >= 0
    assert application.registrations.count() == devices + run.created
