"""devices.versions: versions as numbers that sort, the same in Python and in the database."""

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devices.versions import pack_version, unpack_version

ORDERED = [
    "nothing",
    "0.0.1",
    "0.9",
    "1.0-alpha",
    "1.0",
    "1.9.9",
    "1.10",
    "1.16.0-SNAPSHOT",
    "1.16.0",
    "1.16.0.1",
    "1.16.1b2",
    "1.16.1",
    "2",
    "10.0.0",
    "2024.11.30",
]
parts = st.lists(st.integers(0, 32_767), min_size=1, max_size=4)
postgres_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
near_versions = st.text("0123456789.-_ vVabZ+(\n\t\v\x1c\x85\xa0\u2003²٣é", max_size=20)


def test_versions_sort_as_people_read_them() -> None:
    assert sorted(ORDERED, key=pack_version) == ORDERED
    assert len(set(map(pack_version, ORDERED))) == len(ORDERED)


@pytest.mark.parametrize(
    "same", [("1", "1.0", "1.0.0.0"), ("v2.1", " 2.1", "V2.1.0"), ("1.2.3.4", "1.2.3.4.5")]
)
def test_spellings_of_one_version_are_equal(same: tuple[str, ...]) -> None:
    assert len(set(map(pack_version, same))) == 1


@pytest.mark.parametrize("text", ["", "-", "beta", "v", ".1", "²"])
def test_what_has_no_number_in_front_is_no_version(text: str) -> None:
    assert pack_version(text) == 0


@given(parts, parts)
def test_versions_sort_part_by_part(one: list[int], two: list[int]) -> None:
    padded = [[*each, 0, 0, 0, 0][:4] for each in (one, two)]
    packed = [pack_version(".".join(map(str, each))) for each in (one, two)]

    assert (packed[0] < packed[1]) == (padded[0] < padded[1])
    assert (packed[0] == packed[1]) == (padded[0] == padded[1])


@given(parts, st.sampled_from(["-SNAPSHOT", "-rc.1", "b1", " beta", ".dev3"]))
def test_a_prerelease_comes_right_before_its_release(numbers: list[int], suffix: str) -> None:
    release = ".".join(map(str, numbers))

    assert pack_version(release + suffix) == pack_version(release) - 1


@given(postgres_text | near_versions | st.integers(min_value=0).map(str))
def test_a_packed_version_fits_a_bigint(text: str) -> None:
    assert 0 <= pack_version(text) < 2**63


@given(parts, st.booleans())
def test_a_label_packs_to_the_same_number(numbers: list[int], release: bool) -> None:
    packed = pack_version(".".join(map(str, numbers)) + ("" if release else "-pre"))

    assert pack_version(unpack_version(packed)) == packed


@pytest.mark.django_db
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([f"{chr(each)}1.2" for each in range(1, 0x3001) if chr(each).isspace()])
@given(st.lists(postgres_text | near_versions | parts.map(lambda p: ".".join(map(str, p)))))
def test_the_database_packs_as_python_does(texts: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pack_version(t) FROM unnest(%s::text[]) t", [texts])
        assert [row[0] for row in cursor.fetchall()] == list(map(pack_version, texts))
