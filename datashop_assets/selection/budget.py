"""How much may be chosen, and cutting a ranking to it.

What belongs here: budgets in rows or tokens, and the cut. What does not: the order in which rows are taken (the
strategies), what a budget buys in training (the annealing stage).
"""

from dataclasses import dataclass, replace

import numpy as np

from datashop_assets.selection.pool import LeftOut, Pool, Ranking, SelectionError, Strategy


@dataclass(frozen=True)
class Budget:
    """So many rows, or so many tokens: exactly one of them. Raises SelectionError for both, neither, or less than 1."""

    rows: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        if (self.rows is None) == (self.tokens is None):
            raise SelectionError("a budget is given in rows or in tokens: exactly one of them")
        if self.size < 1:
            raise SelectionError(f"a budget of {self} buys nothing; it must be 1 or more")

    @property
    def size(self) -> int:
        """The number of rows or of tokens."""
        return self.rows if self.rows is not None else self.tokens or 0

    def spent(self, rows: int, tokens: int) -> bool:
        """Whether nothing more can fit after so many rows with so many tokens in all."""
        return rows >= self.rows if self.rows is not None else tokens > self.size

    def __str__(self) -> str:
        return f"{self.size:,} {'rows' if self.rows is not None else 'tokens'}"


def cut(ranking: Ranking, pool: Pool, budget: Budget) -> Ranking:
    """The beginning of the ranking that the budget pays for; the rest is left out as over budget.

    A budget of tokens ends before the first document that does not fit. One that is larger than what is ranked takes
    all of it, and a note says so; so does a note where not even the first document fits.
    """
    if ranking.whole:
        note = f"the budget of {budget} does not bind: this strategy takes the whole pool"
        return replace(ranking, notes=(*ranking.notes, note))
    cost = np.ones(len(pool), np.int64) if budget.rows is not None else pool.rows["tokens"].to_numpy()
    total = np.cumsum(cost[ranking.order])
    taken = int(np.searchsorted(total, budget.size, side="right"))
    notes = ranking.notes
    if len(ranking) and not taken:
        notes = (*notes, f"the first document has {total[0]:,} tokens and does not fit in the budget of {budget}")
    left_out = dict(ranking.left_out)
    if over := len(ranking) - taken:
        left_out[LeftOut.OVER_BUDGET.value] = left_out.get(LeftOut.OVER_BUDGET.value, 0) + over
    elif LeftOut.OVER_BUDGET not in left_out and (not len(total) or total[-1] < budget.size):
        notes = (*notes, f"the budget of {budget} is larger than what there is: all {taken:,} rows are taken")
    return Ranking(ranking.order[:taken], ranking.reasons[:taken], ranking.values[:taken], left_out, notes)


def select(strategy: Strategy, pool: Pool, seed: int, budget: Budget) -> Ranking:
    """What the strategy takes of the pool within the budget, best first."""
    return cut(strategy.rank(pool, seed, budget), pool, budget)
