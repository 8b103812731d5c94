"""Documents that hold items of evaluation sets: a model that was trained on them is not measured by them.

What belongs here: the index of the items' n-grams, and documents against it. What does not: reading the sets
(`evaluation_sets.py`), what a word is (`words.py`).

The method is that of GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix C): n-grams of words without case and
punctuation, 13 words long; what of an item is shorter counts where it stands whole, from 8 words on. An n-gram that
GPT-3's authors saw in more than ten documents they took for a common phrase and ignored; here the item that matched and
the words that did are in the answer, for a person to judge. datatrove's filter does the same with 12 words, as a step
of its own pipelines; the index is small and the look-up one set operation, so that nothing of it is needed here.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from datashop_assets.deduplication.evaluation_sets import Item
from datashop_assets.deduplication.tables import CONTAMINATION, Rejection
from datashop_assets.deduplication.words import ngrams, words_of
from datashop_assets.deduplication_settings import ContaminationSettings

SCHEMA = pl.Schema({name: CONTAMINATION.schema[name] for name in ("reason", "item", "matches", "detail")})


@dataclass(frozen=True)
class Index:
    """The items that have each n-gram, by the n-gram's length in words: `words`, and less for whole short texts.

    `heads` are the first `head` words of each: a document without any of them is looked at no further.
    """

    items: Mapping[int, Mapping[str, tuple[str, ...]]]
    heads: frozenset[str]
    head: int

    @property
    def size(self) -> int:
        return sum(map(len, self.items.values()))


def build_index(items: Iterable[Item], settings: ContaminationSettings) -> Index:
    """The n-grams of all texts of the items; texts of less than `shortest` words are left out."""
    index: dict[int, dict[str, dict[str, None]]] = {}
    for item in items:
        for text in item.texts:
            words = words_of(text)
            if len(words) >= settings.shortest:
                length = min(len(words), settings.words)
                for gram in ngrams(words, length):
                    index.setdefault(length, {}).setdefault(gram, {})[item.name] = None
    heads = frozenset(ngrams(gram.split(" "), settings.shortest)[0] for grams in index.values() for gram in grams)
    named = {length: {gram: tuple(names) for gram, names in index[length].items()} for length in sorted(index)}
    return Index(named, heads, settings.shortest)


def contamination(texts: Sequence[str], index: Index) -> pl.DataFrame:
    """A row [reason, item, matches, detail] for each text, in order; `matches` is 0 where the rest is null."""
    return pl.DataFrame([_row(text, index) for text in texts], schema=SCHEMA, orient="row")


def _row(text: str, index: Index) -> tuple[str | None, str | None, int, str | None]:
    words = words_of(text)
    found: dict[str, tuple[str, ...]] = {}  # in the order of the text
    for start, head in enumerate(ngrams(words, index.head)):
        if head in index.heads:
            for length, items in index.items.items():
                gram = " ".join(words[start : start + length])
                if gram in items:
                    found[gram] = items[gram]
    if not found:
        return None, None, 0, None
    most = Counter(name for names in found.values() for name in names).most_common(1)[0][0]
    detail = next(gram for gram, names in found.items() if most in names)
    return Rejection.CONTAMINATED.value, most, len(found), detail
