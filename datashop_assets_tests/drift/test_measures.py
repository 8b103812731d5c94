"""Measures of drift: what they say of equal, of shifted and of few documents."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.drift.measures import increase, shift

COUNTS = st.lists(st.integers(0, 5000), min_size=3, max_size=3).filter(lambda counts: sum(counts) > 0)


def test_equal_distributions_are_not_apart() -> None:
    same = shift([100, 200, 300], [1000, 2000, 3000])
    assert same.index == pytest.approx(0, abs=1e-4)
    assert same.divergence == pytest.approx(0, abs=1e-4)
    assert not same.exceeds(0)


def test_a_known_shift_has_its_index() -> None:
    """Shares 0.5 and 0.5 against 0.8 and 0.2: 0.3 ln 1.6 - 0.3 ln 0.4."""
    assert shift([50_000, 50_000], [80_000, 20_000]).index == pytest.approx(0.3 * np.log(4), rel=1e-3)


def test_few_documents_are_far_apart_by_chance_and_so_do_not_exceed() -> None:
    few = shift([1000, 1000], [7, 3])
    assert few.index > 0.1
    assert not few.exceeds(0.1)
    assert shift([1000, 1000], [700, 300]).exceeds(0.1)


def test_of_equal_distributions_one_in_twenty_exceeds_chance() -> None:
    chance = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    draws = [
        shift(list(chance.multinomial(20_000, shares)), list(chance.multinomial(2_000, shares))) for _ in range(400)
    ]
    above = sum(draw.exceeds(0) for draw in draws) / len(draws)
    assert 0.02 < above < 0.09


@given(COUNTS, COUNTS)
def test_neither_side_is_the_right_one(reference: list[int], new: list[int]) -> None:
    forth, back = shift(reference, new), shift(new, reference)
    assert forth.index == pytest.approx(back.index)
    assert forth.divergence == pytest.approx(back.divergence)
    assert 0 <= forth.divergence <= 1


def test_nothing_is_apart_from_no_documents() -> None:
    with pytest.raises(ValueError, match="no documents"):
        shift([1, 2], [0, 0])


def test_an_increase_has_newcombes_interval() -> None:
    """His example of 56 of 70 against 48 of 80: 0.2, from 0.0524 to 0.3339."""
    found = increase((48, 80), (56, 70))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
