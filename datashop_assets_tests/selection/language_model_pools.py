"""What the tests of strategies with a language model share: a tiny model, and pools of texts."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.selection.pool import COLUMNS, Pool
from datashop_assets_tests.tiny_models import make_tiny_llama
from resources.language_models import load_causal_lm

WORDS = ("the", "water", "of", "a", "river", "and", "sea", "falls", "over", "stones", "while", "boats", "wait", "for")


class TinyModel:
    """A language model for strategies: loaded once, and counted how often it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.model, self.tokenizer = load_causal_lm(str(make_tiny_llama(folder)), folder)
        self.asked = 0

    def __call__(self) -> tuple[Any, Any]:
        self.asked += 1
        return self.model, self.tokenizer


def some_texts(count: int, seed: int = 0, most_words: int = 40) -> list[str]:
    """Texts of 2 to `most_words` words."""
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, int(draw.integers(2, most_words + 1)))) for _ in range(count)]


def pool_of(texts: Sequence[str], ids: Sequence[str] | None = None) -> Pool:
    """A pool of these texts; vectors and scores, which no language model looks at, are broken and missing."""
    ids = ids or [f"d{number:03}" for number in range(len(texts))]
    rows = pl.DataFrame(
        {
            "shard": ["s0"] * len(texts),
            "id": ids,
            "text_sha": [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts],
            "chars": [len(text) for text in texts],
            "tokens": [len(text.split()) for text in texts],
        },
        schema_overrides=COLUMNS,
    )
    for column in ("source", "score", "curated_score", "rareness"):
        rows = rows.with_columns(pl.lit(None, COLUMNS[column]).alias(column))
    vectors = np.full((len(texts), 4), np.nan, np.float32)
    return Pool(rows, vectors, lambda wanted: [texts[row] for row in wanted], 0, 5)


def permuted(pool: Pool, order: Sequence[int]) -> Pool:
    """The same documents, their rows in another order."""
    texts = pool.texts(list(range(len(pool))))
    rows = pool.rows[list(order)]
    return Pool(
        rows, pool.vectors[list(order)], lambda wanted: [texts[order[row]] for row in wanted], pool.low, pool.high
    )


def chosen(pool: Pool, order: Sequence[int]) -> list[str]:
    """The ids of these rows."""
    return [str(pool.rows["id"][int(row)]) for row in order]
