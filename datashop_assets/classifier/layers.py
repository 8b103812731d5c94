"""Heads of one or more dense layers: vector to score in numpy, and the files that numpy alone can read.

What belongs here: the layers, their arithmetic and their files. What does not: training them (`network.py`,
`ordinal.py`, `softmax.py`), the linear head, whose file is simpler (`head.py`).
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.head import HEAD_FILE, require_dimension
from datashop_assets.classifier.recipes import Reads, read_description, write_description

Activation = Literal["identity", "tanh", "sigmoid", "softmax"]
# Rows that go through the layers at a time: at 768 values a hidden layer then takes 25 MB, however large the shard.
BLOCK_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Layer:
    """activation(weight · input + bias); weight is float32 of shape [out, in], bias of shape [out]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    activation: Activation = "identity"

    def __call__(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows to rows. Softmax is over a row."""
        values: NDArray[np.float32] = inputs @ self.weight.T + self.bias
        match self.activation:
            case "identity":
                return values
            case "tanh":
                return np.tanh(values)
            case "sigmoid":
                return np.exp(-np.logaddexp(np.float32(0), -values))  # does not overflow
            case "softmax":
                powers = np.exp(values - values.max(axis=1, keepdims=True))
                return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class LayeredHead:
    """A Scorer of dense layers one after another, the last of which has one value: the score."""

    form: str
    layers: tuple[Layer, ...]
    reads: Reads = "vectors"

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of shape [rows], real-valued and not clipped. Raises ValueError where the dimension differs."""
        scores = np.empty(len(inputs), np.float32)
        if len(inputs):
            require_dimension(inputs, self.layers[0].weight.shape[1])
        for start in range(0, len(inputs), BLOCK_ROWS):
            values = inputs[start : start + BLOCK_ROWS].astype(np.float32, copy=False)
            for layer in self.layers:
                values = layer(values)
            scores[start : start + BLOCK_ROWS] = values[:, 0]
        return scores

    def save(self, directory: Path) -> None:
        """Write scorer.json (form, and the layers' activations) and `head.safetensors`.

        Layer number n has the tensors `layers.n.weight` [out, in] and `layers.n.bias` [out], float32.
        """
        from safetensors.numpy import save_file

        tensors = {
            f"layers.{number}.{name}": np.ascontiguousarray(values)
            for number, layer in enumerate(self.layers)
            for name, values in (("weight", layer.weight), ("bias", layer.bias))
        }
        save_file(tensors, directory / HEAD_FILE)
        write_description(directory, self.form, activations=[layer.activation for layer in self.layers])

    def digest(self) -> str:
        """SHA-256 of form, activations, shapes and values."""
        shapes: list[Any] = [self.form, *((layer.activation, *layer.weight.shape) for layer in self.layers)]
        digest = hashlib.sha256(json.dumps(shapes).encode())
        for layer in self.layers:
            digest.update(layer.weight.astype("<f4").tobytes() + layer.bias.astype("<f4").tobytes())
        return digest.hexdigest()


def load_layers(directory: Path) -> LayeredHead:
    """The head in a model folder. Raises FileNotFoundError."""
    from safetensors.numpy import load_file

    description, tensors = read_description(directory), load_file(directory / HEAD_FILE)
    layers = tuple(
        Layer(tensors[f"layers.{number}.weight"], tensors[f"layers.{number}.bias"], activation)
        for number, activation in enumerate(description["activations"])
    )
    return LayeredHead(description["form"], layers)
