"""Measures of agreement, against values that others published or that follow by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.rating.agreement import MEASURES, agreement, level_counts

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section B: two observers, twelve units coded.
OBSERVERS = ([0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0])


def values(first: list[float], second: list[float], low: int = 0, high: int = 5) -> dict[str, float | None]:
    found = agreement(first, second, low, high, resamples=50)
    return {name: None if figure is None else figure.value for name, figure in found.items()}


def test_alpha_of_the_worked_example_of_its_inventor() -> None:
    assert values(*OBSERVERS, high=1)["alpha"] == pytest.approx(0.095, abs=5e-4)


def test_measures_of_scores_worked_by_hand() -> None:
    """Levels (0,0), (1,2), (2,2), (4,1): squared differences 0, 1, 0, 9; by chance the mean is 9 / 2 by all pairs."""
    found = values([0.2, 1.0, 2.4, 4.0], [0.0, 2.0, 2.0, 1.0])
    assert found["exact"] == 0.5
    assert found["within_one"] == 0.75
    observed = (0 + 1 + 0 + 9) / 4
    chance = np.mean([(a - b) ** 2 for a in (0, 1, 2, 4) for b in (0, 2, 2, 1)])
    assert found["weighted_kappa"] == pytest.approx(1 - observed / chance)
    assert found["pearson"] == pytest.approx(np.corrcoef([0.2, 1.0, 2.4, 4.0], [0, 2, 2, 1])[0, 1])


def test_raters_that_agree_wholly_have_one_everywhere() -> None:
    assert values([0, 2, 5, 3], [0, 2, 5, 3]) == dict.fromkeys(MEASURES, pytest.approx(1.0))


@pytest.mark.parametrize(
    ("first", "second", "undefined"),
    [
        pytest.param([], [], set(MEASURES), id="no document"),
        pytest.param([3, 3], [3, 3], {"pearson", "weighted_kappa", "alpha"}, id="both give one value"),
        pytest.param([3, 3, 3], [3, 2, 1], {"pearson", "weighted_kappa"}, id="one gives one value"),
    ],
)
def test_what_is_not_defined_is_null_and_never_a_number(
    first: list[float], second: list[float], undefined: set[str]
) -> None:
    assert {name for name, value in values(first, second).items() if value is None} == undefined


def test_two_series_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 and 3"):
        agreement([1, 2], [1, 2, 3], 0, 5)


def test_the_interval_covers_the_true_share_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for seed in range(60):
        first = random.integers(0, 6, 80)
        second = np.where(random.random(80) < 0.6, first, (first + 1) % 6)
        exact = agreement(first, second, 0, 5, resamples=100, seed=seed)["exact"]
        assert exact is not None
        covered += exact.low <= 0.6 <= exact.high
    assert covered >= 50, "of 60; at 95 % below 51 happens less than once in a hundred"


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30))
def test_who_comes_first_does_not_matter(scores: list[tuple[int, int]]) -> None:
    first, second = ([pair[side] for pair in scores] for side in (0, 1))
    one, other = values(first, second), values(second, first)
    assert one == {name: value if value is None else pytest.approx(value) for name, value in other.items()}


def test_levels_are_rounded_half_to_even_and_clipped() -> None:
    counts = level_counts([0.5, 1.5, 9.0], [2.5, -3.0, 5.0], 0, 5)
    assert {(row, column) for row, column in np.argwhere(counts).tolist()} == {(0, 2), (2, 0), (5, 5)}
