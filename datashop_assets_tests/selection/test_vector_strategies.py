"""Selection by what lies near what, against all pairs compared one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.selection import cluster_quota, deita
from datashop_assets.selection.budget import Budget, select
from datashop_assets.selection.cluster_quota import ClusterQuota, largest_remainder
from datashop_assets.selection.deita import Deita
from datashop_assets.selection.knn_distance import KnnDistance
from datashop_assets.selection.pool import Pool, SelectionError
from datashop_assets_tests.selection.pools import ENOUGH, chosen, ids, pool, pools


def distances(whole: Pool) -> np.ndarray:
    unit = whole.vectors / np.linalg.norm(whole.vectors, axis=1, keepdims=True)
    return np.maximum(0, 1 - unit @ unit.T)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), rows=st.integers(4, 40), k=st.integers(1, 3))
def test_knn_distance_ranks_by_the_mean_distance_to_the_nearest(seed: int, rows: int, k: int) -> None:
    whole = pool([None] * rows, vectors=np.random.default_rng(seed).normal(size=(rows, 12)))
    others = distances(whole)
    np.fill_diagonal(others, np.inf)
    mean = np.sort(others, axis=1)[:, :k].mean(axis=1)
    ranking = KnnDistance(k).rank(whole, 0, ENOUGH)
    if ranking.left_out:
        return  # two random directions nearer than a twin's distance
    np.testing.assert_allclose(ranking.values, np.sort(mean)[::-1], atol=1e-5)
    np.testing.assert_allclose(mean[ranking.order], ranking.values, atol=1e-5)


def test_knn_distance_takes_a_rare_page_once_however_often_it_was_crawled() -> None:
    rare = np.array([[0, 0, 1.0]] * 3)
    common = np.random.default_rng(0).normal(size=(20, 3)) * [1, 1, 0.01]
    texts = ["rare"] * 3 + [f"common {row}" for row in range(20)]
    whole = pool([None] * 23, vectors=np.concatenate([rare, common]), texts=texts)
    ranking = KnnDistance(k=2).rank(whole, 0, ENOUGH)
    assert ids(whole, ranking)[0] in {"d0", "d1", "d2"}
    assert len({"d0", "d1", "d2"} & set(ids(whole, ranking))) == 1
    assert ranking.left_out["copy"] >= 2
    firsts = {ids(whole, KnnDistance(k=2).rank(whole, seed, ENOUGH))[0] for seed in range(20)}
    assert firsts == {"d0", "d1", "d2"}


def test_fewer_texts_than_neighbours_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(SelectionError, match="3 texts have no 3 neighbours each; lower k"):
        KnnDistance(k=3).rank(pool([None] * 3), 0, ENOUGH)
    with pytest.raises(SelectionError, match="1 neighbour or more"):
        KnnDistance(k=0)


@pytest.fixture(params=[1, 4, 1024], ids=lambda size: f"blocks of {size}")
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deita, "BLOCK", request.param)
    monkeypatch.setattr(deita, "KEPT_BLOCK", 3)


def walked(whole: Pool, order: list[int], least_distance: float) -> list[int]:
    """The rows that DEITA's filter keeps of these, in double precision, one by one."""
    away = distances(whole)
    kept: list[int] = []
    for row in order:
        if all(away[row, other] >= least_distance for other in kept):
            kept.append(row)
    return kept


@pytest.mark.usefixtures("block")
@given(whole=pools(), least_distance=st.sampled_from([0.0, 0.05, 0.4, 1.1]))
def test_deita_drops_what_is_near_to_something_kept(whole: Pool, least_distance: float) -> None:
    everything = Deita(least_distance=0.0).rank(whole, 0, ENOUGH).order.tolist()
    scores = whole.rows["score"].gather(everything).to_list()
    assert scores == sorted(scores, reverse=True)
    ranking = Deita(least_distance=least_distance).rank(whole, 0, ENOUGH)
    assert ranking.order.tolist() == walked(whole, everything, least_distance)
    assert ranking.left_out.get("too_similar", 0) == len(everything) - len(ranking)


@pytest.mark.usefixtures("block")
@given(
    whole=pools(),
    budget=st.one_of(st.builds(Budget, st.integers(1, 9)), st.builds(Budget, st.none(), st.integers(1, 99))),
)
def test_deita_looks_no_further_than_the_budget_and_takes_the_same(whole: Pool, budget: Budget) -> None:
    strategy = Deita(least_distance=0.05)
    everything = strategy.rank(whole, 0, ENOUGH).order.tolist()
    walk = Deita(least_distance=0.0).rank(whole, 0, ENOUGH).order.tolist()
    ranking = strategy.rank(whole, 0, budget)
    if len(ranking) < len(everything):  # what is dropped before the last one taken, and what was never looked at
        reached = walk.index(everything[len(ranking) - 1]) + 1
        assert ranking.left_out.get("too_similar", 0) == reached - len(ranking)
        assert ranking.left_out["over_budget"] == len(walk) - reached
    taken = select(strategy, whole, 0, budget)
    assert taken.order.tolist() == everything[: len(taken)]
    if len(taken) < len(everything):
        spent = whole.rows["tokens"].gather(everything[: len(taken) + 1]).sum()
        assert len(taken) == budget.rows if budget.rows else spent > (budget.tokens or 0)


@pytest.mark.parametrize(
    ("least_distance", "kept"),
    [(0.0, 4), (0.5, 3), (1.0, 3), (1.01, 1)],
    ids=["no distance keeps copies too", "copies go", "what lies just as far stays", "what lies nearer goes"],
)
def test_deita_keeps_what_lies_at_least_as_far_as_it_must(least_distance: float, kept: int) -> None:
    whole = pool([4.0, 3.0, 2.0, 1.0], vectors=np.eye(3)[[0, 1, 1, 2]])
    assert len(chosen(Deita(least_distance=least_distance), whole)) == kept


def test_deita_keeps_one_of_a_thousand_copies() -> None:
    whole = pool([3.0] * 1500 + [5.0], vectors=np.concatenate([np.ones((1500, 4)), [[1, -1, 1, -1]]]))
    assert [name == "d1500" for name in chosen(Deita(), whole)] == [True, False]


@pytest.mark.parametrize("least_distance", [-0.1, 2.1, float("nan")])
def test_distances_that_no_vectors_have_are_refused(least_distance: float) -> None:
    with pytest.raises(SelectionError, match="a cosine distance is 0 to 2"):
        Deita(least_distance=least_distance)


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=12), share=st.floats(0, 1))
def test_each_group_gets_its_share_rounded_down_or_up(sizes: list[int], share: float) -> None:
    seats = int(share * sum(sizes))
    quotas = largest_remainder(np.array(sizes), seats)
    exact = np.array(sizes) * seats / sum(sizes)
    assert quotas.sum() == seats
    assert (quotas <= sizes).all()
    assert (np.abs(quotas - exact) < 1).all()
    rounded_up, rounded_down = (exact % 1)[quotas > exact], (exact % 1)[quotas <= exact]
    if len(rounded_up) and (rounded_down > 0).any():
        assert rounded_up.min() >= rounded_down.max() - 1e-9


def test_a_document_without_tokens_fits_in_a_budget_that_is_met() -> None:
    whole = pool([5.0, 4.0, 3.0], tokens=[5, 0, 1], vectors=np.eye(3))
    assert chosen(Deita(), whole, 0, Budget(tokens=5)) == ["d0", "d1"]


def test_of_equal_remainders_the_smaller_group_is_rounded_up() -> None:
    assert largest_remainder(np.array([30, 10]), 2).tolist() == [1, 1]


def kinds(sizes: list[int]) -> np.ndarray:
    """So many vectors near each axis."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    return np.eye(len(sizes))[of] + np.random.default_rng(0).normal(size=(len(of), len(sizes))) * 0.01


def test_cluster_quotas_keep_the_rare_kind_that_the_best_scores_would_crowd_out() -> None:
    """Eighty, fifteen and five of three kinds, of which the most common scores best: ten percent of each is taken."""
    scores = [5.0] * 40 + [4.0] * 40 + [2.0] * 14 + [3.0] + [1.0] * 4 + [2.0]
    whole = pool(scores, vectors=kinds([80, 15, 5]))
    taken = select(ClusterQuota(clusters=3), whole, 0, Budget(rows=20))
    of = np.repeat([0, 1, 2], [80, 15, 5])[taken.order]
    assert np.bincount(of).tolist() == [16, 3, 1]
    assert {"d94", "d99"} <= set(ids(whole, taken))  # the best of each rare kind
    assert all(taken.values[of == 0] == 5)
    assert set(np.array(taken.reasons)[of == 0]) == {"cluster_0"}
    assert set(np.array(taken.reasons)[of == 2]) == {"cluster_2"}


def test_quotas_are_those_of_the_largest_remainder_and_not_of_a_divisor() -> None:
    """Shares of 4.74, 2.67 and .59 for eight rows: dividing by sizes would give 4, 3 and 1."""
    whole = pool([3.0] * 27, vectors=kinds([16, 9, 2]))
    taken = select(ClusterQuota(clusters=3), whole, 0, Budget(rows=8))
    assert np.bincount(np.repeat([0, 1, 2], [16, 9, 2])[taken.order], minlength=3).tolist() == [5, 3, 0]


def test_a_shorter_beginning_of_the_quotas_is_shared_out_too() -> None:
    """Ninety and ten of two kinds: of every ten rows of the ranking one is of the rare kind, in their middle."""
    ranking = ClusterQuota(clusters=2).rank(pool([3.0] * 100, vectors=kinds([90, 10])), 0, Budget(rows=50))
    rare = np.flatnonzero(ranking.order >= 90)
    np.testing.assert_allclose(rare, np.arange(10) * 10 + 4.5, atol=1)


@pytest.mark.parametrize("tokens", [200, 400, 800])
def test_a_budget_of_tokens_is_shared_out_at_one_pace(tokens: int) -> None:
    """Long documents of one kind, short ones of another, of as many tokens in all."""
    whole = pool([3.0] * 110, vectors=kinds([10, 100]), tokens=[50] * 10 + [5] * 100)
    taken = select(ClusterQuota(clusters=2), whole, 0, Budget(tokens=tokens))
    spent = whole.rows["tokens"].gather(taken.order).to_numpy()
    assert abs(spent[spent == 50].sum() - spent[spent == 5].sum()) <= 50


@given(whole=pools(), rows=st.integers(1, 40), clusters=st.integers(1, 8))
@settings(max_examples=25, deadline=None)
def test_within_a_cluster_nothing_is_taken_before_something_better(whole: Pool, rows: int, clusters: int) -> None:
    strategy = ClusterQuota(clusters)
    ranking = strategy.rank(whole, 0, Budget(rows=rows))
    taken = select(strategy, whole, 0, Budget(rows=rows))
    of = np.array(ranking.reasons)
    names, sizes = np.unique(of, return_counts=True)
    for name, size in zip(names, sizes, strict=True):
        assert (np.diff(ranking.values[of == name]) <= 0).all()
        share = size * min(rows, len(ranking)) / len(ranking)
        assert abs(taken.reasons.count(name) - share) < 1


def test_clusters_are_no_more_than_there_are_texts_and_are_fitted_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_quota, "FIT_ROWS", 30)
    whole = pool([3.0] * 200, vectors=kinds([150, 50]), texts=[f"text {row % 4}" for row in range(200)])
    ranking = ClusterQuota(clusters=100).rank(whole, 0, ENOUGH)
    assert len(ranking) == 200
    assert len(set(ranking.reasons)) <= 4
    with pytest.raises(SelectionError, match="ask for 1 or more"):
        ClusterQuota(clusters=0)
