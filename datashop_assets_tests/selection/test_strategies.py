"""What holds for every strategy that reads no texts: nothing lost, nothing twice, and no row matters by its place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.selection.alpagasus import AlpaGasus
from datashop_assets.selection.budget import Budget, select
from datashop_assets.selection.cluster_quota import ClusterQuota
from datashop_assets.selection.completion_length import CompletionLength
from datashop_assets.selection.deita import Deita
from datashop_assets.selection.ds2 import Ds2
from datashop_assets.selection.full import Full
from datashop_assets.selection.knn_distance import KnnDistance
from datashop_assets.selection.pool import Pool, SelectionError, Strategy
from datashop_assets.selection.random_draw import RandomDraw
from datashop_assets.selection.temperature import TemperatureSampling
from datashop_assets_tests.selection.pools import ENOUGH, chosen, ids, pool, pools, shuffled

ALL: list[Strategy] = [
    Ds2(),
    Ds2(curated=False, name="ds2_without_curation"),
    RandomDraw(),
    Full(),
    CompletionLength(),
    KnnDistance(k=2),
    AlpaGasus(threshold=1.0),
    Deita(least_distance=0.3),
    TemperatureSampling(),
    ClusterQuota(clusters=3),
]
BY_SCORE = [one for one in ALL if isinstance(one, Ds2 | AlpaGasus | Deita | TemperatureSampling | ClusterQuota)]
BY_VECTOR = [strategy for strategy in ALL if isinstance(strategy, KnnDistance | Deita | ClusterQuota)]
BUDGETS = [Budget(rows=7), Budget(tokens=60), ENOUGH]

each = pytest.mark.parametrize("strategy", ALL, ids=lambda strategy: strategy.name)


def named(strategies: list[Strategy]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("strategy", strategies, ids=lambda strategy: strategy.name)


@each
@settings(max_examples=25, deadline=None)
@given(whole=pools(), seed=st.integers(0, 3), budget=st.sampled_from(BUDGETS), order=st.integers(0, 9))
def test_the_same_documents_are_taken_in_the_same_order_however_the_rows_stand(
    strategy: Strategy, whole: Pool, seed: int, budget: Budget, order: int
) -> None:
    if isinstance(strategy, KnnDistance) and len(whole) < 20:
        return
    plain, mixed = select(strategy, whole, seed, budget), select(strategy, shuffled(whole, order), seed, budget)
    assert ids(whole, plain) == ids(shuffled(whole, order), mixed)
    assert plain.reasons == mixed.reasons
    assert plain.left_out == mixed.left_out
    np.testing.assert_array_equal(plain.values, mixed.values)


@each
@settings(max_examples=25, deadline=None)
@given(whole=pools(), budget=st.sampled_from(BUDGETS))
def test_every_row_is_ranked_once_or_left_out_for_a_reason(strategy: Strategy, whole: Pool, budget: Budget) -> None:
    if isinstance(strategy, KnnDistance) and len(whole) < 20:
        return
    ranking = strategy.rank(whole, 0, budget)
    assert len(ranking) + sum(ranking.left_out.values()) == len(whole)
    taken = select(strategy, whole, 0, budget)
    assert len(taken) + sum(taken.left_out.values()) == len(whole)
    assert taken.order.tolist() == ranking.order.tolist()[: len(taken)]


@named([strategy for strategy in ALL if not isinstance(strategy, ClusterQuota | Full)])
@settings(max_examples=15, deadline=None)
@given(whole=pools(), rows=st.integers(1, 12))
def test_a_smaller_budget_takes_the_beginning_of_a_larger_one(strategy: Strategy, whole: Pool, rows: int) -> None:
    if isinstance(strategy, KnnDistance) and len(whole) < 20:
        return
    assert chosen(strategy, whole, 0, Budget(rows=rows)) == chosen(strategy, whole, 0)[:rows]


@each
def test_an_empty_pool_gives_an_empty_ranking(strategy: Strategy) -> None:
    ranking = strategy.rank(pool([]), 0, ENOUGH)
    assert (len(ranking), ranking.left_out) == (0, {})


@named([strategy for strategy in ALL if not isinstance(strategy, KnnDistance)])
def test_a_pool_of_one_document_gives_it(strategy: Strategy) -> None:
    assert chosen(strategy, pool([4.0])) == ["d0"]


@named([strategy for strategy in ALL if not isinstance(strategy, KnnDistance | CompletionLength | Deita)])
def test_among_equals_the_seed_decides(strategy: Strategy) -> None:
    """All documents score alike and lie in one direction."""
    alike = pool([3.0] * 60, vectors=np.ones((60, 6)), texts=["one text"] * 60)
    first, again, other = (chosen(strategy, alike, seed, Budget(rows=10)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@named(BY_SCORE)
def test_a_document_without_a_score_is_left_out_and_never_counts_as_the_lowest(strategy: Strategy) -> None:
    whole = pool([None, 1.0, float("nan"), 5.0], vectors=np.eye(4))
    ranking = strategy.rank(whole, 0, ENOUGH)
    assert set(ids(whole, ranking)) == {"d1", "d3"}
    assert ranking.left_out == {"unscored": 2}


@named(BY_SCORE)
def test_a_pool_without_any_score_is_refused(strategy: Strategy) -> None:
    with pytest.raises(SelectionError, match="none of the pool's 3 documents has a"):
        strategy.rank(pool([None] * 3), 0, ENOUGH)


@named(BY_VECTOR)
def test_a_vector_without_a_direction_is_left_out_and_changes_no_other_row(strategy: Strategy) -> None:
    vectors = np.random.default_rng(1).normal(size=(12, 6))
    bad = vectors.copy()
    bad[[2, 5, 9]] = np.array([0.0, np.nan, np.inf])[:, None]
    fine = [row for row in range(12) if row not in (2, 5, 9)]
    alone = pool([3.0] * 12, vectors=bad)
    without = Pool(alone.rows[fine], alone.vectors[fine], alone.texts, 0, 5)
    assert chosen(strategy, alone) == chosen(strategy, without)
    assert strategy.rank(alone, 0, ENOUGH).left_out["no_direction"] == 3


@named(BY_VECTOR)
def test_a_pool_without_any_vector_is_refused(strategy: Strategy) -> None:
    with pytest.raises(SelectionError, match="none of the pool's 3 documents has a usable vector"):
        strategy.rank(pool([1.0] * 3, vectors=np.zeros((3, 4))), 0, ENOUGH)


@named(BY_VECTOR)
def test_the_length_of_a_vector_says_nothing(strategy: Strategy) -> None:
    vectors = np.random.default_rng(1).normal(size=(30, 6))
    scaled = vectors * 2.0 ** np.random.default_rng(2).integers(-8, 8, 30)[:, None]  # exact in floating point
    assert chosen(strategy, pool([3.0] * 30, vectors=vectors)) == chosen(strategy, pool([3.0] * 30, vectors=scaled))
