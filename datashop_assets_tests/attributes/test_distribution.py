"""Recorded distributions: ranks that rise with the score and do not depend on the order of shards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.attributes.distribution import POINTS, Distribution, distribution, from_json, to_json
from datashop_assets.scoring.sketch import merge, sketch

SCORES = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=200)


def of(scores: object) -> Distribution:
    return distribution(sketch(np.asarray(scores, np.float32), 0.0005))


@given(SCORES, SCORES)
def test_a_higher_score_never_ranks_lower_and_ranks_are_shares(recorded: list[float], new: list[float]) -> None:
    ranks = of(recorded).ranks(np.sort(np.array(new, np.float32)))
    assert (np.diff(ranks) >= 0).all()
    assert ((ranks >= 0) & (ranks <= 1)).all()


@given(SCORES)
def test_a_recorded_score_ranks_at_the_share_of_scores_below_it(scores: list[float]) -> None:
    exact = np.array(scores, np.float32)
    assert of(scores).ranks(exact) == pytest.approx([(exact < score).mean() for score in exact])


def test_of_many_scores_a_rank_is_known_to_a_thousandth() -> None:
    scores = np.random.default_rng(0).lognormal(size=50_000).astype(np.float32)
    made = of(scores)
    assert len(made.values) <= POINTS + 1
    exact = np.searchsorted(np.sort(scores), scores, side="left") / len(scores)
    assert np.abs(made.ranks(scores) - exact).max() < 0.002


@given(st.lists(SCORES, min_size=1, max_size=5), st.randoms())
def test_the_order_of_shards_does_not_matter(shards: list[list[float]], chance: object) -> None:
    shuffled = list(shards)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    in_order, other = (
        distribution(merge(sketch(np.array(shard, np.float32), 0.01) for shard in each)) for each in (shards, shuffled)
    )
    assert in_order.values.tolist() == other.values.tolist()
    assert in_order.below.tolist() == other.below.tolist()


def test_beyond_the_recorded_scores_ranks_are_0_and_1_and_none_stays_none() -> None:
    assert of([1, 2, 3]).ranks([0.0, 4.0, np.nan]) == pytest.approx([0, 1, np.nan], nan_ok=True)


@pytest.mark.parametrize(("share", "quantile"), [(0.25, 1.0), (0.5, 2.0), (0.51, 3.0), (1.0, 4.0)])
def test_a_quantile_is_the_least_score_with_that_share_at_or_below_it(share: float, quantile: float) -> None:
    assert of([4, 3, 2, 1]).quantile(share) == quantile


@pytest.mark.parametrize(
    ("now", "shift"),
    [
        pytest.param([1, 2, 3, 4], 0.0, id="the same"),
        pytest.param([1, 1, 2, 2, 3, 3, 4, 4], 0.0, id="twice as many"),
        pytest.param([3, 3, 4, 4], 0.5, id="the lower half is gone"),
        pytest.param([11, 12, 13, 14], 1.0, id="all above"),
    ],
)
def test_a_shift_is_the_share_by_which_ranks_move_at_most(now: list[float], shift: float) -> None:
    assert of([1, 2, 3, 4]).shift(of(now)) == pytest.approx(shift)


def test_a_distribution_is_the_same_after_it_was_kept() -> None:
    kept = from_json(to_json({"a": of([0.1, 1 / 3, -7])}))["a"]
    assert (kept.values.tolist(), kept.below.tolist(), kept.n) == (
        of([0.1, 1 / 3, -7]).values.tolist(),
        of([0.1, 1 / 3, -7]).below.tolist(),
        3,
    )
    assert from_json(to_json({})) == {}


def test_of_no_scores_there_is_no_distribution() -> None:
    with pytest.raises(ValueError, match="no scores"):
        of([])
