"""A text as the words that are compared, and their n-grams.

What belongs here: what counts as a word, for near duplicates and contamination alike. What does not: comparing them
(`minhash.py`, `contamination.py`). Case, punctuation and white space do not count, as in the work that this follows
(Brown et al. 2020, arXiv:2005.14165, appendix C; FineWeb, arXiv:2406.17557).
"""

import re
from collections.abc import Sequence

# Chinese and Japanese are written without spaces: each of their characters is a word, or a clause would be one.
_CJK = "\u2e80-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")


def words_of(text: str) -> list[str]:
    """The text's words in lower case, in order; none where it has neither letter nor digit."""
    return _WORD.findall(text.lower())


def ngrams(words: Sequence[str], n: int) -> list[str]:
    """Every run of `n` words, in order, joined by spaces. Fewer words than `n` are one n-gram, no words none."""
    if not words:
        return []
    return [" ".join(words[start : start + n]) for start in range(max(1, len(words) - n + 1))]
