"""A uniform draw: the control that every other strategy has to beat.

What belongs here: the draw. What does not: draws that scores weight (`temperature.py`).
"""

from dataclasses import dataclass

import numpy as np

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.pool import Pool, Ranking, best_first


@dataclass(frozen=True)
class RandomDraw:
    """Every row, in the order of a hash of the seed and the document: any beginning is a uniform draw without
    replacement, and a smaller draw is the beginning of every larger one with its seed. Neither scores nor vectors are
    read.
    """

    name: str = "random"

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:  # noqa: ARG002 - the draw has no end of its own
        order = best_first(np.arange(len(pool)), pool.draws(seed))
        return Ranking(order, ["drawn"] * len(order), np.full(len(order), np.nan), {})
