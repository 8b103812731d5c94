"""The forward pass of any encoder, as transformers has it: a batch padded to its longest document.

What belongs here: padding, the mask, pooling. What does not: BERT-type encoders without padding (`packed.py`).
"""

from collections.abc import Sequence
from typing import Any


class PaddedForward:
    """Documents' ids to pooled vectors, through the model's own forward pass on the model's device."""

    def __init__(self, model: Any, first_only: bool, pad_id: int) -> None:
        self._model, self._first_only, self._pad_id = model, first_only, pad_id

    def __call__(self, documents: Sequence[Sequence[int]]) -> Any:
        """Vectors float32 [documents, hidden], not normalised: the first token's, or the mean of all."""
        import torch

        longest = max(len(ids) for ids in documents)
        ids = torch.full((len(documents), longest), self._pad_id, dtype=torch.long)
        mask = torch.zeros((len(documents), longest), dtype=torch.long)
        for row, tokens in enumerate(documents):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        mask = mask.to(self._model.device)
        states = self._model(input_ids=ids.to(mask.device), attention_mask=mask).last_hidden_state.float()
        if self._first_only:
            return states[:, 0]
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1)
