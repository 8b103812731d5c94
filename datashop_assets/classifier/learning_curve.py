"""Would more labels pay? Quality against the number of annotations.

What belongs here: which subsets are trained on, their figures, and the sentence. What does not: training (a function is
given), what of it is drawn (`report_pictures.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.dataset import LEAST_TRAIN, LEAST_VALIDATION
from datashop_assets.classifier.head import Floats
from datashop_assets.classifier.metrics import bootstrap, spearman
from datashop_assets.estimate import Estimate

Rows = NDArray[np.int64]
# Given positions of training rows, of validation rows and a seed, the predictions for the held-out rows.
Refit = Callable[[Rows, Rows, int], Floats]


@dataclass(frozen=True)
class CurvePoint:
    """Classifiers of so many `annotations` (training and validation rows), on the same held-out rows.

    `mae` and `spearman` are means over `draws` random subsets, the deviations standard deviations over them; null where
    one draw was made, or where not defined.
    """

    annotations: int
    draws: int
    mae: float
    mae_deviation: float | None
    spearman: float | None
    spearman_deviation: float | None


@dataclass(frozen=True)
class LearningCurve:
    """Points from few annotations to all. `gain` is (MAE at half of them - MAE at all), above 0: the second half paid;
    its interval is over held-out rows, paired, of the mean over the draws. Null where there is one point only."""

    points: tuple[CurvePoint, ...]
    gain: Estimate | None

    @property
    def words(self) -> str:
        """Whether more labels would pay, in a sentence."""
        last = self.points[-1].annotations
        if self.gain is None:
            return f"With {last} annotations there are too few to tell whether more would pay."
        step = f"from {self.points[-2].annotations} to {last} annotations held-out MAE fell by {self.gain}"
        if self.gain.low > 0:
            return f"More labels are likely to pay: {step}."
        if self.gain.high < 0:
            return f"More labels of this kind are not likely to pay: {step}, which is worse, beyond chance."
        return f"It is not shown that more labels would pay: {step}, and the interval holds 0."


def learning_curve(
    refit: Refit,
    train: int,
    validation: int,
    labels: Floats,
    predictions: Floats,
    points: int,
    draws: int,
    resamples: int,
    seed: int,
) -> LearningCurve:
    """Halve the annotations up to `points - 1` times, `draws` times over, and measure on the held-out rows.

    `train` and `validation` are how many rows there are of each: both are halved, since both are labels that were paid
    for. A draw's subsets are nested, random, and hold at least LEAST_TRAIN and LEAST_VALIDATION rows; `predictions` are
    those of the classifier of all rows. `refit` is called (points - 1) * draws times at most.
    """
    random = np.random.default_rng(seed)
    orders = [(random.permutation(train), random.permutation(validation)) for _ in range(draws)]
    label = np.asarray(labels, np.float64)
    found = [_point(train + validation, label, [np.asarray(predictions, np.float64)])]
    gain: Estimate | None = None
    error = np.abs(np.asarray(predictions, np.float64) - label)
    for halvings in range(1, points):
        sizes = train >> halvings, validation >> halvings
        if sizes[0] < LEAST_TRAIN or sizes[1] < LEAST_VALIDATION:
            break
        made = [
            np.asarray(refit(np.sort(first[: sizes[0]]), np.sort(second[: sizes[1]]), seed + draw), np.float64)
            for draw, (first, second) in enumerate(orders)
        ]
        found.insert(0, _point(sum(sizes), label, made))
        if gain is None:
            lost = np.mean([np.abs(each - label) for each in made], axis=0) - error
            gain = _mean(lost, resamples, seed)
    return LearningCurve(tuple(found), gain)


def _mean(values: NDArray[np.float64], resamples: int, seed: int) -> Estimate | None:
    figures, _ = bootstrap({"mean": lambda rows: float(values[rows].mean())}, len(values), resamples, seed)
    return figures["mean"]


def _point(annotations: int, labels: NDArray[np.float64], predicted: list[NDArray[np.float64]]) -> CurvePoint:
    maes = [float(np.abs(each - labels).mean()) for each in predicted]
    ranks = [spearman(labels, each) for each in predicted]
    known = not any(np.isnan(ranks))
    several = len(predicted) > 1
    return CurvePoint(
        annotations,
        len(predicted),
        float(np.mean(maes)),
        float(np.std(maes, ddof=1)) if several else None,
        float(np.mean(ranks)) if known else None,
        float(np.std(ranks, ddof=1)) if several and known else None,
    )
