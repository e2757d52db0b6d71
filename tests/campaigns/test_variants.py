"""campaigns.variants: who gets which variant is a rule, not a draw."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import fanout, variants
from campaigns.models import Chunk, Reason
from campaigns.variants import PLACES, Split
from devices.models import Platform
from tests.factories import make_application, make_bulk, make_registrations


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """Up to eight variants, and perhaps a holdout."""
    cuts = draw(st.lists(st.integers(1, 99), min_size=1, max_size=8, unique=True).map(sorted))
    sizes = [end - start for start, end in zip([0, *cuts], [*cuts, 100], strict=True)]
    if draw(st.booleans()) or len(sizes) > variants.MOST:
        return Split(tuple(sizes[:-1]), sizes[-1])
    return Split(tuple(sizes), 0)


@given(splits())
def test_the_places_of_a_split_are_its_percentages_to_the_unit(split: Split) -> None:
    ends = split.ends

    assert split.adds_up
    sizes = [end - start for start, end in zip([0, *ends], [*ends, PLACES], strict=False)]
    wanted = [*split.shares, split.holdout]
    assert all(
        abs(size - PLACES * share / 100) < 1 for size, share in zip(sizes, wanted, strict=True)
    )


@given(splits(), st.integers(1, 2**31), st.integers(1, 2**62))
def test_a_device_keeps_its_variant(split: Split, seed: int, registration: int) -> None:
    first = variants.variant_of(split, seed=seed, registration=registration)

    assert first == variants.variant_of(split, seed=seed, registration=registration)
    assert first is None or 0 <= first < len(split.shares)
    assert first is not None or split.holdout


@given(st.integers(1, 8), st.integers(0, 50))
def test_an_even_split_differs_by_one_percent_at_most(count: int, holdout: int) -> None:
    split = variants.evenly(count, holdout)

    assert split.adds_up
    assert max(split.shares) - min(split.shares) <= 1


@given(splits())
def test_a_split_is_kept_as_it_is(split: Split) -> None:
    assert variants.split_of(split.as_json()) == split


@pytest.mark.parametrize("shares", [(50, 50), (20, 30, 40), (5,) * 8])
def test_shares_come_out_as_asked(shares: tuple[int, ...]) -> None:
    """Of 20,000 devices each share is met within five standard deviations."""
    split = Split(shares, 100 - sum(shares))

    found = Counter(
        variants.variant_of(split, seed=7, registration=key) for key in range(1, 20_001)
    )

    for number, share in enumerate(shares):
        expected = 200 * share
        assert abs(found[number] - expected) < 5 * (expected * (1 - share / 100)) ** 0.5


def test_two_campaigns_divide_the_same_devices_differently() -> None:
    split = Split((50, 50))

    def drawn(seed: int) -> list[int | None]:
        return [variants.variant_of(split, seed=seed, registration=key) for key in range(200)]

    assert drawn(1) != drawn(2)


@pytest.mark.django_db
def test_the_database_divides_an_audience_as_python_does() -> None:
    application = make_application()
    make_registrations(application, 60)
    make_registrations(application, 60, platform=Platform.IOS)
    make_registrations(application, 5, notifications_enabled=False)
    split = Split((30, 20, 10), holdout=40)
    bulk = make_bulk(application, split=split.as_json())

    sent_to = fanout.freeze(bulk)

    bulk.refresh_from_db()
    assert sent_to == bulk.audience
    assert bulk.audience + bulk.left_out == 125
    seen = 0
    for chunk in Chunk.objects.filter(bulk=bulk):
        for key in chunk.recipients:
            seen += 1
            wanted = variants.variant_of(split, seed=bulk.pk, registration=key)
            if chunk.reason == Reason.NOTIFICATIONS_OFF:
                assert chunk.variant == 0
            elif wanted is None:
                assert (chunk.status, chunk.reason) == (Chunk.Status.LEFT_OUT, Reason.HELD_OUT)
            else:
                assert (chunk.variant, chunk.reason) == (wanted, Reason.NONE)
    assert seen == 125


@pytest.mark.django_db
def test_a_bulk_without_variants_is_cut_as_ever() -> None:
    application = make_application()
    make_registrations(application, 7)
    bulk = make_bulk(application)

    assert fanout.freeze(bulk) == 7
    assert list(bulk.chunks.values_list("variant", "size")) == [(0, 7)]
