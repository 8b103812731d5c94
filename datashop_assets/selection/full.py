"""The whole pool: what every selection is compared with when compute is no object.

What belongs here: taking everything. What does not: uniform parts of it (`random_draw.py`).
"""

from dataclasses import dataclass

import numpy as np

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.pool import Pool, Ranking, best_first


@dataclass(frozen=True)
class Full:
    """Every row, in an order drawn by the seed; no budget cuts it. Neither scores nor vectors are read."""

    name: str = "full"

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:  # noqa: ARG002 - no budget binds
        order = best_first(np.arange(len(pool)), pool.draws(seed))
        return Ranking(order, ["whole_pool"] * len(order), np.full(len(order), np.nan), {}, whole=True)
