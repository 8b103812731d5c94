"""Text to vector by a frozen transformer.

What belongs here: loading an encoder, batching, pooling, its content id. What does not: how vectors are stored
(`datashop_assets/embedding/embed.py`), what is learnt from them (`datashop_assets/classifier/`).
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.lineage import content_id
from resources import language_models
from resources.encoders.local_files import encoder_folder, short_name
from resources.language_models import ModelReferenceError

# Padded tokens a batch. On a CPU larger batches fall out of the last-level cache: with length-sorted batches of 4k
# tokens all-MiniLM-L6-v2 embeds 1.6 times as fast as with batches of 32 padded to 512, with 16k tokens 1.1 times. A GPU
# needs more to be busy; its number is not measured.
BATCH_TOKENS = {"cpu": 4096, "cuda": 65_536}
# A document is tokenised from a prefix of this many characters a token, so that a 10 MB document does not cost ten
# seconds; where the prefix does not fill the encoder (long runs of blanks), the whole text is tokenised.
PREFIX_CHARS_PER_TOKEN = 64


class TransformerEncoder:
    """A frozen encoder with mean or CLS pooling, in float32. The model loads at the first text.

    Agrees with sentence-transformers on the same settings to 1e-5. Runs on a GPU where there is one, else with
    `threads` threads of torch, which is set for the process; None takes the cores that this process may use.
    """

    def __init__(self, settings: EncoderSettings, threads: int | None = None) -> None:
        self.settings = settings
        self._threads = threads or len(os.sched_getaffinity(0))

    @cached_property
    def id(self) -> str:
        """Name, pooling and 8 hex digits of the model's content and all settings; needs no torch.

        Raises ModelReferenceError where the model is not there.
        """
        settings = self.settings
        weights = language_models.content_id(settings.model)
        digits = content_id(weights, settings.pooling, settings.normalize, settings.max_tokens, length=8)
        return f"{short_name(settings.model)}-{settings.pooling}-{digits}"

    def local_directory(self) -> Path:
        """The folder with the encoder's config, tokenizer and weights. Raises ModelReferenceError."""
        return encoder_folder(self.settings.model)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed the texts: float32 of shape [texts, dimension], in order. Long texts are cut at `max_tokens`."""
        import torch

        model, _ = self._loaded
        vectors = np.empty((len(texts), model.config.hidden_size), np.float32)
        tokens = self._tokens(texts)
        for rows in _batches([len(ids) for ids in tokens], BATCH_TOKENS[model.device.type]):
            longest = max(len(tokens[row]) for row in rows)
            ids = torch.full((len(rows), longest), self._pad_id, dtype=torch.long)
            mask = torch.zeros((len(rows), longest), dtype=torch.long)
            for position, row in enumerate(rows):
                ids[position, : len(tokens[row])] = torch.tensor(tokens[row])
                mask[position, : len(tokens[row])] = 1
            with torch.inference_mode():
                vectors[rows] = self._pooled(ids.to(model.device), mask.to(model.device)).cpu().numpy()
        return vectors

    def _pooled(self, ids: Any, mask: Any) -> Any:
        from torch.nn.functional import normalize

        model, _ = self._loaded
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.settings.pooling == "cls":
            vectors = states[:, 0]
        else:
            weights = mask.unsqueeze(-1).to(states.dtype)
            vectors = (states * weights).sum(1) / weights.sum(1)
        return normalize(vectors, dim=1) if self.settings.normalize else vectors

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        _, tokenizer = self._loaded
        limit = self.settings.max_tokens

        def tokenise(some: list[str]) -> list[list[int]]:
            ids: list[list[int]] = tokenizer(some, truncation=True, max_length=limit, verbose=False)["input_ids"]
            return ids

        prefix = limit * PREFIX_CHARS_PER_TOKEN
        tokens = tokenise([text[:prefix] for text in texts])
        for row, ids in enumerate(tokens):
            if len(ids) < limit and len(texts[row]) > prefix:
                tokens[row] = tokenise([texts[row]])[0]
        return tokens

    @property
    def _pad_id(self) -> int:
        _, tokenizer = self._loaded
        # The mask hides padding from every other token; an encoder without a padding token may use any id.
        return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        torch.set_num_threads(self._threads)
        directory = str(self.local_directory())
        try:
            tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
            model = AutoModel.from_pretrained(
                directory, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise ModelReferenceError(
                f"encoder {self.settings.model!r} cannot be loaded with safetensors weights: {error}"
            ) from error
        # Position embeddings end there; more tokens would fail inside the model with an index error.
        room = getattr(model.config, "max_position_embeddings", None)
        if room is not None and self.settings.max_tokens > room:
            raise ModelReferenceError(
                f"encoder {self.settings.model!r} takes at most {room} tokens; set encoder.max_tokens to {room} or less"
            )
        return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def _batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows in batches of equal-length neighbours, longest first; rows times longest stays within the budget."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size
