"""A share of the budget for every kind of text, and the best of each kind.

What belongs here: clusters, their quotas, and the order that keeps them. What does not: vectors (the embedding stage).

Sources: stratified sampling with proportional allocation (Cochran, "Sampling Techniques", 3rd edition 1977, chapter 5),
where the strata are k-means clusters and the best of a stratum are taken in place of random ones; the best of each
cluster are also what Ge et al. add in "Clustering and Ranking: Diversity-preserved Instruction Selection through
Expert-aligned Quality Estimation", EMNLP 2024. Shares are rounded by the method of the largest remainder (Hamilton's).
"""

from dataclasses import dataclass

import numpy as np

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.pool import Floats, LeftOut, Pool, Ranking, Rows, SelectionError, counted

# k-means is fitted on so many rows at most, drawn by the seed; all are then put into the nearest cluster. Its time is
# fit rows x clusters x dimension a step, and the centre of a cluster of a thousand rows is known well enough.
FIT_ROWS = 50_000
MOST_STEPS = 30


@dataclass(frozen=True)
class ClusterQuota:
    """Quotas for k-means clusters in proportion to their rows, and in each cluster the best score first, ties drawn.

    A budget of rows is shared out by the largest remainder, equal remainders to the smaller cluster: each cluster has
    its exact share rounded down or up, so that rare kinds of text keep theirs whatever their scores. The quotas' rows
    stand first, interleaved, so that a shorter beginning is shared out alike; the rest follow likewise. A budget of
    tokens has no quota that whole documents could meet: there each cluster's rows stand where its tokens are used up
    at one pace.

    There are as many clusters as `clusters`, or as different texts where those are fewer, by cosine. With `curated`
    false the rater's score is used. The reason is the cluster, numbered from the largest, the value the score. Left
    out: unscored, and without direction. Raises SelectionError for fewer than one cluster.
    """

    clusters: int = 100
    curated: bool = True
    name: str = "cluster_quota"

    def __post_init__(self) -> None:
        if self.clusters < 1:
            raise SelectionError(f"{self.name}: {self.clusters} clusters hold no rows; ask for 1 or more")

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:
        quality = pool.quality(curated=self.curated)
        unscored = int(np.isnan(quality).sum())
        usable = pool.with_direction()
        scored = usable[~np.isnan(quality[usable])]
        left_out = counted(
            {LeftOut.UNSCORED: unscored, LeftOut.NO_DIRECTION: len(pool) - unscored - len(scored)},
        )
        if not len(scored):
            return Ranking(scored, [], np.empty(0), left_out)
        draws = pool.draws(seed)
        key = ("clusters", self.clusters, self.curated, seed)
        cluster = pool.once(key, lambda: self._clusters(pool, scored, draws, seed))
        ranked = np.lexsort((-draws[scored], -quality[scored]))
        places = _order(cluster[ranked], pool.rows["tokens"].to_numpy()[scored[ranked]], budget)
        order, of = scored[ranked[places]], cluster[ranked[places]]
        return Ranking(order, [f"cluster_{number}" for number in of], quality[order], left_out)

    def _clusters(self, pool: Pool, rows: Rows, draws: Floats, seed: int) -> Rows:
        """The cluster of each of these rows: numbered by size, the largest first, and equal ones by their first row."""
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        unit = pool.vectors[rows] / np.linalg.norm(pool.vectors[rows], axis=1, keepdims=True)
        fit = np.sort(np.argsort(-draws[rows])[:FIT_ROWS])
        count = min(self.clusters, pool.rows["text_sha"].gather(rows[fit]).n_unique())
        with threadpool_limits(1):  # two threads add up centres in the order in which they end
            model = KMeans(count, n_init=1, max_iter=MOST_STEPS, random_state=seed % 2**32).fit(unit[fit])
        labels = model.predict(unit)
        _, first, size = np.unique(labels, return_index=True, return_counts=True)
        number = np.empty(int(labels.max()) + 1, np.int64)
        number[np.unique(labels)[np.lexsort((first, -size))]] = np.arange(len(size))
        return np.asarray(number[labels])


def largest_remainder(sizes: Rows, seats: int) -> Rows:
    """How many of the seats each group gets: its exact share rounded down or up, the largest remainders up, equal ones
    to the smaller group, then to the later one. `seats` is at most the sum of the sizes.
    """
    shared = sizes * seats
    quotas: Rows = shared // sizes.sum()
    remainder = shared % sizes.sum()
    up = np.lexsort((-np.arange(len(sizes)), sizes, -remainder))[: seats - int(quotas.sum())]
    quotas[up] += 1
    return quotas


def _order(cluster: Rows, tokens: Rows, budget: Budget) -> Rows:
    """The places of rows that stand best first, in the order that keeps the quotas."""
    weight = np.ones(len(cluster)) if budget.rows is not None else np.maximum(tokens, 1).astype(np.float64)
    pace = np.empty(len(cluster))
    chosen = np.zeros(len(cluster), bool)
    sizes = np.bincount(cluster)
    quotas = largest_remainder(sizes, min(budget.rows or 0, len(cluster)))
    for number, quota in enumerate(quotas):
        mine = np.flatnonzero(cluster == number)
        pace[mine] = (np.cumsum(weight[mine]) - weight[mine] / 2) / weight[mine].sum()
        chosen[mine[:quota]] = True
    return np.lexsort((np.arange(len(cluster)), pace, ~chosen))
