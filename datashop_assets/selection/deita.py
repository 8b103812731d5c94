"""DEITA: the best first, but nothing too similar to what is kept already.

What belongs here: the walk and its filter. What does not: the scores that it walks by.

Source: Liu et al., "What Makes Good Data for Alignment? A Comprehensive Study of Automatic Data Selection in
Instruction Tuning" (DEITA), ICLR 2024, section 3 (score first, diversity-aware; the Repr Filter). There a sample joins
while its cosine similarity to the nearest one kept is at most .9, which is a distance of .1. Two differences: the
quality is the pool's score alone, not the product of two trained scorers' scores, and a sample is compared with what is
kept, never with what was itself dropped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.pool import LeftOut, Pool, Ranking, Rows, SelectionError, Vectors, best_first, counted

# Candidates looked at together, and kept rows that they meet together: 1,024 x 8,192 similarities are 32 MB.
BLOCK = 1024
KEPT_BLOCK = 8192


@dataclass(frozen=True)
class Deita:
    """Rows by score descending, ties drawn; one is dropped where its cosine distance to the nearest row kept before it
    is below `least_distance`, and the walk ends when the budget is spent.

    With `curated` the curated score is used instead of the rater's. The value is the score. Left out: unscored, without
    direction, too similar, and over budget: what the walk did not reach. Time grows with the rows walked times the rows
    kept; memory holds the kept rows' vectors and a block of similarities. Raises SelectionError for a distance that no
    two vectors can have.
    """

    least_distance: float = 0.1
    curated: bool = False
    name: str = "deita"

    def __post_init__(self) -> None:
        if not 0 <= self.least_distance <= 2:
            raise SelectionError(f"{self.name}: a cosine distance is 0 to 2, not {self.least_distance}")

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:
        quality = pool.quality(curated=self.curated)
        unscored = int(np.isnan(quality).sum())
        usable = pool.with_direction()
        scored = usable[~np.isnan(quality[usable])]
        walk = best_first(scored, quality, pool.draws(seed))
        order, reached = _walk(pool, walk, self.least_distance, budget)
        left_out = {
            LeftOut.UNSCORED: unscored,
            LeftOut.NO_DIRECTION: len(pool) - unscored - len(scored),
            LeftOut.TOO_SIMILAR: reached - len(order),
            LeftOut.OVER_BUDGET: len(walk) - reached,
        }
        return Ranking(order, ["best_dissimilar"] * len(order), quality[order], counted(left_out))


def _walk(pool: Pool, walk: Rows, least_distance: float, budget: Budget) -> tuple[Rows, int]:
    """The rows kept, and how many of the walk were looked at."""
    tokens = pool.rows["tokens"].to_numpy()
    order: list[int] = []
    spent = 0
    # Pages of it that are never written take no memory.
    kept = np.empty((min(len(walk), budget.rows or len(walk)), pool.vectors.shape[1]), np.float32)
    for start in range(0, len(walk), BLOCK):
        rows = walk[start : start + BLOCK]
        block = pool.vectors[rows] / np.linalg.norm(pool.vectors[rows], axis=1, keepdims=True)
        similarity = _nearest(block, kept[: len(order)])
        within = block @ block.T
        for place, row in enumerate(rows):
            if budget.spent(len(order), spent):
                return np.array(order, np.int64), start + place
            if max(0.0, 1 - similarity[place]) >= least_distance:
                kept[len(order)] = block[place]
                order.append(int(row))
                spent += int(tokens[row])
                np.maximum(similarity, within[place], out=similarity)
    return np.array(order, np.int64), len(walk)


def _nearest(block: Vectors, kept: Vectors) -> NDArray[np.float32]:
    """Of each row of the block the cosine similarity to the nearest kept one; -1, that of opposites, where none is."""
    similarity = np.full(len(block), -1.0, np.float32)
    for start in range(0, len(kept), KEPT_BLOCK):
        np.maximum(similarity, (block @ kept[start : start + KEPT_BLOCK].T).max(axis=1), out=similarity)
    return similarity
