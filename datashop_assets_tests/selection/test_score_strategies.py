"""Selection by score, length or draw, against what the definition says when it is followed row by row."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.selection.alpagasus import AlpaGasus
from datashop_assets.selection.budget import Budget, select
from datashop_assets.selection.completion_length import CompletionLength
from datashop_assets.selection.ds2 import Ds2
from datashop_assets.selection.full import Full
from datashop_assets.selection.pool import Pool, SelectionError
from datashop_assets.selection.random_draw import RandomDraw
from datashop_assets.selection.temperature import TemperatureSampling
from datashop_assets_tests.selection.pools import ENOUGH, chosen, ids, pool, pools


@given(whole=pools(), rows=st.integers(1, 30))
def test_ds2_takes_whole_classes_while_they_fit_and_the_rarest_of_the_next(whole: Pool, rows: int) -> None:
    """Equal rareness leaves a choice, so the class that does not fit is compared by its rareness, not by name."""
    by_class: dict[int, list[dict]] = {}
    for row in whole.rows.iter_rows(named=True):
        if row["curated_score"] is not None:
            by_class.setdefault(int(row["curated_score"]), []).append(row)
    expected_whole: set[str] = set()
    boundary: list[float] = []
    left = rows
    for level in sorted(by_class, reverse=True):
        if len(by_class[level]) <= left:
            expected_whole |= {row["id"] for row in by_class[level]}
            left -= len(by_class[level])
        else:
            known = [-1.0 if row["rareness"] is None else row["rareness"] for row in by_class[level]]
            boundary = sorted(known, reverse=True)[:left]
            break
    taken = chosen(Ds2(), whole, 0, Budget(rows=rows))
    rareness = dict(whole.rows.select("id", "rareness").fill_null(-1.0).iter_rows())
    assert set(taken[: len(expected_whole)]) == expected_whole
    assert [rareness[name] for name in taken[len(expected_whole) :]] == boundary


def test_ds2_goes_by_the_curated_score_and_without_curation_by_the_raters() -> None:
    whole = pool([5, 1, 3], curated=[1, 5, 3], rareness=[0.1, 0.2, 0.3])
    assert chosen(Ds2(), whole) == ["d1", "d2", "d0"]
    assert chosen(Ds2(curated=False), whole) == ["d0", "d2", "d1"]
    ranking = Ds2().rank(whole, 0, ENOUGH)
    assert ranking.reasons == ["class_5", "class_3", "class_1"]
    assert ranking.values.tolist() == [0.2, 0.3, 0.1]


def test_ds2_rounds_fused_scores_to_classes_and_says_where_rareness_is_missing() -> None:
    whole = pool([3.6, 4.4, 4.0, 2.0], rareness=[0.9, None, 0.5, 0.1])
    ranking = Ds2().rank(whole, 0, ENOUGH)
    assert ids(whole, ranking) == ["d0", "d2", "d1", "d3"]
    assert "1 rows have no rareness" in ranking.notes[0]


@given(whole=pools(), rows=st.integers(1, 30), threshold=st.sampled_from([None, 2.0, 4.5]))
def test_alpagasus_takes_the_best_scores_and_none_below_the_threshold(
    whole: Pool, rows: int, threshold: float | None
) -> None:
    scores = [score for score in whole.rows["score"].to_list() if score is not None]
    enough = sorted((score for score in scores if score >= (threshold or -1)), reverse=True)
    taken = select(AlpaGasus(threshold), whole, 0, Budget(rows=rows))
    assert whole.rows["score"].gather(taken.order).to_list() == enough[:rows]
    assert taken.left_out.get("below_threshold", 0) == len(scores) - len(enough)
    assert taken.left_out.get("unscored", 0) == whole.rows["score"].null_count()


def test_alpagasus_draws_the_boundary_class_from_all_its_rows() -> None:
    """Ten of ninety fours are drawn beside ten fives, over the whole pool and not among its first rows."""
    whole = pool([1.0] * 100 + [4.0] * 90 + [5.0] * 10)
    drawn = np.zeros(200)
    for seed in range(200):
        taken = chosen(AlpaGasus(), whole, seed, Budget(rows=20))
        assert set(taken[:10]) == {f"d{row}" for row in range(190, 200)}
        drawn[[int(name[1:]) for name in taken[10:]]] += 1
    assert not drawn[:100].any()
    # Each four is expected in 200 / 9 = 22.2 draws, standard deviation 4.4: none is favoured or left out.
    assert drawn[100:190].min() > 5
    assert drawn[100:190].max() < 42


@pytest.mark.parametrize("unit", ["tokens", "chars"])
def test_the_longest_texts_come_first(unit: str) -> None:
    whole = pool([None] * 4, tokens=[5, 900, 0, 31])
    ranking = CompletionLength(unit).rank(whole, 0, ENOUGH)
    assert ids(whole, ranking) == ["d1", "d3", "d0", "d2"]
    assert ranking.values.tolist() == whole.rows[unit].sort(descending=True).to_list()


def test_a_random_draw_takes_each_document_equally_often_and_reads_no_score() -> None:
    whole = pool([None] * 20)
    drawn = np.zeros(20)
    for seed in range(400):
        drawn[[int(name[1:]) for name in chosen(RandomDraw(), whole, seed, Budget(rows=5))]] += 1
    # 100 expected each, standard deviation 8.7.
    assert drawn.min() > 60
    assert drawn.max() < 140


def test_the_full_pool_is_taken_whatever_the_budget() -> None:
    taken = select(Full(), pool([None, 1.0, 2.0]), 0, Budget(tokens=1))
    assert sorted(taken.order.tolist()) == [0, 1, 2]


def test_temperature_draws_in_proportion_to_the_exponential_of_the_score() -> None:
    """The first drawn of scores 0, 1, 2 at temperature 0.5: softmax of 0, 2, 4."""
    expected = np.exp([0, 2, 4]) / np.exp([0, 2, 4]).sum()
    whole = pool([0.0, 1.0, 2.0])
    first = [chosen(TemperatureSampling(0.5), whole, seed)[0] for seed in range(1500)]
    shares = np.array([first.count(f"d{row}") for row in range(3)]) / 1500
    # Four standard errors of the largest share: 4 * sqrt(.87 * .13 / 1500) = .035.
    np.testing.assert_allclose(shares, expected, atol=0.035)


def test_temperature_draws_the_second_from_those_left() -> None:
    """Given that 2 came first, 1 comes before 0 with probability e / (1 + e) at temperature 1."""
    whole = pool([0.0, 1.0, 2.0])
    orders = [chosen(TemperatureSampling(1.0), whole, seed) for seed in range(1500)]
    seconds = [order[1] for order in orders if order[0] == "d2"]
    assert seconds.count("d1") / len(seconds) == pytest.approx(math.e / (1 + math.e), abs=0.06)


@pytest.mark.parametrize("temperature", [0.0, 1e-320, 1e-9], ids=["none", "the smallest number", "nearly none"])
@given(whole=pools())
def test_without_temperature_the_best_come_first(temperature: float, whole: Pool) -> None:
    taken = select(TemperatureSampling(temperature), whole, 0, ENOUGH)
    scores = whole.rows["curated_score"].gather(taken.order).to_list()
    assert scores == sorted(scores, reverse=True)


@given(whole=pools(unscored=False))
def test_at_an_infinite_temperature_scores_decide_nothing(whole: Pool) -> None:
    assert chosen(TemperatureSampling(math.inf), whole, 3) == chosen(RandomDraw(), whole, 3)


@pytest.mark.parametrize("temperature", [-1.0, math.nan])
def test_temperatures_that_mean_nothing_are_refused(temperature: float) -> None:
    with pytest.raises(SelectionError, match="a temperature is 0 or more"):
        TemperatureSampling(temperature)
