"""The linear head: vector to score, and its identity.

What belongs here: the head itself, fitting it, rounding its scores to the scale. What does not: choosing rows
(`dataset.py`), judging the result (`metrics.py`, `verdict.py`), the rest of a model's folder (`export.py`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datashop_assets.rating.lens import Lens

Floats = NDArray[np.floating]
HEAD_FILE = "head.safetensors"


@dataclass(frozen=True, eq=False)
class Head:
    """score = vector · weights + bias; weights are float32 of shape [dimension]."""

    weights: NDArray[np.float32]
    bias: float

    def predict(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of shape [rows], real-valued and not clipped. Raises ValueError where the dimension differs."""
        if len(embeddings) == 0:
            return np.empty(0, np.float32)
        if embeddings.ndim != 2 or embeddings.shape[1] != len(self.weights):
            raise ValueError(
                f"the head takes vectors of {len(self.weights)} values, got an array of shape {embeddings.shape}; "
                "embed with the encoder that the classifier was trained on"
            )
        return (embeddings.astype(np.float32, copy=False) @ self.weights + np.float32(self.bias)).astype(np.float32)


def classifier_id(encoder: str, head: Head) -> str:
    """12 hex digits of the encoder's id and the head's values: equal classifiers have equal ids."""
    digest = hashlib.sha256(encoder.encode())
    digest.update(head.weights.astype("<f4").tobytes())
    digest.update(np.float32(head.bias).astype("<f4").tobytes())
    return digest.hexdigest()[:12]


def int_scores(scores: Floats, lens: Lens) -> NDArray[np.int8]:
    """Rounded half to even and clipped to the lens's scale."""
    return np.clip(np.rint(scores), lens.low, lens.high).astype(np.int8)


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


def save_head(directory: Path, head: Head) -> None:
    """Write `head.safetensors`: float32 `weight` of shape [dimension] and `bias` of shape [1]."""
    from safetensors.numpy import save_file

    save_file({"weight": head.weights, "bias": np.array([head.bias], np.float32)}, directory / HEAD_FILE)


def load_head(directory: Path) -> Head:
    """The head in a model folder. Raises FileNotFoundError naming the file where there is none."""
    from safetensors.numpy import load_file

    if not (directory / HEAD_FILE).is_file():
        raise FileNotFoundError(f"{directory / HEAD_FILE} does not exist; the folder is not an exported classifier")
    tensors = load_file(directory / HEAD_FILE)
    return Head(tensors["weight"], float(tensors["bias"][0]))
