"""How different the documents of a subset are from one another.

What belongs here: the Vendi score, and the distance to the nearest other document. What does not: which subsets are
measured (`compare.py`), distances that strategies rank by (`knn_distance.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.selection.pool import Vectors

# Rows of one block: 256 x 300,000 similarities in float32 are 0.3 GB; of the covariance, 8,192 x 384 in float64 25 MB.
BLOCK = 256
COVARIANCE_BLOCK = 8192


@dataclass(frozen=True)
class Diversity:
    """Of `rows` vectors: their Vendi score, and the mean cosine distance of `asked` of them to their nearest other.

    `margin` is half of that mean's 95 % interval: 0 where all were asked, null where one row alone was. All are null
    where there is nothing to measure.
    """

    rows: int
    vendi: float | None
    nearest_distance: float | None
    margin: float | None
    asked: int


def diversity(unit: Vectors, asked: NDArray[np.int64]) -> Diversity:
    """The diversity of unit vectors of shape [rows, dimension], of which the rows `asked` look for their nearest."""
    if len(unit) < 2:
        return Diversity(len(unit), vendi_score(unit) if len(unit) else None, None, None, 0)
    nearest = nearest_distances(unit, asked)
    return Diversity(len(unit), vendi_score(unit), float(nearest.mean()), _margin(nearest, len(unit)), len(asked))


def vendi_score(unit: Vectors) -> float:
    """The effective number of different vectors: 1 where all are one, n where n are orthogonal, the dimension at most.

    Friedman and Dieng, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning", TMLR 2023, section 3,
    with the cosine as its kernel: the exponential of the Shannon entropy of the eigenvalues of K / n. Those of the
    dimension x dimension matrix X'X / n are the same but for zeros, so that no n x n matrix is made.
    """
    dimension = unit.shape[1]
    covariance = np.zeros((dimension, dimension))
    for start in range(0, len(unit), COVARIANCE_BLOCK):
        block = unit[start : start + COVARIANCE_BLOCK].astype(np.float64)
        covariance += block.T @ block
    eigenvalues = np.linalg.eigvalsh(covariance / np.trace(covariance))
    positive = eigenvalues[eigenvalues > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def nearest_distances(unit: Vectors, asked: NDArray[np.int64]) -> Vectors:
    """The cosine distance of each of the rows asked to the nearest other row, its own copies included."""
    nearest = np.empty(len(asked), np.float32)
    for start in range(0, len(asked), BLOCK):
        rows = asked[start : start + BLOCK]
        similarity = unit[rows] @ unit.T
        similarity[np.arange(len(rows)), rows] = -np.inf
        nearest[start : start + BLOCK] = np.clip(1 - similarity.max(axis=1), 0, 2)
    return nearest


def _margin(nearest: Vectors, rows: int) -> float | None:
    """By the normal approximation, for a draw without replacement (Cochran 1977, section 2.5)."""
    if len(nearest) == rows:
        return 0.0
    if len(nearest) < 2:
        return None
    error = nearest.std(ddof=1, dtype=np.float64) * np.sqrt((1 - len(nearest) / rows) / len(nearest))
    return float(1.96 * error)
