"""Made-up examples for tests of recipes: vectors, and scores that follow from them."""

from collections.abc import Callable

import numpy as np

from datashop_assets.classifier.recipes import Examples


def made_up(
    n: int, noise: float = 0.0, seed: int = 0, of: Callable[[np.ndarray], np.ndarray] | None = None
) -> Examples:
    """Vectors of 8 values; the scores are 2.5 + the first one, or `of` the vectors, with noise, from 0 to 5."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(n, 8)).astype(np.float32)
    values = vectors[:, 0] + 2.5 if of is None else of(vectors)
    scores = np.clip(values + random.normal(0, noise, n), 0, 5).astype(np.float64)
    return Examples(vectors, scores, np.ones(n), scores)


def error(predictions: np.ndarray, examples: Examples) -> float:
    return float(np.abs(predictions - examples.rated).mean())
