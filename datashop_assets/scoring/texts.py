"""Scores of one shard's documents from their texts: a batch in memory, and what is done kept until it is committed.

What belongs here: what a batch of texts becomes. What does not: the loop over a shard (`embedding/shard.py`), the
models (`finished.py`, the classifier stage's scorers), scores from stored vectors (`score.py`).
"""

import time
from collections.abc import Callable
from typing import Any

import polars as pl

from datashop_assets.classifier.recipes import Scorer
from datashop_assets.embedding.shard import ShardRows, work_through
from datashop_assets.seams import Lake, Progress

SCORED = {"id": pl.String, "score": pl.Float32}


def score_texts(
    scorer: Scorer,
    lake: Lake,
    shard: str,
    progress: Progress,
    log: Callable[[str], Any] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> ShardRows:
    """Id and score (float32, NaN where the model knows nothing of a text) of the shard's documents, in their order.

    `progress` is that of these documents and this scorer; clear it once the scores are committed. A killed run goes on
    inside the shard. Raises what the scorer raises, and at the reading of rows LostProgressError.
    """

    def scores(batch: pl.DataFrame) -> pl.DataFrame:
        return batch.select("id").with_columns(
            pl.Series("score", scorer.predict(batch["text"].to_list()), SCORED["score"])
        )

    return work_through(lake, shard, scores, SCORED, progress, log, "scored", clock)


def whole(rows: ShardRows) -> pl.DataFrame:
    """All of a shard's ids and scores at once: narrow, some 50 bytes a document."""
    frames: list[pl.DataFrame] = [pl.DataFrame(schema=SCORED), *rows]
    return pl.concat(frames)
