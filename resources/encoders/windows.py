"""Long texts in windows: which token ids each window has, and one vector of those of all windows.

What belongs here: dividing texts, combining vectors. What does not: tokenising texts of which the first window is
enough (`tokens.py`), forward passes.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resources.encoders.text_prefix import boundary_of

# As in `tokens.py`: most texts fill their windows from a prefix of so many characters a token.
CHARS_PER_TOKEN = 8


class Windows:
    """Texts to at most `most` windows of at most `limit` ids each, every one with its special tokens, without overlap.

    The first window has the ids that the tokenizer gives a truncated text. Raises ValueError for a tokenizer that is
    not one of the tokenizers library.
    """

    def __init__(self, tokenizer: Any, limit: int, most: int) -> None:
        if not tokenizer.is_fast or tokenizer.truncation_side != "right":
            raise ValueError("windows need a fast tokenizer that truncates on the right; set encoder.windows to first")
        from tokenizers import Tokenizer

        self._limit, self._most = limit, most
        self._fast: Any = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._fast.no_padding()
        self._fast.encode_special_tokens = tokenizer.split_special_tokens
        self._fast.enable_truncation(limit, stride=0)
        self._boundary = boundary_of(json.loads(self._fast.to_str()))

    def __call__(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """The windows of each text, in order; a text without tokens has one, of special tokens."""
        found = []
        for text in texts:
            chars = CHARS_PER_TOKEN * self._limit * self._most
            prefix = self._boundary.prefix(text, chars) if self._boundary else None
            windows = self._divided(text if prefix is None else prefix)
            if prefix is not None and len(prefix) < len(text) and len(windows) <= self._most:
                windows = self._divided(text)  # long runs of blanks: the prefix did not fill the windows
            found.append(windows[: self._most])
        return found

    def _divided(self, text: str) -> list[list[int]]:
        made = self._fast.encode(text)
        return [made.ids, *(each.ids for each in made.overflowing)]


def combine(
    vectors: NDArray[np.float32], windows: Sequence[Sequence[Sequence[int]]], how: Literal["mean", "max"]
) -> NDArray[np.float32]:
    """One vector a text, float32 of shape [texts, dimension], of those of its windows, which follow each other.

    `mean` weighs a window by its number of tokens; `max` takes the largest value in each dimension.
    """
    starts = np.cumsum([0, *(len(each) for each in windows)])[:-1]
    if not len(starts):
        return vectors
    if how == "max":
        return np.maximum.reduceat(vectors, starts, axis=0)
    tokens = np.array([len(ids) for each in windows for ids in each], np.float32)[:, None]
    summed: NDArray[np.float32] = np.add.reduceat(vectors * tokens, starts, axis=0)
    return np.asarray(summed / np.add.reduceat(tokens, starts, axis=0), np.float32)
