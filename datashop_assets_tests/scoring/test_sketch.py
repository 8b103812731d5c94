"""What a cut-off relies on: no share is off by more than the summary says, whatever the scores."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.scoring import sketch as module
from datashop_assets.scoring.sketch import ScoreSketch, merge, sketch

# Many equal scores, negative ones and both zeros among them.
scores = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from([-2.5, -0.0, 0.0, 0.1, 3.0])
)
shards = st.lists(st.lists(scores, max_size=60), min_size=1, max_size=8)
errors = st.floats(0, 0.5)


def single(values: Sequence[float]) -> np.ndarray:
    return np.asarray(values, np.float32)


def everything(parts: Sequence[Sequence[float]]) -> np.ndarray:
    return single([value for part in parts for value in part])


@given(parts=shards, error=errors, value=scores)
def test_the_share_below_any_value_is_within_the_stated_error_which_is_within_the_one_asked_for(
    parts: list[list[float]], error: float, value: float
) -> None:
    merged, truth = merge(sketch(part, error) for part in parts), everything(parts)
    assert merged.n == len(truth)
    assert merged.rank_error <= error
    assert abs(merged.below(value) - int((truth < np.float32(value)).sum())) <= merged.uncertain
    assert abs(merged.above(value) - int((truth > np.float32(value)).sum())) <= merged.uncertain


@given(parts=shards.filter(any), error=errors, share=st.floats(0, 1))
def test_a_cut_at_the_kth_largest_keeps_k_documents_within_the_error_and_what_ties_with_it(
    parts: list[list[float]], error: float, share: float
) -> None:
    merged, truth = merge(sketch(part, error) for part in parts), everything(parts)
    k = max(1, round(share * len(truth)))
    bound = np.float32(merged.largest(k))
    assert int((truth >= bound).sum()) >= k - merged.uncertain
    assert int((truth > bound).sum()) < k + merged.uncertain + 1
    assert bound in truth


@given(parts=shards.filter(any), q=st.floats(0, 1))
def test_without_an_error_quantiles_and_order_statistics_are_exact(parts: list[list[float]], q: float) -> None:
    merged, truth = merge(sketch(part, 0) for part in parts), np.sort(everything(parts))
    assert merged.rank_error == 0
    assert merged.quantile(q) == truth[max(1, math.ceil(q * len(truth))) - 1]
    k = max(1, round(q * len(truth)))
    assert merged.largest(k) == truth[-k]


@given(data=st.data(), parts=shards.filter(any), error=errors)
def test_the_order_and_grouping_of_merges_do_not_change_the_result(
    data: st.DataObject, parts: list[list[float]], error: float
) -> None:
    made = [sketch(part, error) for part in parts]
    other = data.draw(st.permutations(made))
    split = data.draw(st.integers(0, len(made)))
    one, two = merge(made), merge([merge(other[:split]), merge(other[split:])])
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_array_equal(one.weights, two.weights)
    assert one.uncertain == two.uncertain


@settings(max_examples=50)
@given(parts=shards.filter(any), error=errors, value=scores, limit=st.integers(1, 40))
def test_what_thinning_of_many_points_costs_is_in_the_stated_error(
    parts: list[list[float]], error: float, value: float, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_POINTS", 2 * limit)
        patch.setattr(module, "THINNED_TO", limit)
        merged = merge(sketch(part, error) for part in parts)
    truth = everything(parts)
    assert merged.n == len(truth)
    assert abs(merged.below(value) - int((truth < np.float32(value)).sum())) <= merged.uncertain


def test_a_million_scores_need_a_thousand_points_and_small_shards_or_few_different_scores_are_exact() -> None:
    draw = np.random.default_rng(0)
    large = sketch(draw.normal(size=1_000_000), 0.0005)
    assert len(large.values) == 1000
    assert 0 < large.rank_error <= 0.0005
    assert sketch(draw.normal(size=1999), 0.0005).rank_error == 0
    assert sketch(draw.integers(0, 6, 1_000_000), 0.0005).rank_error == 0


def test_ten_thousand_shards_stay_small_and_near_the_error_of_one() -> None:
    draw = np.random.default_rng(1)
    part = draw.normal(size=20_000)
    merged = merge(sketch(np.roll(part, n) + np.float32(n) / 1e6, 0.0005) for n in range(10_000))
    assert len(merged.values) <= module.MOST_POINTS
    assert merged.n == 200_000_000
    assert merged.rank_error < 0.00055


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_score_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="1 of 2 scores are missing or not finite"):
        sketch([1.0, value], 0.1)


def test_no_scores_have_no_quantile_and_change_no_others() -> None:
    empty = sketch([], 0.1)
    assert (empty.n, empty.rank_error, merge([]).n) == (0, 0, 0)
    with pytest.raises(ValueError, match="score some shards first"):
        empty.quantile(0.5)
    with pytest.raises(ValueError, match="no 1-th largest of 0 scores"):
        empty.largest(1)
    one: ScoreSketch = merge([empty, sketch([2.0], 0.1), empty])
    assert (one.n, one.quantile(0.5), one.rank(2.0), one.rank(2.5)) == (1, 2.0, 0.0, 1.0)


def test_equal_scores_give_equal_summaries() -> None:
    values = np.random.default_rng(2).normal(size=50_000)
    one, two = sketch(values, 0.001), sketch(values[::-1], 0.001)
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_array_equal(one.weights, two.weights)
