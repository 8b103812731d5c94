"""Measures of a text that need no model: length, compression, heuristic filters' counts.

What belongs here: from a batch of documents to numbers. What does not: models (`models.py`), reading documents and
writing scores (`produce.py`).
"""

from collections.abc import Callable
from typing import Any

import polars as pl
import zstandard

from datashop_assets.attribute_settings import CompressionRatioAttribute, LengthAttribute, TextStatisticAttribute
from datashop_assets.seams import LanguageModels

# From documents (`id`, `text`) to `score` (a number, NaN or null where there is none) and, where it has one, `label`.
Measure = Callable[[pl.DataFrame], pl.DataFrame]

_WORDS = pl.col("text").str.count_matches(r"\S+")
_INK = pl.col("text").str.count_matches(r"\S")
_LINES = pl.col("text").str.split("\n").list.eval(pl.element().str.strip_chars().replace("", None).drop_nulls())
# A text without words or lines gives 0 / 0, which is NaN: no score.
STATISTICS: dict[str, pl.Expr] = {
    "letter_share": pl.col("text").str.count_matches(r"\p{L}") / _INK,
    "mean_word_length": _INK / _WORDS,
    # Share of the document's lines, as Gopher's rules count them (Rae et al. 2021, table A1).
    "duplicate_line_share": 1 - _LINES.list.n_unique() / _LINES.list.len(),
}


def length(settings: LengthAttribute, models: LanguageModels) -> Measure:
    """Characters (Unicode code points), words between white space, or tokens of the annealed model's tokenizer."""
    if settings.unit == "tokens":
        return lambda rows: pl.DataFrame({"score": models.count_tokens(rows["text"].to_list())})
    count = pl.col("text").str.len_chars() if settings.unit == "characters" else _WORDS
    return lambda rows: rows.select(score=count.cast(pl.Float64))


def compression_ratio(settings: CompressionRatioAttribute) -> Measure:
    """UTF-8 bytes over compressed bytes, each document by itself; none for an empty one. Raises ImportError for lz4
    where it is not installed."""
    compress = _zstd(settings.level) if settings.codec == "zstd" else _lz4(settings.level)

    def ratio(text: str) -> float | None:
        plain = text.encode()
        return len(plain) / len(compress(plain)) if plain else None

    return lambda rows: pl.DataFrame({"score": [ratio(text) for text in rows["text"]]}, {"score": pl.Float64})


def text_statistic(settings: TextStatisticAttribute) -> Measure:
    """One of STATISTICS."""
    return lambda rows: rows.select(score=STATISTICS[settings.statistic])


def _zstd(level: int) -> Callable[[bytes], bytes]:
    return zstandard.ZstdCompressor(level=level).compress


def _lz4(level: int) -> Callable[[bytes], bytes]:
    try:
        from lz4 import frame
    except ImportError as error:
        raise ImportError("codec lz4 needs lz4: pip install 'datashop[attributes]'") from error
    options: dict[str, Any] = {"compression_level": level, "store_size": False}
    return lambda plain: bytes(frame.compress(plain, **options))
