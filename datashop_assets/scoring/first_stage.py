"""The cheap stage of a cascade: a linear model on hashed words and pairs of words, taught by the classifier itself.

What belongs here: fitting it, its estimates, its file. What does not: what may be skipped (`recall_bound.py`,
`cascade.py`).

Hashing needs no vocabulary (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning"), so that the
stage is one vector of weights, and a text costs a fraction of a millisecond.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "first_stage.safetensors"
FEATURES = 2**18
# Of a text's beginning, as the encoder sees it: 512 tokens are 2,000 to 3,000 characters of prose.
CHARS = 4000
L2 = 1.0


@dataclass(frozen=True, eq=False)
class FirstStage:
    """estimate = hashed words · weights + bias; weights are float32 of shape [FEATURES]."""

    weights: NDArray[np.float32]
    bias: float

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Estimates of the classifier's scores, float32 of shape [texts]."""
        if not texts:
            return np.empty(0, np.float32)
        return np.asarray(_features(texts) @ self.weights + np.float32(self.bias), np.float32)

    def digest(self) -> str:
        """16 hex digits of its values: equal stages have equal digests."""
        values = self.weights.astype("<f4").tobytes() + np.float32(self.bias).astype("<f4").tobytes()
        return hashlib.sha256(values).hexdigest()[:16]

    def save(self, directory: Path) -> None:
        """Write the stage's one file into the directory."""
        from safetensors.numpy import save_file

        save_file({"weights": self.weights, "bias": np.array([self.bias], np.float32)}, directory / FILE)


def load_first_stage(directory: Path) -> FirstStage:
    """The stage in a directory. Raises FileNotFoundError naming the file."""
    from safetensors.numpy import load_file

    if not (directory / FILE).is_file():
        raise FileNotFoundError(f"{directory / FILE} does not exist; the folder holds no cascade")
    tensors = load_file(directory / FILE)
    return FirstStage(tensors["weights"], float(tensors["bias"][0]))


def fit_first_stage(texts: Sequence[str], scores: NDArray[np.floating]) -> FirstStage:
    """Ridge regression of the classifier's scores on the hashed texts. The same texts give the same stage."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=L2, solver="sparse_cg", tol=1e-4).fit(_features(texts), np.asarray(scores, np.float64))
    return FirstStage(np.ascontiguousarray(model.coef_, np.float32), float(np.float32(model.intercept_)))


def _features(texts: Sequence[str]) -> Any:
    """Sparse rows of unit length, a text each: how often each word and pair of words stands in its beginning."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(
        n_features=FEATURES, ngram_range=(1, 2), alternate_sign=False, norm=None, lowercase=True, dtype=np.float32
    ).transform([text[:CHARS] for text in texts])
    np.log1p(hashed.data, out=hashed.data)
    lengths = np.sqrt(np.asarray(hashed.multiply(hashed).sum(axis=1)).ravel())
    hashed.data /= np.repeat(np.maximum(lengths, 1e-12), np.diff(hashed.indptr))
    return hashed
