"""Texts in clusters, one true score each, and a rater that errs in a known way."""

import numpy as np
from numpy.typing import NDArray

LEVELS = 4


def clusters(rows: int, dimension: int = 16, spread: float = 0.35, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Vectors of shape [rows, dimension] around LEVELS directions, and the true score of each."""
    random = np.random.default_rng(seed)
    centres = np.linalg.qr(random.normal(size=(dimension, dimension)))[0][:LEVELS]
    true = random.integers(0, LEVELS, rows)
    return (centres[true] + spread * random.normal(size=(rows, dimension))).astype(np.float32), true


def errors(rate: float, *, even: bool = True) -> NDArray:
    """A score transition matrix with a diagonal of 1 - rate; uneven errors go up by one or two."""
    kept = np.eye(LEVELS) * (1 - rate)
    if even:
        return kept + rate / (LEVELS - 1) * (1 - np.eye(LEVELS))
    return kept + rate * (0.7 * np.roll(np.eye(LEVELS), 1, axis=1) + 0.3 * np.roll(np.eye(LEVELS), 2, axis=1))


def rated(true: NDArray, matrix: NDArray, seed: int = 1) -> NDArray:
    """The ratings of a rater with these errors."""
    drawn = np.random.default_rng(seed).random(len(true))
    return (drawn[:, None] > matrix[true].cumsum(axis=1)).sum(axis=1).clip(0, LEVELS - 1)
