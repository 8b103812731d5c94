"""Random projections that keep inner products: gradients of a million numbers become a few thousand.

What belongs here: the projection. What does not: what is projected (`lm_gradients.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Signs made at a time: 64 MB as float32. It is part of what the matrix is.
BLOCK = 2**24


@dataclass(frozen=True)
class Projection:
    """Times a matrix of random signs over the root of `dimension` (Johnson and Lindenstrauss; Achlioptas 2003).

    Inner products of unit vectors are kept without bias, with a standard error of at most about 1 / sqrt(dimension).
    The matrix is never held: it is made again, block by block, from the seed, so it is the same in each call.
    """

    dimension: int
    seed: int

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 of shape [vectors, values] to [vectors, dimension]; as they are where they have no more values."""
        values = vectors.shape[1]
        if values <= self.dimension:
            return vectors
        projected = np.zeros((len(vectors), self.dimension), np.float32)
        step = max(1, BLOCK // self.dimension)
        for start in range(0, values, step):
            some = vectors[:, start : start + step]
            projected += some @ self._signs(start, some.shape[1])
        return projected / np.float32(np.sqrt(self.dimension))

    def _signs(self, start: int, rows: int) -> NDArray[np.float32]:
        count = rows * self.dimension
        drawn = np.random.default_rng([self.seed, start]).integers(0, 256, -(-count // 8), np.uint8)
        signs = np.unpackbits(drawn, count=count).astype(np.float32)
        signs *= 2
        signs -= 1
        return signs.reshape(rows, self.dimension)
