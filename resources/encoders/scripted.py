"""The encoder's stand-in for tests: no model, the same protocol.

What belongs here: vectors of hashed word counts. What does not: anything that loads a model (`transformer.py`).
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.encoding_figures import EncodingFigures


@dataclass(frozen=True)
class ScriptedEncoder:
    """A stand-in without a model: hashed word counts, of unit length. Texts that share words are near."""

    dimension: int = 64

    @property
    def id(self) -> str:
        return f"scripted-{self.dimension}"

    @property
    def usage(self) -> EncodingFigures:
        """It does not measure itself."""
        return EncodingFigures()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()) or [""]:
                digest = hashlib.sha256(word.encode()).digest()
                vectors[row, int.from_bytes(digest[:4], "little") % self.dimension] += 1
        lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / lengths
