"""Texts as token ids, cut at a number of tokens, without reading more of a long text than is needed.

What belongs here: tokenising for an encoder. What does not: where a text may be cut (`text_prefix.py`), batches
(`batches.py`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from resources.encoders.text_prefix import Boundary, boundary_of

# Of a text so many characters a token are tokenised first, then eight times as many, then all of it. Web text in
# English has four to five characters a token of a BERT vocabulary: most texts fill the encoder at the first try.
CHARS_PER_TOKEN = (5, 40)


class Tokens:
    """Texts to ids, with the special tokens and at most `limit` ids each.

    The ids are those of `tokenizer(texts, truncation=True, max_length=limit)`, whatever the text: a prefix is used only
    where the tokenizer is known to split there, and only where it fills the encoder.
    """

    def __init__(self, tokenizer: Any, limit: int) -> None:
        self._limit = limit
        self._slow = None if tokenizer.is_fast else tokenizer
        if not tokenizer.is_fast:
            return
        from tokenizers import Tokenizer

        # A copy: how it truncates is set once and for all, and the caller's tokenizer stays as it is.
        self._fast: Any = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._fast.no_padding()
        self._fast.encode_special_tokens = tokenizer.split_special_tokens
        self._fast.enable_truncation(limit, direction=tokenizer.truncation_side)
        parts = json.loads(self._fast.to_str())
        self._boundary = boundary_of(parts) if tokenizer.truncation_side == "right" else None
        self._ascii = AsciiTwin(parts) if has_ascii_twin(parts) else None

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, in order."""
        if not texts:
            return []
        if self._slow is not None:
            made: list[list[int]] = self._slow(list(texts), truncation=True, max_length=self._limit)["input_ids"]
            return made
        if self._boundary is None:
            return self._encode(texts)
        ids: list[list[int]] = [[] for _ in texts]
        rows = list(range(len(texts)))
        for chars in CHARS_PER_TOKEN:
            rows = self._fill(ids, rows, texts, self._boundary, chars * self._limit)
        for row, whole in zip(rows, self._encode([texts[row] for row in rows]), strict=True):
            ids[row] = whole
        return ids

    def _fill(
        self, ids: list[list[int]], rows: list[int], texts: Sequence[str], boundary: Boundary, chars: int
    ) -> list[int]:
        """Tokenise prefixes of so many characters; the rows that need more of their text."""
        prefixes = [boundary.prefix(texts[row], chars) for row in rows]
        made = self._encode([prefix or "" for prefix in prefixes])
        more = []
        for row, prefix, found in zip(rows, prefixes, made, strict=True):
            if prefix is not None and (len(found) == self._limit or len(prefix) == len(texts[row])):
                ids[row] = found
            else:
                more.append(row)
        return more

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        if self._ascii is None:
            return _ids(self._fast, texts)
        plain = [self._ascii.normalised(text) for text in texts]
        quick = iter(_ids(self._ascii.tokenizer, [text for text in plain if text is not None]))
        others = iter(_ids(self._fast, [text for text, easy in zip(texts, plain, strict=True) if easy is None]))
        return [next(others) if easy is None else next(quick) for easy in plain]


class AsciiTwin:
    """A BERT tokenizer without its normalisation, which Python's string methods do thirty times as fast for ASCII text:
    control characters go, white space becomes a space, letters become small. Accents and Chinese there are none."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        from tokenizers import Tokenizer

        self.tokenizer: Any = Tokenizer.from_str(json.dumps({**parts, "normalizer": None}))
        self._added = [token["content"] for token in parts.get("added_tokens") or []]

    def normalised(self, text: str) -> str | None:
        """The text as the whole tokenizer would see it; None of one that is not ASCII or holds an added token."""
        if not text.isascii() or any(token in text for token in self._added):
            return None
        # An added token is looked for before a text is made small and cleaned: none may come about by that.
        normalised = text.translate(_CLEANED).lower()
        return None if any(token in normalised for token in self._added) else normalised


def has_ascii_twin(parts: Mapping[str, Any]) -> bool:
    """Whether a tokenizer (its JSON) normalises ASCII text as BERT's uncased one does."""
    normalizer = parts.get("normalizer") or {}
    return normalizer.get("type") == "BertNormalizer" and normalizer["clean_text"] and normalizer["lowercase"]


_CLEANED: dict[int, str | None] = dict.fromkeys((*range(32), 127)) | {ord(sign): " " for sign in "\t\n\r"}


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    return [made.ids for made in tokenizer.encode_batch_fast(list(texts))] if texts else []
