"""Scores of a reduced precision beside a cut-off: which of them have to be made again exactly.

What belongs here: the bound of a reduced precision's error, measured, and the documents within it. What does not:
encoding (`resources/encoders/`), the cut-off (`filtering/`). Pure.

A reduced precision moves scores by a little, and only a document whose score is nearer to the cut-off than that can be
decided otherwise. A calibration sample, scored both ways, says how far it moves them; the documents within that
distance are encoded again in float32. Decisions are then those of float32 wherever an error is within the bound.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ErrorBound:
    """How far a reduced precision moves scores: `error` at most, in the scores' own unit.

    With 95 % confidence at most a share `exceeded` of documents like those that were compared, `documents` of them, is
    beyond it: of a crawl unlike them nothing is known.
    """

    error: float
    documents: int
    exceeded: float


def error_bound(exact: NDArray[np.floating], reduced: NDArray[np.floating], margin: float = 1.5) -> ErrorBound:
    """The bound from documents scored both ways: `margin` times the largest difference, in float64.

    Of n documents drawn at random none exceeds the largest difference, so that with 95 % confidence at most
    1 - 0.05^(1/n) of those that they were drawn from do (Clopper and Pearson, Biometrika 1934); the margin only lowers
    that. Raises ValueError where there are no documents, the lengths differ or a score is not finite.
    """
    if len(exact) != len(reduced) or len(exact) == 0:
        raise ValueError(f"{len(exact)} exact and {len(reduced)} reduced scores; give the same documents, at least one")
    difference = np.abs(np.asarray(exact, np.float64) - np.asarray(reduced, np.float64))
    if not np.isfinite(difference).all():
        raise ValueError("a score of the calibration documents is NaN or infinite; leave such documents out")
    exceeded = 1 - math.exp(math.log(0.05) / len(exact))
    return ErrorBound(float(margin * difference.max()), len(exact), exceeded)


def near_cutoff(reduced: NDArray[np.floating], cutoff: float | NDArray[np.floating], error: float) -> NDArray[np.int64]:
    """The rows whose reduced score is within `error` of the cut-off, ascending: to be encoded again exactly.

    The cut-off is one for all, or of shape [documents] one for each. A score that is not finite decides nothing, so its
    row is among them. Raises ValueError where `error` is negative.
    """
    if not error >= 0:
        raise ValueError(f"an error bound of {error} is none; measure it with error_bound")
    distance = np.abs(np.asarray(reduced, np.float64) - cutoff)
    return np.flatnonzero(~(distance > error))


def decided(reduced: NDArray[np.floating], rows: NDArray[np.int64], exact: NDArray[np.floating]) -> NDArray[np.float64]:
    """The scores to decide by: exact ones for `rows`, [rows], reduced ones for all others, [documents]."""
    scores = np.asarray(reduced, np.float64).copy()
    scores[rows] = exact
    return scores
