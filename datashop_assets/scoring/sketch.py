"""Summaries of scores that are small, mergeable and of a stated error: quantiles over a corpus without its scores.

What belongs here: the equi-depth summary (every m-th order statistic), its merging, ranks and quantiles. What does not:
where summaries are kept and what a cut-off makes of them (the filtering stage).

The error is one of *rank*: of the share of documents below a value, never of the value, so that it means the same on
every scale and where scores are negative or equal. Such summaries were first merged by Munro and Paterson,
"Selection and sorting with limited storage" (1980); being deterministic, equal scores give equal cut-offs.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

# A merged summary is thinned once it holds more points: 12 bytes each, and as much again while it is sorted.
# 10,000 shards at the default error of 0.0005 bring 10 million points; thinning them costs 2e-6 of a share a time.
MOST_POINTS = 2_000_000
THINNED_TO = 250_000


@dataclass(frozen=True, eq=False)
class ScoreSketch:
    """Some of n scores in ascending order (`values`, float32, no two equal), each standing for `weights` (int64) of
    them. The number of scores below any value is known to within `uncertain` documents; 0 where it is exact."""

    values: NDArray[np.float32]
    weights: NDArray[np.int64]
    uncertain: int = 0

    @cached_property
    def _up_to(self) -> NDArray[np.int64]:
        return np.cumsum(self.weights)

    @property
    def n(self) -> int:
        """How many scores it summarises."""
        return int(self._up_to[-1]) if len(self.values) else 0

    @property
    def rank_error(self) -> float:
        """Bound on the error of every share of documents below (or above) a value; 0 where it is exact."""
        return self.uncertain / self.n if self.n else 0.0

    def rank(self, value: float) -> float:
        """The share of the scores that are below the value, to within `rank_error`. Raises ValueError where empty."""
        return self.below(value) / self._some()

    def below(self, value: float) -> int:
        """How many scores are below the value, to within `uncertain`."""
        return self._counted(int(np.searchsorted(self.values, np.float32(value), side="left")))

    def above(self, value: float) -> int:
        """How many scores are above the value, to within `uncertain`."""
        return self.n - self._counted(int(np.searchsorted(self.values, np.float32(value), side="right")))

    def quantile(self, q: float) -> float:
        """The least score with at least the share q of all at or below it (the inverted distribution function), to
        within `rank_error` of a share. Raises ValueError where empty or where q is outside [0, 1]."""
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile is asked at a share in [0, 1], not {q}")
        return self._at(max(1, math.ceil(q * self._some())))

    def largest(self, k: int) -> float:
        """The k-th largest score, to within `uncertain` places: between k - uncertain and k + uncertain scores (and
        those equal to it) are at or above. Raises ValueError where there are fewer than k, or k is below 1."""
        if not 1 <= k <= self.n:
            raise ValueError(f"no {k}-th largest of {self.n} scores")
        return self._at(self.n - k + 1)

    def spread(self, most: int) -> NDArray[np.float32]:
        """All scores, ascending, where there are at most `most`; else so many, equally spaced among them."""
        places = np.linspace(1, self.n, min(self.n, most)).round() if self.n else np.empty(0)
        return self.values[np.searchsorted(self._up_to, places, side="left")]

    def _at(self, place: int) -> float:
        return float(self.values[np.searchsorted(self._up_to, place, side="left")])

    def _counted(self, points: int) -> int:
        return int(self._up_to[points - 1]) if points else 0

    def _some(self) -> int:
        if not self.n:
            raise ValueError("there are no scores; score some shards first")
        return self.n


def sketch(scores: ArrayLike | pl.Series, share_error: float) -> ScoreSketch:
    """Summarise finite scores of shape [documents] such that every share is known to within `share_error`.

    Keeps one point for every m = max(1, floor(2 x share_error x n)) documents, so that fewer than 1 / share_error
    documents, or few different scores, are summarised exactly. Raises ValueError for a score that is null, infinite or
    not a number, and for an error outside [0, 1).
    """
    if not 0 <= share_error < 1:
        raise ValueError(f"an error of a share is in [0, 1), not {share_error}")
    plain = scores.to_numpy() if isinstance(scores, pl.Series) else scores
    flat = np.asarray(plain, np.float32).ravel() + np.float32(0)  # -0.0 becomes 0.0, which is equal to it
    if bad := int((~np.isfinite(flat)).sum()):
        raise ValueError(f"{bad} of {len(flat)} scores are missing or not finite; leave them out and count them apart")
    values, counts = np.unique(flat, return_counts=True)
    return _thinned(ScoreSketch(values, counts.astype(np.int64)), math.floor(2 * share_error * len(flat)))


def merge(sketches: Iterable[ScoreSketch]) -> ScoreSketch:
    """The summary of all their scores; the uncertain documents add up, so that the error stays at most the largest.

    One at a time is held in memory beside the result. The order has no influence up to `MOST_POINTS` points; beyond
    them the result is thinned, which is accounted for in `uncertain`, and callers that want the same result again
    merge in the same order.
    """
    waiting: list[ScoreSketch] = []
    points = 0
    for one in sketches:
        waiting.append(one)
        points += len(one.values)
        if points > MOST_POINTS:
            joined = _joined(waiting)
            waiting = [_thinned(joined, joined.n // THINNED_TO)]
            points = len(waiting[0].values)
    return _joined(waiting)


def _joined(sketches: list[ScoreSketch]) -> ScoreSketch:
    if len(sketches) == 1:
        return sketches[0]
    every = np.concatenate([one.values for one in sketches]) if sketches else np.empty(0, np.float32)
    weights = np.concatenate([one.weights for one in sketches]) if sketches else np.empty(0, np.int64)
    order = np.argsort(every, kind="stable")
    values, starts = np.unique(every[order], return_index=True)
    summed = np.add.reduceat(weights[order], starts) if len(starts) else weights
    return ScoreSketch(values, summed, sum(one.uncertain for one in sketches))


def _thinned(whole: ScoreSketch, every: int) -> ScoreSketch:
    """The middle one of each `every` scores, for all of them: at most every // 2 of them are taken for another."""
    if every <= 1 or len(whole.values) <= math.ceil(whole.n / every):
        return whole
    starts = np.arange(0, whole.n, every)
    sizes = np.minimum(every, whole.n - starts)
    taken = np.searchsorted(whole._up_to, starts + sizes // 2, side="right")
    points, first = np.unique(taken, return_index=True)
    return ScoreSketch(whole.values[points], np.add.reduceat(sizes, first), whole.uncertain + every // 2)
