"""The promise of a cascade: how many good documents it needs, and that it is kept as often as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from datashop_assets.scoring.recall_bound import allowed_misses, least_positives, pass_threshold, recall_interval


@pytest.mark.parametrize(
    ("recall", "confidence", "needed"),
    [(0.99, 0.95, 299), (0.95, 0.95, 59), (0.9, 0.95, 29), (0.99, 0.99, 459)],
)
def test_a_promise_needs_as_many_good_documents_as_the_tables_of_tolerance_limits_say(recall, confidence, needed):
    assert least_positives(recall, confidence) == needed
    assert allowed_misses(needed - 1, recall, confidence) is None
    assert allowed_misses(needed, recall, confidence) == 0


def test_one_miss_is_allowed_from_473_good_documents_on():
    assert allowed_misses(472, 0.99, 0.95) == 0
    assert allowed_misses(473, 0.99, 0.95) == 1


@given(st.integers(1, 5000), st.floats(0.6, 0.999), st.floats(0.6, 0.999))
def test_no_miss_more_could_be_allowed(positives, recall, confidence):
    misses = allowed_misses(positives, recall, confidence)
    if misses is None:
        assert binom.cdf(0, positives, 1 - recall) > 1 - confidence - 1e-9
    else:
        assert binom.cdf(misses, positives, 1 - recall) <= 1 - confidence + 1e-9
        assert binom.cdf(misses + 1, positives, 1 - recall) > 1 - confidence


def test_too_few_good_documents_give_no_threshold():
    assert pass_threshold(np.arange(298.0), 0.99, 0.95) is None


def test_the_threshold_is_the_smallest_estimate_where_no_miss_is_allowed():
    assert pass_threshold(np.arange(300.0)[::-1], 0.99, 0.95) == 0.0


def test_the_promise_is_broken_no_more_often_than_it_says():
    """2,000 calibrations on 600 estimates each, whose distribution is known: at most 5 % may promise too much."""
    random = np.random.default_rng(0)
    broken = 0
    for _ in range(2000):
        threshold = pass_threshold(random.uniform(size=600), 0.99, 0.95)
        broken += threshold > 0.01  # of a uniform estimate, the share below is the threshold itself
    assert broken / 2000 < 0.065  # 0.05 + three standard errors of 2,000 draws


@pytest.mark.parametrize(
    ("passed", "positives", "low", "high"), [(10, 10, 0.692, 1.0), (0, 10, 0.0, 0.308), (297, 300, 0.971, 0.998)]
)
def test_the_interval_of_a_recall_is_the_exact_one(passed, positives, low, high):
    assert recall_interval(passed, positives) == pytest.approx((low, high), abs=5e-4)


def test_the_recall_of_nothing_is_refused():
    with pytest.raises(ValueError, match="not known"):
        recall_interval(0, 0)
