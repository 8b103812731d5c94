"""The linear recipe: ridge regression on stored vectors, the default.

What belongs here: fitting the head and choosing its regularisation. What does not: the head itself (`head.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.head import Floats, Head
from datashop_assets.classifier.recipes import Examples, Fit, Reads, Step
from datashop_assets.model_settings import LinearSettings
from datashop_assets.rating.lens import Lens


@dataclass(frozen=True)
class LinearRecipe:
    """The regularisation with the smallest validation MAE, then a fit on training and validation rows together."""

    settings: LinearSettings
    reads: Reads = "vectors"

    def fit(self, train: Examples, validation: Examples, lens: Lens, seed: int) -> Fit:  # noqa: ARG002
        """Deterministic: neither the seed nor the lens's scale has a part in it."""
        mae = choose_l2(
            (np.asarray(train.inputs), train.targets),
            (np.asarray(validation.inputs), validation.rated),
            self.settings.l2,
            weights_or_none(train.weights),
        )
        best = min(mae, key=lambda value: mae[value])
        head = fit(
            np.concatenate([train.inputs, validation.inputs]),
            np.concatenate([train.targets, validation.targets]),
            best,
            weights_or_none(np.concatenate([train.weights, validation.weights])),
        )
        return Fit(head, {"l2": best}, tuple(Step("l2", value, None, error) for value, error in mae.items()))


def fit(embeddings: NDArray[np.float32], scores: Floats, l2: float, weights: Floats | None = None) -> Head:
    """Ridge regression with an unpenalised intercept: minimises squared error (weighted by row) + l2 · |weights|²."""
    from sklearn.linear_model import Ridge

    # Solved in float64: at l2 = 0.01 the normal equations of near-equal texts are ill-conditioned for float32.
    model = Ridge(alpha=l2).fit(embeddings.astype(np.float64), np.asarray(scores, np.float64), weights)
    return Head(np.ascontiguousarray(model.coef_, np.float32), float(np.float32(model.intercept_)))


def choose_l2(
    train: tuple[NDArray[np.float32], Floats],
    validation: tuple[NDArray[np.float32], Floats],
    l2: Sequence[float],
    weights: Floats | None = None,
) -> dict[float, float]:
    """Validation MAE of each regularisation; the smallest is the best.

    MAE and not squared error, because the verdict is passed on MAE, and a single absurd rating weighs less in it.
    """
    features, scores = validation
    return {value: float(np.abs(fit(*train, value, weights).predict(features) - scores).mean()) for value in l2}


def weights_or_none(weights: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """None where every row weighs 1: the solver then takes its unweighted path, whose last digits differ."""
    return None if np.all(weights == 1) else weights
