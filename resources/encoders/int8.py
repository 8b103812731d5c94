"""The forward pass of a BERT-type encoder in int8, by CTranslate2.

What belongs here: converting a model, one document a call. What does not: float32 and bfloat16 (`packed.py`), scoring
again what lies near a cut-off (`datashop_assets/scoring/exact_band.py`).

CTranslate2 takes weights by output channel and activations by row, so that a document's vector does not depend on its
company. Of all-MiniLM-L6-v2's vectors the least like its float32 one had cosine .996 (40 documents); with torch's own
dynamic int8 products it was .991, at 0.7 times the speed.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resources.encoders.conversions import Conversions
from resources.language_models import ModelReferenceError


class Int8Forward:
    """Documents' ids to pooled vectors, on processors only; safe to call from as many threads as it was made for."""

    def __init__(self, folder: Path, first_only: bool, threads: int) -> None:
        from ctranslate2 import Encoder

        self._first_only = first_only
        self._model = Encoder(str(folder), device="cpu", compute_type="int8", intra_threads=1, inter_threads=threads)

    def __call__(self, documents: Sequence[Sequence[int]]) -> Any:
        """Vectors float32 [documents, hidden], not normalised: the first token's, or the mean of all."""
        import torch

        # One document a call: there is no padding, and 2.4 times the padded loop; sorted batches of 4k tokens, 1.7.
        return torch.stack([self._vector(list(ids)) for ids in documents])

    def _vector(self, ids: list[int]) -> Any:
        import numpy as np
        import torch

        states = torch.from_numpy(np.asarray(self._model.forward_batch([ids]).last_hidden_state))[0]
        return states[0].clone() if self._first_only else states.mean(0)


def converted(source: Path, conversions: Conversions) -> Path:
    """The folder of the model in CTranslate2's format, made from `source` once.

    Raises ModelReferenceError where the package is missing.
    """
    if importlib.util.find_spec("ctranslate2") is None:
        raise ModelReferenceError(
            "encoder.precision int8 needs the package ctranslate2: pip install datashop[int8], or set float32"
        )
    return conversions.folder("int8", lambda target: _convert(source, target))


def _convert(source: Path, target: Path) -> None:
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(source)).convert(str(target), quantization="int8", force=True)
