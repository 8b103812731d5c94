"""Intervals of paired differences: what few or no changed answers leave possible, and what cannot be said at all."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datashop_assets.evaluation.intervals import paired_difference, score_interval


def likelihood_fit(gained: int, lost: int, n: int, difference: float) -> float:
    """The most likely chance of a loss where gain minus loss is `difference`, by search instead of by formula."""
    from scipy.optimize import minimize_scalar
    from scipy.special import xlogy

    low, high = max(0.0, -difference), (1 - difference) / 2

    def surprise(loss: float) -> float:
        gain = loss + difference
        same = max(1 - gain - loss, 0.0)
        return -float(xlogy(gained, max(gain, 0.0)) + xlogy(lost, loss) + xlogy(n - gained - lost, same))

    found = minimize_scalar(surprise, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    return min((low, high, float(found.x)), key=surprise)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 200), gained=st.integers(0, 60), lost=st.integers(0, 60), level=st.sampled_from([0.9, 0.95, 0.99])
)
def test_a_bound_is_where_the_score_test_just_rejects(n: int, gained: int, lost: int, level: float):
    from scipy.stats import norm

    assume(gained + lost <= n)
    z = norm.ppf((1 + level) / 2)
    estimate = (gained - lost) / n
    low, high = score_interval(gained, lost, n, level)
    assert -1 <= low <= estimate <= high <= 1
    for bound in (low, high):
        if abs(bound) == 1:
            assert bound == estimate, "every pair changed the same way: nothing lies beyond"
            continue
        loss = likelihood_fit(gained, lost, n, bound)
        variance = 2 * loss + bound - bound**2
        assert abs(estimate - bound) / (variance / n) ** 0.5 == pytest.approx(z, rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 300), gained=st.integers(0, 60), lost=st.integers(0, 60))
def test_it_leaves_out_zero_exactly_where_mcnemars_test_rejects(n: int, gained: int, lost: int):
    from scipy.stats import chi2

    assume(0 < gained + lost <= n)
    p = chi2.sf((gained - lost) ** 2 / (gained + lost), 1)
    assume(abs(p - 0.05) > 1e-6)
    low, high = score_interval(gained, lost, n, 0.95)
    assert (low > 0 or high < 0) == (p < 0.05)


def test_a_published_example():
    """Airway hyper-responsiveness before and after stem cell transplantation (M. Fagerland, S. Lydersen, P. Laake,
    "Recommended tests and confidence intervals for paired binomial proportions", Statistics in Medicine 33, 2014)."""
    assert score_interval(1, 7, 21, 0.95) == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize(("n", "reach"), [(2, 0.658), (20, 0.161), (100, 0.037), (1000, 0.0038)])
def test_answers_that_never_differ_still_leave_room_for_a_difference_that_shrinks_with_their_number(
    n: int, reach: float
):
    """z squared over n plus z squared: the score interval of a proportion of which none was seen."""
    assert score_interval(0, 0, n, 0.95) == pytest.approx((-reach, reach), rel=0.02)


@pytest.mark.parametrize(
    ("gain", "loss"),
    [
        pytest.param(0.0, 0.02, id="almost never a changed answer"),
        pytest.param(0.02, 0.02, id="few changed answers"),
        pytest.param(0.15, 0.05, id="many changed answers"),
    ],
)
def test_in_95_of_100_draws_the_interval_holds_the_true_difference(gain: float, loss: float):
    rng = np.random.default_rng(7)
    draws, counts = np.unique(rng.multinomial(100, [gain, loss, 1 - gain - loss], 2000), axis=0, return_counts=True)
    intervals = [score_interval(int(gained), int(lost), 100, 0.95) for gained, lost, _ in draws]
    held = sum(count for (low, high), count in zip(intervals, counts, strict=True) if low <= gain - loss <= high)
    assert held / 2000 > 0.95 - 3 * (0.95 * 0.05 / 2000) ** 0.5


def test_right_and_wrong_answers_are_counted_in_pairs():
    control, candidate = [1.0, 1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 1.0, 1.0]
    paired = paired_difference(control, candidate, [1.0] * 5, 0.95)
    assert (paired.low, paired.high) == score_interval(2, 1, 5, 0.95)
    assert paired.difference == pytest.approx(0.2)


@pytest.mark.parametrize(
    "candidate",
    [
        pytest.param([120.0, 800.0, 420.0], id="the same values"),
        pytest.param([130.0, 890.0, 460.0], id="a tenth of a bit more in every byte"),
    ],
)
def test_measured_values_that_differ_alike_everywhere_have_no_interval(candidate: list[float]):
    paired = paired_difference([120.0, 800.0, 420.0], candidate, [100.0, 900.0, 400.0], 0.95)
    assert (paired.standard_error, paired.low, paired.high) == (None, None, None)
    assert paired.difference == pytest.approx(0.1 if candidate[0] > 120 else 0)


def test_one_sample_that_differs_is_enough_for_students_t():
    paired = paired_difference([120.0, 800.0, 420.0], [120.0, 800.0, 421.0], [100.0, 900.0, 400.0], 0.95)
    assert paired.standard_error is not None
    assert paired.low is not None
    assert paired.low < 0 < paired.difference
