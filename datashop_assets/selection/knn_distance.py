"""What lies farthest from everything else.

What belongs here: ranking by the distance to the nearest texts. What does not: the search for them
(`curation/neighbours.py`).

Source: the kNN baseline of Pang et al. (DS2), ICLR 2025, the section on experiments. Twins are treated as the search
treats them: a text and its copies are one, and its neighbours are others, so that a page that was crawled twice is
neither common for that nor taken twice.
"""

from dataclasses import dataclass

import numpy as np

from datashop_assets.curation.neighbours import neighbourhood
from datashop_assets.selection.budget import Budget
from datashop_assets.selection.pool import LeftOut, Pool, Ranking, SelectionError, best_first, counted


@dataclass(frozen=True)
class KnnDistance:
    """Texts by their mean cosine distance to the `k` nearest other texts descending, ties drawn; of twins one, drawn.

    The value is that distance. Scores are not read. Left out: rows whose vectors have no direction, and copies.
    Raises SelectionError where the pool has k independent texts or fewer.
    """

    k: int = 10
    name: str = "knn_distance"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise SelectionError(f"{self.name}: k is {self.k}; a distance needs 1 neighbour or more")

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:  # noqa: ARG002 - the order is the same for all
        usable = pool.with_direction()
        texts = pool.rows["text_sha"].gather(usable).to_list()
        if 0 < len(set(texts)) <= self.k:
            raise SelectionError(f"{self.name}: {len(set(texts))} texts have no {self.k} neighbours each; lower k")
        if not len(usable):
            return Ranking(usable, [], np.empty(0), {})
        found = pool.once(("nearest", self.k), lambda: neighbourhood(pool.vectors[usable], texts, self.k))
        draws = pool.draws(seed)
        by_draw = np.argsort(draws[usable])
        one_each = by_draw[np.unique(found.group[by_draw], return_index=True)[1]]
        distance = np.full(len(pool), np.nan)
        distance[usable] = found.rareness
        order = best_first(usable[one_each], distance, draws)
        left_out = {LeftOut.NO_DIRECTION: len(pool) - len(usable), LeftOut.COPY: len(usable) - len(order)}
        return Ranking(order, ["far_from_neighbours"] * len(order), distance[order], counted(left_out))
