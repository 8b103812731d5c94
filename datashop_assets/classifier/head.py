"""The linear head: vector to score; and the identity of a classifier.

What belongs here: the head itself and its file, rounding scores to the scale, the id of a scorer with its encoder. What
does not: fitting it (`linear.py`), other heads (`layers.py`), the rest of a model's folder (`export.py`).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.recipes import Reads, Scorer, write_description
from datashop_assets.rating.lens import Lens

Floats = NDArray[np.floating]
HEAD_FILE = "head.safetensors"


@dataclass(frozen=True, eq=False)
class Head:
    """score = vector · weights + bias; weights are float32 of shape [dimension]."""

    weights: NDArray[np.float32]
    bias: float
    form: str = "linear"
    reads: Reads = "vectors"

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of shape [rows], real-valued and not clipped. Raises ValueError where the dimension differs."""
        if len(inputs) == 0:
            return np.empty(0, np.float32)
        require_dimension(inputs, len(self.weights))
        return (inputs.astype(np.float32, copy=False) @ self.weights + np.float32(self.bias)).astype(np.float32)

    def save(self, directory: Path) -> None:
        """Write scorer.json and `head.safetensors`: float32 `weight` of shape [dimension] and `bias` of shape [1]."""
        from safetensors.numpy import save_file

        save_file({"weight": self.weights, "bias": np.array([self.bias], np.float32)}, directory / HEAD_FILE)
        write_description(directory, self.form)

    def digest(self) -> str:
        """The values themselves, so that the ids of linear classifiers are what they always were."""
        values = np.append(self.weights, np.float32(self.bias)).astype("<f4")
        return str(values.tobytes().hex())


def classifier_id(encoder: str, scorer: Scorer) -> str:
    """12 hex digits of the encoder's id and the scorer's values: equal classifiers have equal ids."""
    return hashlib.sha256(encoder.encode() + bytes.fromhex(scorer.digest())).hexdigest()[:12]


def int_scores(scores: Floats, lens: Lens) -> NDArray[np.int8]:
    """Rounded half to even and clipped to the lens's scale."""
    return np.clip(np.rint(scores), lens.low, lens.high).astype(np.int8)


def require_dimension(vectors: NDArray[np.float32], dimension: int) -> None:
    """Raises ValueError where the vectors are not of this dimension."""
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise ValueError(
            f"the head takes vectors of {dimension} values, got an array of shape {vectors.shape}; "
            "embed with the encoder that the classifier was trained on"
        )


def load_head(directory: Path) -> Head:
    """The linear head in a model folder. Raises FileNotFoundError naming the file where there is none."""
    from safetensors.numpy import load_file

    if not (directory / HEAD_FILE).is_file():
        raise FileNotFoundError(f"{directory / HEAD_FILE} does not exist; the folder is not an exported classifier")
    tensors = load_file(directory / HEAD_FILE)
    return Head(tensors["weight"], float(tensors["bias"][0]))
