"""What a pool refuses, and that what is drawn from it hangs on the documents alone."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from datashop_assets.selection import knn_distance
from datashop_assets.selection.budget import Budget
from datashop_assets.selection.pool import LeftOut, Ranking, SelectionError, best_first, counted
from datashop_assets_tests.selection.pools import pool, shuffled


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop("rareness"), "rareness is None, not Float64"),
        (lambda rows: rows.with_columns(pl.col("score").cast(pl.String)), "score is String, not Float64"),
        (lambda rows: rows.with_columns(tokens=pl.lit(None, pl.Int64)), "3 rows of the pool have no tokens"),
        (lambda rows: rows.with_columns(id=pl.lit("same")), r"twice, e.g. \('shard-0', 'same'\)"),
        (lambda rows: rows.head(2), r"vectors of shape \(3, 6\) for 2 rows"),
    ],
    ids=["a column missing", "a column of another type", "unknown lengths", "a document twice", "too few rows"],
)
def test_a_pool_that_is_not_one_is_refused_by_what_is_wrong(change, message: str) -> None:
    whole = pool([1, 2, 3])
    with pytest.raises(SelectionError, match=message):
        replace(whole, rows=change(whole.rows))


def test_draws_are_uniform_and_follow_the_document_not_its_row() -> None:
    whole = pool([1.0] * 2000)
    mixed = shuffled(whole, 1)
    of = dict(zip(whole.rows["id"], whole.draws(3), strict=True))
    assert [of[name] for name in mixed.rows["id"]] == mixed.draws(3).tolist()
    assert abs(np.corrcoef(whole.draws(4), whole.draws(3))[0, 1]) < 0.1
    # Kolmogorov-Smirnov at 0.001 for n = 2,000: 1.95 / sqrt(2000).
    assert np.abs(np.sort(whole.draws(3)) - np.arange(2000) / 2000).max() < 0.0436


def test_a_score_is_null_or_not_finite_or_a_number() -> None:
    whole = pool([None, float("nan"), float("inf"), 2.0])
    np.testing.assert_array_equal(whole.quality(curated=False), [np.nan, np.nan, np.nan, 2.0])


def test_a_pool_without_the_score_asked_for_says_what_to_do() -> None:
    whole = pool([1.0, 2.0], curated=[None, None])
    assert whole.quality(curated=False).tolist() == [1.0, 2.0]
    with pytest.raises(SelectionError, match="none of the pool's 2 documents has a curated_score; curate"):
        whole.quality(curated=True)


def test_rows_with_a_direction_stand_in_the_documents_order() -> None:
    whole = pool([1.0] * 4, vectors=np.array([[1, 0], [0, 0], [np.nan, 1], [0, 9]]))
    assert whole.with_direction().tolist() == [0, 3]
    mixed = shuffled(whole, 5)
    assert mixed.rows["id"].gather(mixed.with_direction()).to_list() == ["d0", "d3"]
    with pytest.raises(SelectionError, match="none of the pool's 2 documents has a usable vector"):
        pool([1.0] * 2, vectors=np.zeros((2, 3))).with_direction()


def test_an_empty_pool_has_nothing_and_fails_nowhere() -> None:
    empty = pool([])
    assert len(empty) == len(empty.draws(0)) == len(empty.quality(curated=True)) == len(empty.with_direction()) == 0


def test_best_first_goes_by_the_first_key_then_by_the_next() -> None:
    first, second = np.array([1.0, 2.0, 2.0, 9.0]), np.array([5.0, 3.0, 4.0, 0.0])
    assert best_first(np.array([0, 1, 2]), first, second).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("order", "reasons", "message"),
    [([0, 1], ["a"], "2 rows, 1 reasons"), ([1, 1], ["a", "b"], "names a row twice")],
    ids=["a reason missing", "a row twice"],
)
def test_rankings_are_whole_and_name_a_row_once(order: list[int], reasons: list[str], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        Ranking(np.array(order), reasons, np.zeros(2), {})


def test_reasons_that_count_nothing_are_not_reported() -> None:
    assert counted({LeftOut.UNSCORED: 0, LeftOut.COPY: 2}) == {"copy": 2}


def test_what_is_measured_of_a_pool_is_measured_once_for_all_seeds_and_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = pool([1.0] * 30), []
    searched = knn_distance.neighbourhood
    monkeypatch.setattr(knn_distance, "neighbourhood", lambda *a: calls.append(1) or searched(*a))
    for seed in range(3):
        knn_distance.KnnDistance(k=2).rank(whole, seed, Budget(rows=5 + seed))
    assert len(calls) == 1
    knn_distance.KnnDistance(k=3).rank(whole, 0, Budget(rows=5))
    assert len(calls) == 2
