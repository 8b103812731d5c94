"""A budget takes the beginning of a ranking, and says so where there is less than it would pay for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.selection.budget import Budget, cut
from datashop_assets.selection.pool import LeftOut, Ranking, SelectionError
from datashop_assets_tests.selection.pools import pool


def backwards(count: int) -> Ranking:
    """The last row first."""
    return Ranking(np.arange(count)[::-1], [f"r{row}" for row in range(count)], np.arange(count) / 1.0, {"unscored": 2})


def test_a_budget_of_rows_keeps_the_first_with_their_reasons_and_counts_the_rest() -> None:
    taken = cut(backwards(5), pool([1] * 5), Budget(rows=2))
    assert taken.order.tolist() == [4, 3]
    assert taken.reasons == ["r0", "r1"]
    assert taken.values.tolist() == [0, 1]
    assert taken.left_out == {"unscored": 2, LeftOut.OVER_BUDGET: 3}
    assert taken.notes == ()


@given(tokens=st.lists(st.integers(0, 9), min_size=1, max_size=20), budget=st.integers(1, 60))
def test_a_budget_of_tokens_ends_before_the_first_document_that_does_not_fit(tokens: list[int], budget: int) -> None:
    taken = cut(backwards(len(tokens)), pool([1] * len(tokens), tokens=tokens), Budget(tokens=budget))
    spent, expected = 0, []
    for row in reversed(range(len(tokens))):
        if spent + tokens[row] > budget:
            break
        spent += tokens[row]
        expected.append(row)
    assert taken.order.tolist() == expected


@pytest.mark.parametrize("budget", [Budget(rows=6), Budget(tokens=51)], ids=["rows", "tokens"])
def test_a_budget_larger_than_what_there_is_takes_all_and_says_so(budget: Budget) -> None:
    taken = cut(backwards(5), pool([1] * 5), budget)
    assert len(taken) == 5
    assert taken.left_out == {"unscored": 2}
    assert "all 5 rows are taken" in taken.notes[0]


@pytest.mark.parametrize("budget", [Budget(rows=5), Budget(tokens=50)], ids=["rows", "tokens"])
def test_a_budget_that_is_met_exactly_needs_no_note(budget: Budget) -> None:
    assert cut(backwards(5), pool([1] * 5), budget).notes == ()


def test_a_first_document_larger_than_the_budget_is_named_as_the_reason_for_taking_none() -> None:
    taken = cut(backwards(3), pool([1] * 3, tokens=[1, 1, 500]), Budget(tokens=499))
    assert len(taken) == 0
    assert "the first document has 500 tokens" in taken.notes[0]


def test_a_ranking_of_the_whole_pool_is_not_cut() -> None:
    whole = Ranking(np.arange(5), ["whole_pool"] * 5, np.zeros(5), {}, whole=True)
    taken = cut(whole, pool([1] * 5), Budget(rows=2))
    assert taken.order.tolist() == [0, 1, 2, 3, 4]
    assert "takes the whole pool" in taken.notes[0]


@pytest.mark.parametrize(
    ("rows", "tokens", "message"),
    [(None, None, "exactly one"), (3, 3, "exactly one"), (0, None, "0 rows buys nothing"), (None, -1, "-1 tokens")],
    ids=["neither", "both", "no rows", "less than no tokens"],
)
def test_budgets_that_mean_nothing_are_refused(rows: int | None, tokens: int | None, message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        Budget(rows, tokens)
