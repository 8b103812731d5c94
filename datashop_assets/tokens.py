"""Texts to token ids for training, the same wherever the project makes them.

What belongs here: a tokenizer as training needs it: every document ends with EOS, and special tokens that stand in a
text are read as text. What does not: finding and loading a model's tokenizer (`resources/language_models.py`), cutting
and packing for an anneal (`annealing/packing.py`), files of tokens (`filtering/token_files.py`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Characters that are tokenized at once: a megabyte has some 250,000 tokens, of 100 bytes each until they are an array.
CHARS_AT_ONCE = 1_000_000


def eos_of(tokenizer: Any) -> int:
    """The id of a transformers tokenizer's EOS token. Raises ValueError where it has none."""
    if tokenizer.eos_token_id is None:
        raise ValueError(f"the tokenizer in {tokenizer.name_or_path} names no EOS token; set eos_token in its config")
    return int(tokenizer.eos_token_id)


@dataclass(frozen=True)
class TextTokenizer:
    """A transformers tokenizer as training needs it. `name` is for people, `id` names what it does.

    Raises ValueError for a tokenizer without EOS, or one that is not of the `tokenizers` library.
    """

    name: str
    tokenizer: Any

    def __post_init__(self) -> None:
        if not self.tokenizer.is_fast:
            raise ValueError(f"the tokenizer of {self.name} has no tokenizer.json, by which it is read here")
        eos_of(self.tokenizer)

    @property
    def eos(self) -> int:
        return eos_of(self.tokenizer)

    @property
    def vocabulary(self) -> int:
        """One more than the largest id, added tokens included."""
        return int(max(self.tokenizer.get_vocab().values())) + 1

    @cached_property
    def id(self) -> str:
        """16 hex digits: equal ids give equal tokens for every text."""
        return hashlib.sha256(f"{self._backend.to_str()}\0{self.eos}".encode()).hexdigest()[:16]

    @cached_property
    def _backend(self) -> Any:
        from tokenizers import Tokenizer

        backend = Tokenizer.from_str(self.tokenizer.backend_tokenizer.to_str())
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = True
        return backend

    def encode(self, texts: Sequence[str]) -> Iterator[NDArray[np.uint32]]:
        """The tokens of each text and EOS, in order; a megabyte of text is held as tokens at a time."""
        for some in _some(texts):
            for encoding in self._backend.encode_batch_fast(some, add_special_tokens=False):
                yield np.asarray([*encoding.ids, self.eos], dtype=np.uint32)


def _some(texts: Sequence[str]) -> Iterator[list[str]]:
    some: list[str] = []
    held = 0
    for text in texts:
        some.append(text)
        held += len(text)
        if held >= CHARS_AT_ONCE:
            yield some
            some, held = [], 0
    if some:
        yield some
