"""What a threshold on the score would keep, and how well: precision, recall and F1 against the kept share.

What belongs here: the curve and reading it. What does not: choosing the cut-off of a lens (the filtering stage).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.head import Floats, int_scores
from datashop_assets.classifier.metrics import estimate_of, resampled
from datashop_assets.estimate import Estimate
from datashop_assets.rating.lens import Lens

# Points of the curve, and held-out rows between two of them at least: finer steps would show single rows.
MOST_POINTS, ROWS_A_POINT = 20, 3


@dataclass(frozen=True)
class ThresholdPoint:
    """What `score >= threshold` keeps of the held-out rows, where positive are labels of the lens's `positive_at` or
    more, rounded. A figure is null where it is not defined: no row is positive."""

    threshold: float
    kept: Estimate
    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None


def threshold_curve(
    labels: Floats, predictions: Floats, lens: Lens, resamples: int, seed: int
) -> tuple[ThresholdPoint, ...]:
    """Thresholds from the lowest (everything is kept) to one that keeps few, at even steps of the kept share.

    Intervals are 95 % percentile intervals over resampled held-out rows, of each figure at a fixed threshold.
    """
    scores = np.asarray(predictions, np.float64)
    order = np.argsort(-scores, kind="stable")
    positive = (int_scores(labels, lens) >= lens.positive_at)[order]
    thresholds = _thresholds(scores)
    ends = np.searchsorted(-scores[order], -thresholds, side="right")
    values = _figures(np.ones(len(scores)), positive, ends)
    drawn = np.array(
        [
            _figures(np.bincount(rows, minlength=len(scores)).astype(float), positive, ends)
            for rows in resampled(len(scores), resamples, seed)
        ]
    )

    def estimates(figure: int) -> list[Estimate | None]:
        return [estimate_of(v, d, len(scores)) for v, d in zip(values[figure], drawn[:, figure].T, strict=True)]

    return tuple(
        ThresholdPoint(float(threshold), kept, precision, recall, f1)
        for threshold, kept, precision, recall, f1 in zip(thresholds, *map(estimates, range(4)), strict=True)
        if kept is not None
    )


def keeping(curve: Sequence[ThresholdPoint], share: float) -> ThresholdPoint:
    """The point whose kept share is nearest to `share`, of two the one that keeps more."""
    return min(curve, key=lambda point: (abs(point.kept.value - share), -point.kept.value))


def at_threshold(curve: Sequence[ThresholdPoint], threshold: float) -> ThresholdPoint:
    """The point nearest to a threshold."""
    return min(curve, key=lambda point: abs(point.threshold - threshold))


def _thresholds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    points = max(1, min(MOST_POINTS, len(scores) // ROWS_A_POINT))
    return np.unique(np.quantile(scores, np.arange(points) / points, method="higher"))


def _figures(counts: NDArray[np.float64], positive: NDArray[np.bool_], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Kept share, precision, recall and F1, [4, thresholds], of rows from the highest score on that count so often."""
    kept = np.concatenate([[0.0], np.cumsum(counts)])[ends]
    hits = np.concatenate([[0.0], np.cumsum(counts * positive)])[ends]
    positives = float((counts * positive).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = hits / positives if positives else np.full(len(ends), np.nan)
        f1 = 2 * hits / (kept + positives) if positives else np.full(len(ends), np.nan)
        return np.array([kept / counts.sum(), hits / kept, recall, f1])
