"""The softmax recipe: multinomial logistic regression over the scores, whose expected value is the score.

What belongs here: the recipe. What does not: the head's arithmetic (`layers.py`).

Targets are rounded half to even and clipped, since a class is one whole score: of a rater's expected score of 2.4 it
learns a 2. `linear` and `ordinal` learn from the 2.4.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.dataset import TrainingError
from datashop_assets.classifier.head import int_scores
from datashop_assets.classifier.layers import Layer, LayeredHead
from datashop_assets.classifier.recipes import Examples, Fit, Reads, Step
from datashop_assets.model_settings import SoftmaxSettings
from datashop_assets.rating.lens import Lens


@dataclass(frozen=True)
class SoftmaxRecipe:
    """The regularisation with the smallest validation MAE, then a fit on training and validation rows together."""

    settings: SoftmaxSettings
    reads: Reads = "vectors"

    def fit(self, train: Examples, validation: Examples, lens: Lens, seed: int) -> Fit:  # noqa: ARG002
        """Deterministic: the seed has no part in it. Raises TrainingError where all targets round to one score."""
        classes = int_scores(train.targets, lens)
        if (classes == classes[0]).all():
            raise TrainingError(
                f"all {len(classes)} training scores round to {classes[0]}: a softmax head has nothing to tell apart. "
                "Take the kind linear or ordinal, which learn from scores between two whole ones, or rate more."
            )
        vectors = np.asarray(train.inputs)
        log = []
        for l2 in self.settings.l2:
            predictions = _fit(vectors, classes, train.weights, l2).predict(np.asarray(validation.inputs))
            log.append(Step("l2", l2, None, float(np.abs(predictions - validation.rated).mean())))
        best = min(log, key=lambda step: step.validation_mae).value
        head = _fit(
            np.concatenate([vectors, validation.inputs]),
            np.concatenate([classes, int_scores(validation.targets, lens)]),
            np.concatenate([train.weights, validation.weights]),
            best,
        )
        return Fit(head, {"l2": best}, tuple(log))


def _fit(
    vectors: NDArray[np.float32], classes: NDArray[np.int8], weights: NDArray[np.float64], l2: float
) -> LayeredHead:
    """Minimises cross-entropy (weighted by row) + l2 / 2 · |weights|²; scores that no row has get no probability."""
    from sklearn.linear_model import LogisticRegression

    # Around their mean: raw CLS states have values that are near 5 in every text, and took three times as long.
    centre = vectors.mean(axis=0, dtype=np.float64)
    model = LogisticRegression(C=1 / l2, max_iter=1000, tol=1e-6).fit(vectors - centre, classes, weights)
    coefficients, biases = model.coef_, model.intercept_ - model.coef_ @ centre
    if len(coefficients) == 1:  # of two classes sklearn gives the odds of the second alone
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        biases = np.concatenate([np.zeros_like(biases), biases])
    probabilities = Layer(coefficients.astype(np.float32), biases.astype(np.float32), "softmax")
    return LayeredHead(
        "softmax", (probabilities, Layer(model.classes_[None].astype(np.float32), np.zeros(1, np.float32)))
    )
