"""A peer of `python -m benchmarks.scoring`: sentence-transformers at its best setting on this machine.

Its own `encode`, which sorts by length, with the batch size (1, 8, 32) and the backend (torch, and ONNX or OpenVINO
where they are installed) that are the fastest on 16 of the documents, float32. Runs alone:
`python -m benchmarks.scoring_sentence_transformers`.
"""

import importlib.util
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scoring_alone import Alone, run_alone

BATCHES = (1, 8, 32)
NEEDS = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}
TRIED = 16


class SentenceTransformers(Alone):
    """Setting up tries every backend and batch size once."""

    def __init__(self, folder: str, max_tokens: int, pooling: str = "mean") -> None:
        from benchmarks.scoring_texts import documents

        seconds: dict[tuple[str, int], float] = {}
        models = {name: _model(folder, max_tokens, pooling, name) for name in NEEDS if _at_hand(name)}
        texts = documents(TRIED)
        for name, model in models.items():
            for batch in BATCHES:
                begun = time.process_time()
                model.encode(texts, batch_size=batch)
                seconds[name, batch] = time.process_time() - begun
        self._backend, self._batch = min(seconds, key=lambda way: seconds[way])
        self._model = models[self._backend]
        self._tried = ", ".join(f"{name}/{batch}: {value:.1f} s" for (name, batch), value in seconds.items())

    @property
    def settings(self) -> str:
        return f"sentence-transformers, backend {self._backend}, batch {self._batch}, float32 (tried {self._tried})"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.asarray(self._model.encode(list(texts), batch_size=self._batch), np.float32)


def _at_hand(backend: str) -> bool:
    return importlib.util.find_spec(NEEDS[backend]) is not None and (
        backend == "torch" or importlib.util.find_spec("optimum") is not None
    )


def _model(folder: str, max_tokens: int, pooling: str, backend: str) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    encoder = Transformer(folder, max_seq_length=max_tokens, backend=backend)
    return SentenceTransformer(
        modules=[encoder, Pooling(encoder.get_embedding_dimension(), pooling), Normalize()], device="cpu"
    )


if __name__ == "__main__":
    run_alone(SentenceTransformers, __doc__)
