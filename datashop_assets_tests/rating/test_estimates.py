"""Intervals against published values and against what they promise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.rating.estimates import mean_interval, share


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        pytest.param(81, 263, 0.2553, 0.3662, id="many"),
        pytest.param(15, 148, 0.0624, 0.1605, id="few successes"),
        pytest.param(0, 20, 0.0, 0.1611, id="none of twenty"),
        pytest.param(1, 29, 0.0061, 0.1718, id="one"),
    ],
)
def test_shares_have_the_published_wilson_interval(count: int, n: int, low: float, high: float) -> None:
    found = share(count, n)
    assert (found.value, found.n) == (count / n, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0 of 0"):
        share(0, 0)


def test_a_mean_has_students_interval() -> None:
    # Student's sleep data, group 2: mean 2.33, 95 % interval 0.898 to 3.762 (R, t.test(extra ~ 1)).
    extra = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    assert mean_interval(extra, -10, 10) == pytest.approx((2.33, 0.8976776, 3.7623224))


@pytest.mark.parametrize("scores", [pytest.param([3.0], id="one score"), pytest.param([3.0] * 9, id="equal scores")])
def test_scores_without_spread_have_no_interval(scores: list[float]) -> None:
    assert mean_interval(scores, 0, 5) == (3.0, None, None)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=30))
def test_an_interval_holds_its_mean_and_stays_on_the_scale(scores: list[float]) -> None:
    mean, low, high = mean_interval(scores, 0, 5)
    if low is not None and high is not None:
        assert 0 <= low <= mean <= high <= 5
