"""Scores of a cell's documents, from their stored vectors.

What belongs here: applying a head. What does not: training it (`classifier/`), scores from texts (`texts.py`), which
documents are kept (`filtering/`).
The recipe number of a score's meaning is `lineage.SCORING_RECIPE`.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier.head import int_scores
from datashop_assets.classifier.recipes import Scorer
from datashop_assets.rating.lens import Lens


class ScoringError(ValueError):
    """Documents that cannot be scored; the message names them and the mend."""


def score_cell(
    ids: Sequence[str] | pl.Series, embeddings: NDArray[np.float32], head: Scorer, lens: Lens
) -> pl.DataFrame:
    """One row a document, in order: id, score (float32, real-valued), int_score (int8, rounded and clipped).

    `embeddings` are float32 of shape [documents, dimension]. Raises ScoringError where a score is not finite.
    """
    if len(ids) != len(embeddings):
        raise ScoringError(f"{len(ids)} documents but {len(embeddings)} vectors; materialize `embeddings` again")
    return score_rows(ids, head.predict(embeddings), lens, "materialize `embeddings` again")


def score_rows(ids: Sequence[str] | pl.Series, scores: NDArray[np.float32], lens: Lens, mend: str) -> pl.DataFrame:
    """The rows of `scores`: id, score, int_score. Raises ScoringError, with `mend`, where a score is not finite."""
    bad = [ids[int(row)] for row in np.flatnonzero(~np.isfinite(scores))]
    if bad:
        raise ScoringError(f"{len(bad)} documents have no finite score: {bad[:5]}; {mend}")
    return pl.DataFrame(
        {"id": ids, "score": scores, "int_score": int_scores(scores, lens)},
        schema={"id": pl.String, "score": pl.Float32, "int_score": pl.Int8},
    )


def score_batches(batches: Iterable[tuple[pl.Series, NDArray[np.float32]]], head: Scorer, lens: Lens) -> pl.DataFrame:
    """`score_cell` of all batches of a shard's ids and vectors, one in memory at a time."""
    nothing = score_cell([], np.empty((0, 0), np.float32), head, lens)
    return pl.concat([nothing, *(score_cell(ids, vectors, head, lens) for ids, vectors in batches)])


def histogram(int_score: pl.Series, lens: Lens) -> dict[int, int]:
    """How many documents have each rounded score, for every value of the scale."""
    counts = dict(int_score.value_counts().iter_rows())
    return {value: counts.get(value, 0) for value in range(lens.low, lens.high + 1)}
