"""Documents to training sequences: tokenise, end each with EOS, pack without padding.

What belongs here: how a text becomes tokens for annealing and evaluation alike, and how tokens become sequences.
What does not: which documents are used (`mixture.py`), training on the sequences (`train.py`).
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.tokens import eos_of

# Prose has 4 to 5 characters a token. Only this many characters a token are looked at, which bounds the work on a 50 MB
# document; one of long blank runs may be cut a little early by it, the same in counting and packing.
MAX_CHARS_PER_TOKEN = 24


class DocumentEncoder:
    """Text to tokens with the model's own tokenizer. A document gives at most `document_tokens`, EOS included.

    The limit keeps a short anneal from being one long text: at 12,288 tokens and 512 a document it sees 24 documents
    or more. Raises ValueError for a limit below 2, one token and EOS.
    """

    def __init__(self, model: Path | str, document_tokens: int) -> None:
        if document_tokens < 2:
            raise ValueError(f"document_tokens must be at least 2 (one token and EOS), not {document_tokens}")
        self.model = model
        self.document_tokens = document_tokens

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.model, trust_remote_code=False)

    @cached_property
    def _eos(self) -> int:
        return eos_of(self._tokenizer)

    def encode(self, text: str) -> list[int]:
        """The document's tokens, cut to the limit less one, and EOS. Special tokens in the text are read as text."""
        tokens: list[int] = self._tokenise(text)["input_ids"]
        return [*tokens[: self.document_tokens - 1], self._eos]

    def count(self, text: str) -> int:
        """How many tokens `encode` gives."""
        return len(self.encode(text))

    def cut(self, text: str) -> str:
        """The start of the text that `encode` covers."""
        offsets: list[tuple[int, int]] = self._tokenise(text, return_offsets_mapping=True)["offset_mapping"]
        kept = offsets[: self.document_tokens - 1]
        return text[: kept[-1][1]] if kept else ""

    def _tokenise(self, text: str, **options: bool) -> Any:
        return self._tokenizer(
            text[: self.document_tokens * MAX_CHARS_PER_TOKEN],
            add_special_tokens=False,
            split_special_tokens=True,
            verbose=False,
            **options,
        )


def pack(documents: pl.DataFrame, encoder: DocumentEncoder, sequence_length: int) -> NDArray[np.int32]:
    """Pack a mixture's documents end to end: int32 of shape [sequences, sequence_length], in order, no padding.

    Each row of `documents` (MIXTURE_SCHEMA) gives its first `tokens` tokens. Raises ValueError where the tokens do
    not fill whole sequences or a document is shorter than its row says (another tokenizer counted it).
    """
    stream: list[int] = []
    for id_, text, used in documents.select("id", "text", "tokens").iter_rows():
        tokens = encoder.encode(text)
        if len(tokens) < used:
            raise ValueError(
                f"document {id_} has {len(tokens)} tokens but the mixture uses {used}: it was built with another "
                f"tokenizer than {encoder.model}; build the mixture again"
            )
        stream.extend(tokens[:used])
    if not stream or len(stream) % sequence_length:
        raise ValueError(f"{len(stream)} tokens do not fill whole sequences of {sequence_length}")
    return np.asarray(stream, dtype=np.int32).reshape(-1, sequence_length)
