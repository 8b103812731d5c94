"""The longest texts.

What belongs here: ranking by length. What does not: counting tokens (whoever fills the pool does).

Source: Zhao, Andriushchenko, Croce and Flammarion, "Long Is More for Alignment: A Simple but Tough-to-Beat Baseline for
Instruction Fine-Tuning", ICML 2024, where the longest responses are taken. A pool has one text a document:
where that is a conversation, its whole length counts, the prompt's included.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.pool import Pool, Ranking, best_first


@dataclass(frozen=True)
class CompletionLength:
    """Every row by its number of tokens (or characters) descending, ties drawn. Neither scores nor vectors are read."""

    unit: Literal["tokens", "chars"] = "tokens"
    name: str = "completion_length"

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:  # noqa: ARG002 - every row has a length
        length = pool.rows[self.unit].to_numpy().astype(np.float64)
        order = best_first(np.arange(len(pool)), length, pool.draws(seed))
        return Ranking(order, [f"longest_by_{self.unit}"] * len(order), length[order], {})
