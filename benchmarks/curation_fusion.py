"""Whether three cheap raters are worth a dear one: their fusion beside other ways of making one score of three.

Each cheap rater is wrong on two fifths of the texts, evenly or rather too high, independently of the others; the dear
one on three in twenty. Measured is the share of texts with the right score after: one cheap rater as it is, and
curated; the majority of the three (ties by the first rater); Dawid and Skene's model as crowd-kit fits it, where that
package is installed (`pip install crowd-kit`), which sees no neighbours; our fusion; and the dear rater as it is.

`benchmarks/curation.py` runs this on its texts and their neighbours.
"""

import statistics
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.curation.correction import class_shares, correct
from datashop_assets.curation.neighbours import Neighbourhood
from datashop_assets.curation.transition import consensus, fit

CHEAP, DEAR, RATERS = 0.4, 0.15, 3
LEAST_CONFIDENCE = 0.5
Ratings = NDArray[np.int64]
Rate = Callable[[float, bool, int], Ratings]


def measure_fusion(near: Neighbourhood, true: Ratings, rate: Rate, draws: int) -> dict[str, float | None]:
    """The shares of right scores, means over the draws; `rate(error, even, draw)` gives a rater's ratings."""
    found: dict[str, list[float]] = {}
    for draw in range(draws):
        cheap = [rate(CHEAP, number != 1, 100 * (draw + 1) + number) for number in range(RATERS)]
        scores = {
            "right_cheap": cheap[0],
            "right_dear": rate(DEAR, True, 100 * (draw + 1) + RATERS),
            "right_cheap_curated": fused(near, cheap[:1], int(true.max()) + 1),
            "right_majority_of_three": majority(cheap),
            "right_fused": fused(near, cheap, int(true.max()) + 1),
        }
        if (by_crowd_kit := dawid_skene(cheap)) is not None:
            scores["right_dawid_skene"] = by_crowd_kit
        for name, given in scores.items():
            found.setdefault(name, []).append(float(np.mean(given == true)))
    means: dict[str, float | None] = {name: round(statistics.fmean(shares), 4) for name, shares in found.items()}
    return {"right_dawid_skene": None} | means


def fused(near: Neighbourhood, ratings: Sequence[Ratings], levels: int) -> Ratings:
    """Our fusion, or with one rater its curation."""
    fits = [fit(consensus(class_shares(each, near.group, levels), near.nearest)) for each in ratings]
    return correct(ratings, near.group, near.nearest, fits, LEAST_CONFIDENCE).curated


def majority(ratings: Sequence[Ratings]) -> Ratings:
    """The score that most raters give, on a tie the first rater's."""
    levels = max(int(each.max()) for each in ratings) + 1
    votes = np.sum([np.eye(levels)[each] for each in ratings], axis=0)
    votes[np.arange(len(votes)), ratings[0]] += 0.5
    return np.asarray(votes.argmax(axis=1), np.int64)


def dawid_skene(ratings: Sequence[Ratings]) -> Ratings | None:
    """crowd-kit's fit of Dawid and Skene's model; None where it is not installed."""
    try:
        from crowdkit.aggregation import DawidSkene
    except ModuleNotFoundError:
        return None
    rows = np.arange(len(ratings[0]))
    judged = pl.DataFrame(
        {
            "task": np.tile(rows, len(ratings)),
            "worker": np.repeat([f"r{number}" for number in range(len(ratings))], len(rows)),
            "label": np.concatenate(list(ratings)),
        }
    )
    labels = DawidSkene(n_iter=100).fit_predict(judged.to_pandas())
    return np.asarray(labels.loc[rows].to_numpy(), np.int64)
