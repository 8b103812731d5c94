"""The ordinal recipe: one direction of the vector space, and a threshold between each two scores of the scale.

What belongs here: the recipe and its solver. What does not: the head's arithmetic (`layers.py`).

For every threshold k between two scores, log odds(score > k) = vector · weights + bias_k, with the same weights for all
k; the loss is the cross-entropy of all of them together (Cao, Mirjalili & Raschka 2020, CORAL, section 3), which is
convex and keeps the biases in order. The score is the expected value: low + the sum of the probabilities. A target
between two scores, such as a rater's expected score of 2.4, is a threshold passed with probability 0.4: nothing is
rounded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.layers import Layer, LayeredHead
from datashop_assets.classifier.recipes import Examples, Fit, Reads, Step
from datashop_assets.model_settings import OrdinalSettings
from datashop_assets.rating.lens import Lens

Solution = NDArray[np.float64]


@dataclass(frozen=True)
class OrdinalRecipe:
    """The regularisation with the smallest validation MAE, then a fit on training and validation rows together."""

    settings: OrdinalSettings
    reads: Reads = "vectors"

    def fit(self, train: Examples, validation: Examples, lens: Lens, seed: int) -> Fit:  # noqa: ARG002
        """Deterministic: the seed has no part in it."""
        log, start, best = [], None, (np.inf, 0.0)
        for l2 in sorted(self.settings.l2, reverse=True):  # from the smoothest on, each from where the last one ended
            start, loss = _solve(train, lens, l2, start)
            predictions = _head(start, lens).predict(np.asarray(validation.inputs))
            mae = float(np.abs(predictions - validation.rated).mean())
            log.append(Step("l2", l2, loss, mae))
            best = min(best, (mae, l2))
        both = Examples(
            np.concatenate([train.inputs, validation.inputs]),
            np.concatenate([train.targets, validation.targets]),
            np.concatenate([train.weights, validation.weights]),
            np.concatenate([train.rated, validation.rated]),
        )
        return Fit(_head(_solve(both, lens, best[1], None)[0], lens), {"l2": best[1]}, tuple(log))


def _solve(examples: Examples, lens: Lens, l2: float, start: Solution | None) -> tuple[Solution, float]:
    """Weights and biases that minimise the loss + l2 / 2 · |weights|², and the loss per unit of weight."""
    from scipy.optimize import minimize
    from scipy.special import expit

    vectors = np.asarray(examples.inputs, np.float64)
    centre = vectors.mean(axis=0)  # the same optimum, reached in fewer steps
    vectors -= centre
    dimension, thresholds = vectors.shape[1], np.arange(lens.low, lens.high)
    passed = np.clip(examples.targets[:, None] - thresholds, 0, 1)
    weights = examples.weights[:, None]

    def loss(solution: Solution) -> tuple[float, Solution]:
        direction, biases = solution[:dimension], solution[dimension:]
        odds = (vectors @ direction)[:, None] + biases
        value = (weights * (np.logaddexp(0, odds) - passed * odds)).sum() + l2 / 2 * direction @ direction
        slope = weights * (expit(odds) - passed)
        return value, np.concatenate([vectors.T @ slope.sum(axis=1) + l2 * direction, slope.sum(axis=0)])

    start = np.zeros(dimension + len(thresholds)) if start is None else _moved(start, dimension, centre)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    return _moved(found.x, dimension, -centre), float(found.fun) / float(examples.weights.sum())


def _moved(solution: Solution, dimension: int, by: NDArray[np.float64]) -> Solution:
    """The solution for vectors from which `by` was taken away."""
    return np.concatenate([solution[:dimension], solution[dimension:] + solution[:dimension] @ by])


def _head(solution: Solution, lens: Lens) -> LayeredHead:
    """Probabilities of passing each threshold, then their sum above the lowest score."""
    count = lens.high - lens.low
    direction, biases = solution[:-count].astype(np.float32), solution[-count:].astype(np.float32)
    probabilities = Layer(np.tile(direction, (count, 1)), biases, "sigmoid")
    return LayeredHead(
        "ordinal", (probabilities, Layer(np.ones((1, count), np.float32), np.array([lens.low], np.float32)))
    )
