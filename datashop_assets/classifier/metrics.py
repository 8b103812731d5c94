"""How good predictions are: every figure with a bootstrap interval over the held-out rows.

What belongs here: metrics of (label, prediction) and their intervals. What does not: which rows (`dataset.py`),
what a classifier must reach (`verdict.py`).

Classes are scores rounded half to even and clipped to the scale; a row is positive when its rounded score is at least
the lens's `positive_at`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.head import Floats, int_scores
from datashop_assets.estimate import Estimate
from datashop_assets.rating.lens import Lens

# The metrics below return NaN where they are not defined; `bootstrap` turns that into null with a note.
UNDEFINED = float("nan")
Metric = Callable[[NDArray[np.int64]], float]


@dataclass(frozen=True)
class Bin:
    """Held-out rows of neighbouring predictions: their mean prediction, mean label and number."""

    prediction: float
    label: float
    n: int


def confusion(labels: Floats, predictions: Floats, lens: Lens) -> NDArray[np.int64]:
    """Counts of shape [classes, classes]: rows are the rounded label, columns the rounded prediction."""
    size = lens.high - lens.low + 1
    rows = int_scores(labels, lens).astype(np.int64) - lens.low
    columns = int_scores(predictions, lens).astype(np.int64) - lens.low
    return np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)


def metrics(labels: Floats, predictions: Floats, lens: Lens) -> dict[str, Metric]:
    """The metrics as functions of chosen rows (positions in `labels`), NaN where not defined on them."""
    positive_label = int_scores(labels, lens) >= lens.positive_at
    positive_prediction = int_scores(predictions, lens) >= lens.positive_at
    error = np.asarray(predictions, np.float64) - labels

    def counts(rows: NDArray[np.int64]) -> tuple[int, int, int]:
        both = int((positive_label[rows] & positive_prediction[rows]).sum())
        return both, int(positive_label[rows].sum()), int(positive_prediction[rows].sum())

    def f1(rows: NDArray[np.int64]) -> float:
        both, labelled, predicted = counts(rows)
        return _ratio(2 * both, labelled + predicted)

    def precision(rows: NDArray[np.int64]) -> float:
        both, _, predicted = counts(rows)
        return _ratio(both, predicted)

    def recall(rows: NDArray[np.int64]) -> float:
        both, labelled, _ = counts(rows)
        return _ratio(both, labelled)

    return {
        "mae": lambda rows: float(np.abs(error[rows]).mean()),
        "rmse": lambda rows: float(np.sqrt((error[rows] ** 2).mean())),
        "spearman": lambda rows: spearman(labels[rows], predictions[rows]),
        "accuracy": lambda rows: accuracy(confusion(labels[rows], predictions[rows], lens)),
        "macro_f1": lambda rows: macro_f1(confusion(labels[rows], predictions[rows], lens)),
        "f1_at_positive": f1,
        "precision_at_positive": precision,
        "recall_at_positive": recall,
        "auc_at_positive": lambda rows: auc(positive_label[rows], predictions[rows]),
        "calibration_slope": lambda rows: calibration(labels[rows], predictions[rows])[0],
        "calibration_intercept": lambda rows: calibration(labels[rows], predictions[rows])[1],
    }


def accuracy(matrix: NDArray[np.int64]) -> float:
    return _ratio(int(np.trace(matrix)), int(matrix.sum()))


def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that occur as a label or as a prediction."""
    total = matrix.sum(axis=0) + matrix.sum(axis=1)
    return float((2 * np.diag(matrix)[total > 0] / total[total > 0]).mean())


def spearman(labels: Floats, predictions: Floats) -> float:
    """Rank correlation with mean ranks for ties; NaN where either side is constant."""
    from scipy.stats import rankdata

    if np.ptp(labels) == 0 or np.ptp(predictions) == 0:
        return UNDEFINED
    middle = (len(labels) + 1) / 2  # the mean of the ranks, ties or not
    first, second = rankdata(labels) - middle, rankdata(predictions) - middle
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


def auc(positive: NDArray[np.bool_], predictions: Floats) -> float:
    """Chance that a positive row is predicted above a negative one, ties half; NaN with one class (Mann-Whitney)."""
    from scipy.stats import rankdata

    n = int(positive.sum())
    pairs = n * (len(positive) - n)
    return _ratio(float(rankdata(predictions)[positive].sum()) - n * (n + 1) / 2, pairs)


def calibration(labels: Floats, predictions: Floats) -> tuple[float, float]:
    """Slope and intercept of the label regressed on the prediction: (1, 0) is calibrated, a slope below 1 overfits."""
    spread = np.asarray(predictions, np.float64) - np.mean(predictions, dtype=np.float64)
    if not np.any(spread):
        return UNDEFINED, UNDEFINED
    slope = float((spread * labels).sum() / (spread**2).sum())
    return slope, float(np.mean(labels) - slope * np.mean(predictions, dtype=np.float64))


def reliability_bins(labels: Floats, predictions: Floats, most: int = 10, least_rows: int = 8) -> tuple[Bin, ...]:
    """Rows in order of prediction, in at most `most` bins of equal size, each of about `least_rows` rows or more."""
    parts = np.array_split(np.argsort(predictions, kind="stable"), min(most, max(1, len(labels) // least_rows)))
    return tuple(Bin(float(predictions[part].mean()), float(labels[part].mean()), len(part)) for part in parts)


def bootstrap(
    functions: Mapping[str, Metric], n: int, resamples: int, seed: int
) -> tuple[dict[str, Estimate | None], tuple[str, ...]]:
    """Each metric on all n rows with its 95 % percentile interval over resampled rows (Efron 1979), and notes.

    All metrics see the same resamples, so a difference of two of them is paired by row. A metric that is not defined
    on the rows is null; one that is undefined on some resamples has its interval over the others; one that is always
    the same has an interval without width. Notes say all three.
    """
    every = np.arange(n)
    values = {name: metric(every) for name, metric in functions.items()}
    drawn: dict[str, list[float]] = {name: [] for name in functions}
    for rows in resampled(n, resamples, seed):
        for name, metric in functions.items():
            drawn[name].append(metric(rows))
    estimates: dict[str, Estimate | None] = {}
    notes: list[str] = []
    for name, value in values.items():
        estimate = estimates[name] = estimate_of(value, np.asarray(drawn[name]), n)
        if estimate is None:
            notes.append(f"{name} is not defined on these {n} rows (one class or one value only)")
            continue
        undefined = int(np.isnan(drawn[name]).sum())
        if undefined:
            notes.append(f"{name} is not defined on {undefined} of {resamples} resamples; its interval is of the rest")
        if estimate.low == estimate.high:
            notes.append(f"{name} is the same on every resample; resampling {n} rows cannot show how sure it is")
    return estimates, tuple(notes)


def resampled(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Positions of n rows drawn from n with replacement, `resamples` times; the same seed gives the same draws."""
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield random.integers(0, n, n)


def estimate_of(value: float, drawn: NDArray[np.float64], n: int) -> Estimate | None:
    """A figure with the 95 % percentile interval of its values on resamples; null where it is not defined (NaN).

    Resamples on which it is not defined do not count; where none is left, the interval has no width: it is not known.
    """
    if np.isnan(value):
        return None
    defined = drawn[~np.isnan(drawn)]
    low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (value, value)
    return Estimate(float(value), float(low), float(high), n)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else UNDEFINED
