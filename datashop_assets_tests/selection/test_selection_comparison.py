"""What a comparison says of strategies, on pools small enough to count by hand."""

import numpy as np
import polars as pl
import pytest

from datashop_assets.selection import compare as module
from datashop_assets.selection.alpagasus import AlpaGasus
from datashop_assets.selection.budget import Budget, select
from datashop_assets.selection.compare import compare, jaccard
from datashop_assets.selection.completion_length import CompletionLength
from datashop_assets.selection.deita import Deita
from datashop_assets.selection.ds2 import Ds2
from datashop_assets.selection.full import Full
from datashop_assets.selection.knn_distance import KnnDistance
from datashop_assets.selection.pool import Pool, SelectionError
from datashop_assets.selection.random_draw import RandomDraw
from datashop_assets_tests.selection.pools import pool, shuffled

TWO = Budget(rows=2)


@pytest.fixture
def six() -> Pool:
    """Three good documents on one topic, two of them copies; three poor or unrated ones, each of its own."""
    vectors = np.eye(6)[[0, 0, 1, 2, 3, 4]]
    return pool(
        [5.0, 5.0, 4.0, 1.0, None, None],
        curated=[5.0, 2.0, 4.0, 1.0, None, None],
        tokens=[10, 20, 30, 40, 50, 60],
        vectors=vectors,
        sources=["web", "web", "books", "books", None, "web"],
    )


def line(frame: pl.DataFrame, **where: object) -> dict:
    return frame.filter(**where).row(0, named=True)


def test_the_figures_of_a_subset_are_those_of_its_documents(six: Pool) -> None:
    found = compare(six, [AlpaGasus(), CompletionLength()], [TWO], [0])
    best = line(found.selections, strategy="alpagasus")
    assert (best["rows"], best["tokens"], best["mean_score"], best["mean_curated_score"]) == (2, 30, 5.0, 3.5)
    assert best["nearest_distance"] == pytest.approx(0)
    assert best["vendi"] == pytest.approx(1)
    longest = line(found.selections, strategy="completion_length")
    assert (longest["tokens"], longest["mean_score"], longest["scored"]) == (110, None, 0)
    assert longest["nearest_distance"] == pytest.approx(1)
    assert longest["vendi"] == pytest.approx(2)
    assert line(found.left_out, strategy="alpagasus", reason="unscored")["rows"] == 2
    assert line(found.left_out, strategy="alpagasus", reason="over_budget")["rows"] == 2


def test_the_source_mix_is_counted_with_the_documents_that_have_no_source(six: Pool) -> None:
    found = compare(six, [CompletionLength()], [Budget(rows=3)], [0])
    assert found.sources.select("source", "rows", "share").sort("source", nulls_last=True).rows() == [
        ("books", 1, pytest.approx(1 / 3)),
        ("web", 1, pytest.approx(1 / 3)),
        (None, 1, pytest.approx(1 / 3)),
    ]


def test_overlap_is_that_of_the_two_subsets_beside_that_of_chance(six: Pool) -> None:
    found = compare(six, [AlpaGasus(), Ds2(), Full()], [TWO, Budget(rows=3)], [0])
    assert len(found.overlap) == 2 * 3 * 3
    two = line(found.overlap, strategy="alpagasus", other="ds2", budget="2 rows")
    assert two["jaccard"] == pytest.approx(1 / 3)  # d0 and d1 against d0 and d2
    assert two["by_chance"] == pytest.approx((2 / 3) / (4 - 2 / 3))
    assert line(found.overlap, strategy="ds2", other="alpagasus", budget="2 rows")["jaccard"] == two["jaccard"]
    assert line(found.overlap, strategy="ds2", other="ds2", budget="3 rows")["jaccard"] == 1
    assert line(found.overlap, strategy="full", other="ds2", budget="3 rows")["jaccard"] == pytest.approx(0.5)


def test_seeds_agree_where_nothing_is_drawn_and_as_chance_has_it_where_all_is() -> None:
    whole = pool(list(np.linspace(0, 5, 300)))
    found = compare(whole, [AlpaGasus(), RandomDraw()], [Budget(rows=100)], [0, 1, 2, 3])
    assert line(found.agreement, strategy="alpagasus")["jaccard"] == 1
    drawn = line(found.agreement, strategy="random")
    chance = line(found.overlap, strategy="random", other="random")["by_chance"]
    assert drawn["pairs"] == 6
    # Shared documents of two draws: hypergeometric, 33.3 with a standard deviation of 3.9 of the union's 167.
    assert drawn["jaccard"] == pytest.approx(chance, abs=0.06)
    assert drawn["lowest"] <= drawn["jaccard"] <= drawn["highest"]


def test_overlap_compares_what_the_same_seed_gives() -> None:
    whole = pool([3.0] * 100)
    found = compare(whole, [RandomDraw(), RandomDraw(name="twin")], [Budget(rows=20)], [0, 1, 2])
    alike = line(found.overlap, strategy="random", other="twin")
    assert (alike["jaccard"], alike["lowest"], alike["highest"], alike["seeds"]) == (1, 1, 1, 3)


def test_the_summary_is_over_the_seeds_of_a_strategy_at_a_budget() -> None:
    whole = pool(list(np.linspace(0, 5, 50)))
    found = compare(whole, [RandomDraw(), AlpaGasus()], [Budget(rows=5), Budget(rows=10)], [0, 1, 2])
    summary = found.summary()
    assert summary.select("strategy", "budget").rows() == [
        ("random", "5 rows"),
        ("random", "10 rows"),
        ("alpagasus", "5 rows"),
        ("alpagasus", "10 rows"),
    ]
    scores = found.selections.filter(strategy="random", budget="5 rows")["mean_score"]
    drawn = line(summary, strategy="random", budget="5 rows")
    assert drawn["mean_score"] == pytest.approx(scores.mean())
    assert (drawn["mean_score_lowest"], drawn["mean_score_highest"]) == (scores.min(), scores.max())
    assert drawn["seeds"] == 3
    assert drawn["agreement"] == line(found.agreement, strategy="random", budget="5 rows")["jaccard"]


def test_a_pool_without_vectors_is_compared_by_all_but_diversity() -> None:
    bare = pool([3.0, 2.0, 1.0], vectors=np.zeros((3, 2)))
    found = compare(bare, [Ds2()], [TWO], [0]).selections.row(0, named=True)
    assert (found["rows"], found["mean_score"], found["vendi"], found["nearest_distance"]) == (2, 2.5, None, None)


def test_one_seed_agrees_with_nothing(six: Pool) -> None:
    agreed = line(compare(six, [RandomDraw()], [TWO], [5]).agreement, strategy="random")
    assert (agreed["jaccard"], agreed["pairs"]) == (None, 0)


def test_the_order_of_the_rows_changes_no_figure() -> None:
    whole = pool(list(np.arange(60) % 6 / 1.0), sources=["web", "books", None] * 20)
    strategies = [Ds2(), Deita(least_distance=0.4), KnnDistance(k=3), RandomDraw()]
    budgets = [Budget(rows=9), Budget(tokens=150)]
    plain = compare(whole, strategies, budgets, [0, 1])
    mixed = compare(shuffled(whole, 8), strategies, budgets, [0, 1])
    for frame in ("selections", "sources", "left_out", "overlap", "agreement"):
        assert getattr(plain, frame).equals(getattr(mixed, frame)), frame


def test_the_nearest_of_a_large_subset_is_asked_of_a_part_of_it_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pool([3.0] * 200)
    exact = compare(whole, [Full()], [TWO], [0]).selections.row(0, named=True)
    monkeypatch.setattr(module, "NEAREST_ASKED", 50)
    part = compare(whole, [Full()], [TWO], [0]).selections.row(0, named=True)
    assert (exact["nearest_asked"], exact["nearest_margin"]) == (200, 0)
    assert part["nearest_asked"] == 50
    assert abs(part["nearest_distance"] - exact["nearest_distance"]) < 2 * part["nearest_margin"]
    assert part["vendi"] == exact["vendi"]


def test_vectors_without_a_direction_are_no_part_of_the_diversity(six: Pool) -> None:
    six.vectors[5] = 0
    longest = compare(six, [CompletionLength()], [TWO], [0]).selections.row(0, named=True)
    assert (longest["rows"], longest["vendi"], longest["nearest_distance"]) == (2, pytest.approx(1), None)


def test_what_a_strategy_notes_reaches_the_frame(six: Pool) -> None:
    notes = compare(six, [AlpaGasus()], [Budget(rows=99)], [0]).selections["notes"].to_list()[0]
    assert notes == ["the budget of 99 rows is larger than what there is: all 4 rows are taken"]
    assert notes == list(select(AlpaGasus(), six, 0, Budget(rows=99)).notes)


@pytest.mark.parametrize(
    ("strategies", "budgets", "seeds", "message"),
    [
        ([], [TWO], [0], "each strategy once, and one or more"),
        ([Ds2(), Ds2(curated=False)], [TWO], [0], r"each strategy once.*\['ds2', 'ds2'\]"),
        ([Ds2()], [TWO, Budget(rows=2)], [0], "each budget once"),
        ([Ds2()], [TWO], [], "each seed once"),
        ([Ds2(), KnnDistance(k=9)], [TWO], [0], "knn_distance at 2 rows, seed 0: .*lower k"),
    ],
    ids=["no strategy", "two of one name", "a budget twice", "no seed", "a strategy that cannot choose"],
)
def test_comparisons_that_cannot_be_made_say_why(six: Pool, strategies, budgets, seeds, message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        compare(six, strategies, budgets, seeds)


def test_an_empty_pool_compares_to_nothing() -> None:
    found = compare(pool([]), [Ds2(), RandomDraw()], [TWO], [0, 1])
    assert found.selections["rows"].to_list() == [0, 0, 0, 0]
    assert found.selections["vendi"].null_count() == 4
    assert found.overlap["jaccard"].null_count() == 4
    assert jaccard(np.array([], int), np.array([], int)) is None
