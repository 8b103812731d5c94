"""How far two series of scores of the same documents agree, with intervals.

What belongs here: the measures. What does not: which documents and raters are compared (`rater_report.py`), how an
exemplar contrast follows known scores (`contrast.py`).
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from datashop_assets.estimate import Estimate

# All but Pearson's correlation are of scores rounded half to even to the scale's levels.
MEASURES = ("exact", "within_one", "pearson", "weighted_kappa", "alpha")
RESAMPLES = 500


def agreement(
    first: ArrayLike, second: ArrayLike, low: int, high: int, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate | None]:
    """The measures of two raters' scores of the same n documents, on the scale from `low` to `high`, by name.

    `exact`: share of documents with the same level. `within_one`: levels differ by one at most. `pearson`: correlation
    of the scores as they are. `weighted_kappa`: Cohen's kappa with quadratic weights (Cohen 1968, as in scikit-learn).
    `alpha`: Krippendorff's, ordinal (Krippendorff 2011, by the library of that name). Each with its 95 % percentile
    interval over documents drawn again `resamples` times. A measure is null where it is not defined: without
    documents, or, but for the shares, where a rater (for alpha: both) gives one value only.

    Raises ValueError where the series differ in length.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"agreement needs two scores of each document; got {a.size} and {b.size}")
    if not a.size:
        return dict.fromkeys(MEASURES)
    return over_resamples(lambda rows: _measures(a[rows], b[rows], low, high), a.size, resamples, seed)


def over_resamples(
    measures: Callable[[NDArray[np.int64]], Mapping[str, float]], documents: int, resamples: int, seed: int
) -> dict[str, Estimate | None]:
    """Each measure of all documents, with its 95 % percentile interval over documents drawn again `resamples` times.

    `measures` is given the numbers of documents; where it is not defined (NaN) it is null, and such resamples do not
    count.
    """
    random = np.random.default_rng(seed)
    values = measures(np.arange(documents))
    drawn = [measures(rows) for rows in random.integers(0, documents, (resamples, documents))]
    return {name: _estimate(value, [draw[name] for draw in drawn], documents) for name, value in values.items()}


def level_counts(first: ArrayLike, second: ArrayLike, low: int, high: int) -> NDArray[np.int64]:
    """Documents by level, of shape [levels, levels]: rows are the first rater's, columns the second's."""
    size = high - low + 1
    a, b = (
        np.clip(np.rint(np.asarray(scores, dtype=np.float64)), low, high).astype(np.int64) - low
        for scores in (first, second)
    )
    return np.bincount(a * size + b, minlength=size * size).reshape(size, size)


def _measures(a: NDArray[np.float64], b: NDArray[np.float64], low: int, high: int) -> Mapping[str, float]:
    counts = level_counts(a, b, low, high)
    rows, columns = np.indices(counts.shape)
    return {
        "exact": float(np.trace(counts) / counts.sum()),
        "within_one": float(counts[abs(rows - columns) <= 1].sum() / counts.sum()),
        "pearson": float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else float("nan"),
        "weighted_kappa": weighted_kappa(counts),
        "alpha": _alpha(counts),
    }


def weighted_kappa(counts: NDArray[np.int64]) -> float:
    """Cohen's kappa with quadratic weights, of `level_counts`; NaN where a rater gives one level only."""
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    if min(np.count_nonzero(rows), np.count_nonzero(columns)) < 2:
        return float("nan")
    first, second = np.indices(counts.shape)
    weights = (first - second) ** 2
    # Written out: scikit-learn's takes 1.4 ms a call, nearly all for checks, and an interval takes 500 of them.
    return float(1 - (weights * counts).sum() * counts.sum() / (weights * np.outer(rows, columns)).sum())


def _alpha(counts: NDArray[np.int64]) -> float:
    import krippendorff

    if np.count_nonzero(counts.sum(axis=0) + counts.sum(axis=1)) < 2:
        return float("nan")
    levels = np.eye(len(counts), dtype=np.int64)
    of_pairs = (levels[:, None, :] + levels[None, :, :]).reshape(-1, len(counts))
    of_documents = np.repeat(of_pairs, counts.ravel(), axis=0)
    return float(krippendorff.alpha(value_counts=of_documents, level_of_measurement="ordinal"))


def _estimate(value: float, drawn: list[float], n: int) -> Estimate | None:
    """None where the value is not defined; resamples on which it is not do not count."""
    if np.isnan(value):
        return None
    defined = [draw for draw in drawn if not np.isnan(draw)]
    low, high = np.percentile(defined, [2.5, 97.5]) if defined else (value, value)
    return Estimate(value, float(low), float(high), n)
