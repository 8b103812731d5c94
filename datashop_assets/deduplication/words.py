"""A text as the words that are compared, and their n-grams.

What belongs here: what counts as a word, for near duplicates and contamination alike. What does not: comparing them
(`minhash.py`, `contamination.py`). Case, punctuation and white space do not count, as in the work that this follows
(Brown et al. 2020, arXiv:2005.14165, appendix C; FineWeb, arXiv:2406.17557).
"""

from collections.abc import Sequence
from unicodedata import normalize

import regex

# Written without spaces: each character of these scripts is a word, with the marks that belong to it, or a clause would
# be one.
_UNSPACED = r"\u2e80-\u9fff\uf900-\ufaff\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
# Letters, digits, and marks, which a word of Hindi or Arabic has inside (Unicode UTS 18, annex C; `re` cuts at them).
_WORD = regex.compile(rf"[{_UNSPACED}]\p{{M}}*|[^\W{_UNSPACED}]+")
_ASCII_WORD = regex.compile(r"[a-z0-9_]+")  # the same words; with it 1,600 texts of a crawl took half the time


def words_of(text: str) -> list[str]:
    """The text's words in lower case, in order; none where it has neither letter nor digit."""
    lower = text.lower()
    words: list[str] = _ASCII_WORD.findall(lower) if lower.isascii() else _WORD.findall(normalize("NFC", lower))
    return words


def ngrams(words: Sequence[str], n: int) -> list[str]:
    """Every run of `n` words, in order, joined by spaces. Fewer words than `n` are one n-gram, no words none."""
    if not words:
        return []
    return [" ".join(words[start : start + n]) for start in range(max(1, len(words) - n + 1))]
