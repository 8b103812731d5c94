"""DS2's selection: the best class first, and of the class that does not fit the rarest.

What belongs here: that order. What does not: curating scores and measuring rareness (the curation stage).

Source: Pang et al., "Improving Data Efficiency via Curating LLM-Driven Rating Systems" (DS2), ICLR 2025, the section on
data selection: by curated score, then by long-tail score. There the long-tail score is 2 / (1 + exp(-x)) - 1 of the
mean cosine distance x to the nearest texts, which orders as x itself does, the pool's rareness.
"""

from dataclasses import dataclass

import numpy as np

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.pool import LeftOut, Pool, Ranking, best_first, counted


@dataclass(frozen=True)
class Ds2:
    """Classes of the curated score descending, and within a class the rarest first, ties drawn.

    A class is the score rounded to a whole number, half to even. Cut to a budget, this is the published rule: whole
    classes while they fit, and the class in which the budget ends by rareness. Rows without a rareness stand last in
    their class. With `curated` false the rater's own score is used: DS2 without curation.

    The reason is the class, the value the rareness. Rows without the score are left out as unscored.
    """

    curated: bool = True
    name: str = "ds2"

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:  # noqa: ARG002 - the order is the same for all
        level = np.rint(pool.quality(curated=self.curated))
        rareness = pool.rows["rareness"].fill_null(np.nan).to_numpy()
        scored = np.flatnonzero(~np.isnan(level))
        known = np.where(np.isnan(rareness), -np.inf, rareness)
        order = best_first(scored, level, known, pool.draws(seed))
        unknown = int(np.isnan(rareness[order]).sum())
        return Ranking(
            order,
            [f"class_{value:.0f}" for value in level[order]],
            rareness[order],
            counted({LeftOut.UNSCORED: len(pool) - len(order)}),
            notes=(f"{unknown:,} rows have no rareness and stand last in their class",) if unknown else (),
        )
