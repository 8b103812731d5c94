"""Small pools to choose from, made by hand or drawn by hypothesis, and what is chosen from them, by name."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from hypothesis import strategies as st
from numpy.typing import NDArray

from datashop_assets.selection.budget import Budget, select
from datashop_assets.selection.pool import COLUMNS, Pool, Ranking, Strategy

ENOUGH = Budget(rows=10_000)


def pool(
    scores: Sequence[float | None],
    *,
    curated: Sequence[float | None] | None = None,
    rareness: Sequence[float | None] | None = None,
    vectors: NDArray | None = None,
    tokens: Sequence[int] | None = None,
    texts: Sequence[str] | None = None,
    sources: Sequence[str | None] | None = None,
) -> Pool:
    """Documents named d0, d1, ... with these scores; curated scores are the same unless given, vectors are random."""
    count = len(scores)
    names = [f"d{number}" for number in range(count)]
    if vectors is None:
        vectors = np.random.default_rng(7).normal(size=(count, 6))
    columns = {
        "shard": ["shard-0"] * count,
        "id": names,
        "text_sha": list(texts or names),
        "source": list(sources or [None] * count),
        "chars": [4 * size for size in tokens or [10] * count],
        "tokens": list(tokens or [10] * count),
        "score": list(scores),
        "curated_score": list(curated if curated is not None else scores),
        "rareness": list(rareness or [None] * count),
    }
    rows = pl.DataFrame(columns, schema=COLUMNS, strict=False)
    return Pool(rows, np.asarray(vectors, np.float32).reshape(count, -1 if count else 6), _unread, 0, 5)


def _unread(rows: Sequence[int]) -> list[str]:
    raise AssertionError("this strategy reads no texts")


@st.composite
def pools(draw: st.DrawFn, most: int = 40, unscored: bool = True) -> Pool:
    """Up to `most` documents with few different scores, so that ties are common, and vectors in few directions."""
    count = draw(st.integers(1, most))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores: list[float | None] = [float(value) for value in random.integers(0, draw(st.integers(1, 6)), count)]
    if unscored:
        scores = [None if missing else score for score, missing in zip(scores, random.random(count) < 0.2, strict=True)]
        scores[0] = 3.0
    centres = random.normal(size=(4, 6))
    return pool(
        scores,
        rareness=[None if value < 0.1 else float(value) for value in random.random(count).round(1)],
        vectors=centres[random.integers(0, 4, count)] + random.normal(size=(count, 6)) * random.choice([0.05, 0.5]),
        tokens=random.integers(0, 30, count).tolist(),
    )


def shuffled(whole: Pool, seed: int) -> Pool:
    """The same documents in another order."""
    order = np.random.default_rng(seed).permutation(len(whole))
    return Pool(whole.rows[order], whole.vectors[order], whole.texts, whole.low, whole.high)


def ids(whole: Pool, ranking: Ranking) -> list[str]:
    """The names of the documents ranked, in order."""
    names: list[str] = whole.rows["id"].gather(ranking.order).to_list()
    return names


def chosen(strategy: Strategy, whole: Pool, seed: int = 0, budget: Budget = ENOUGH) -> list[str]:
    return ids(whole, select(strategy, whole, seed, budget))
