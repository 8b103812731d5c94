"""AlpaGasus: what the rater scored high enough, nothing else.

What belongs here: the threshold and the draw among equals. What does not: rating (the rating stage).

Source: Chen et al., "AlpaGasus: Training A Better Alpaca with Fewer Data", ICLR 2024, section 2: keep what is rated at
the threshold or above (4.5 of 5 there), whole. Where a budget is smaller than that, or no threshold is given, the best
scores are taken whole and the score in which the budget ends is drawn from at random.
"""

from dataclasses import dataclass

import numpy as np

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.pool import LeftOut, Pool, Ranking, best_first, counted


@dataclass(frozen=True)
class AlpaGasus:
    """Rows scored `threshold` or above, by score descending, equal scores drawn.

    `threshold` is on the lens's scale; None leaves it to the budget. With `curated` the curated score is used instead
    of the rater's. The reason and the value are the score. Left out: unscored, below the threshold.
    """

    threshold: float | None = None
    curated: bool = False
    name: str = "alpagasus"

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:  # noqa: ARG002 - the order is the same for all
        quality = pool.quality(curated=self.curated)
        scored = np.flatnonzero(~np.isnan(quality))
        enough = scored if self.threshold is None else scored[quality[scored] >= self.threshold]
        order = best_first(enough, quality, pool.draws(seed))
        left_out = {LeftOut.UNSCORED: len(pool) - len(scored), LeftOut.BELOW_THRESHOLD: len(scored) - len(enough)}
        return Ranking(order, [f"score_{value:g}" for value in quality[order]], quality[order], counted(left_out))
