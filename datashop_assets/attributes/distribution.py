"""The distribution of a score over the corpus as it stood when it was recorded: ranks and levels are taken from it.

What belongs here: making one of a sketch, ranks, quantiles, how far two are apart, and its JSON. What does not:
summarising scores (`scoring/sketch.py`), which one is in force (`state.py`).

It is recorded so that a document's rank does not move with every new shard: Nemotron-CC's buckets (Su et al. 2024,
section 2.2) are taken once, over the whole corpus, and here the corpus grows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datashop_assets.scoring.sketch import ScoreSketch

# Points that are recorded: a rank is exact at each, and between two of them off by less than 1 / POINTS.
POINTS = 1000


@dataclass(frozen=True, eq=False)
class Distribution:
    """`below`[i] is the share of `n` scores that are below `values`[i]; values (float32) ascend, no two are equal."""

    values: NDArray[np.float32]
    below: NDArray[np.float64]
    n: int

    def ranks(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Each score's share of the recorded scores below it, in [0, 1], linear between two points; NaN stays NaN.

        Rises with the score: a higher one never ranks lower.
        """
        given = np.asarray(scores, np.float64)
        ranks = np.interp(given, self.values.astype(np.float64), self.below, left=0.0, right=1.0)
        return np.where(np.isnan(given), np.nan, ranks)

    def quantile(self, q: float) -> float:
        """The least point with at least the share q of the scores at or below it."""
        at_or_below = np.append(self.below[1:], 1.0)
        return float(self.values[np.searchsorted(at_or_below, q - 1e-12, side="left")])

    def shift(self, other: "Distribution") -> float:
        """The largest difference between the two in the share below any value (Kolmogorov and Smirnov's distance)."""
        points = np.union1d(self.values, other.values)
        return float(np.abs(_share_below(self, points) - _share_below(other, points)).max(initial=0.0))


def distribution(sketch: ScoreSketch) -> Distribution:
    """The distribution of summarised scores. Raises ValueError where there are none."""
    if not sketch.n:
        raise ValueError("there are no scores to take a distribution of")
    values = sketch.values
    if len(values) > POINTS:
        values = np.unique(np.array([sketch.quantile(q) for q in np.linspace(0, 1, POINTS + 1)], np.float32))
    return Distribution(values, np.array([sketch.rank(float(value)) for value in values]), sketch.n)


def to_json(distributions: Mapping[str, Distribution]) -> str | None:
    """Of each name its distribution, as text; None where there is none."""
    if not distributions:
        return None
    plain = {
        name: {"values": one.values.tolist(), "below": one.below.tolist(), "n": one.n}
        for name, one in sorted(distributions.items())
    }
    return json.dumps(plain)


def from_json(text: str | None) -> dict[str, Distribution]:
    """What `to_json` made the text of."""
    plain = json.loads(text) if text else {}
    return {
        name: Distribution(np.array(one["values"], np.float32), np.array(one["below"], np.float64), int(one["n"]))
        for name, one in plain.items()
    }


def _share_below(of: Distribution, points: NDArray[np.float32]) -> NDArray[np.float64]:
    """The share below each point, as a step function between the recorded ones."""
    return np.append(of.below, 1.0)[np.searchsorted(of.values, points, side="left")]
