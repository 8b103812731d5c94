"""This project's encoder as `python -m benchmarks.scoring` measures it; runs alone like its peers:
`python -m benchmarks.scoring_ours [--precision int8]`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.scoring_alone import Alone, run_alone
from datashop_assets.encoder_settings import EncoderSettings
from resources.encoders import TransformerEncoder


class Ours(Alone):
    """With as many one-thread workers as `use_threads` says."""

    def __init__(self, folder: str, max_tokens: int, pooling: str = "mean", precision: str = "float32") -> None:
        self._settings = EncoderSettings(model=folder, max_tokens=max_tokens, pooling=pooling, precision=precision)
        self.encoder = TransformerEncoder(self._settings, threads=1)

    def use_threads(self, threads: int) -> None:
        self.encoder = TransformerEncoder(self._settings, threads=threads)
        self.encoder.encode(["It loads at the first text."])

    @property
    def settings(self) -> str:
        return (
            f"{self.encoder.backend}, {self._settings.precision}, {self._settings.pooling} pooling, one-thread workers"
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.encoder.encode(texts)


if __name__ == "__main__":
    run_alone(Ours, __doc__)
