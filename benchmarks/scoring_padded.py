"""A peer of `python -m benchmarks.scoring`: the loop that most published scoring scripts have.

`datasets.Dataset.map` over batches of 32 documents, the tokenizer's own call with `padding="max_length"`, the model of
transformers in float32, masked mean (or the first token). Runs alone: `python -m benchmarks.scoring_padded`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scoring_alone import Alone, run_alone

BATCH = 32


class PaddedLoop(Alone):
    """The model stays loaded; every run maps anew, without the cache of `datasets`."""

    def __init__(self, folder: str, max_tokens: int, pooling: str = "mean") -> None:
        import torch
        from datasets import disable_progress_bars
        from transformers import AutoModel, AutoTokenizer

        disable_progress_bars()
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        self._max_tokens, self._pooling = max_tokens, pooling

    @property
    def settings(self) -> str:
        return f"datasets.map, batch {BATCH}, padded to {self._max_tokens}, float32, {self._pooling} pooling"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        from datasets import Dataset

        mapped = Dataset.from_dict({"text": list(texts)}).map(
            self._batch,
            batched=True,
            batch_size=BATCH,
            remove_columns=["text"],
            keep_in_memory=True,
            new_fingerprint="-",
        )
        return np.asarray(mapped.with_format("numpy")["vector"][:], np.float32)

    def _batch(self, batch: dict[str, list[str]]) -> dict[str, Any]:
        import torch

        inputs = self._tokenizer(
            batch["text"], padding="max_length", truncation=True, max_length=self._max_tokens, return_tensors="pt"
        )
        with torch.inference_mode():
            states = self._model(**inputs).last_hidden_state
            if self._pooling == "cls":
                vectors = states[:, 0]
            else:
                mask = inputs["attention_mask"].unsqueeze(-1).float()
                vectors = (states * mask).sum(1) / mask.sum(1)
            return {"vector": torch.nn.functional.normalize(vectors, dim=1).numpy()}


if __name__ == "__main__":
    run_alone(PaddedLoop, __doc__)
