"""Scores of one shard's documents from their texts: a batch in memory, and what is done kept until it is committed.

What belongs here: batches of a shard, its progress, its scores in order. What does not: the models (`finished.py`, the
classifier stage's scorers), scores from stored vectors (`score.py`), reading documents (`embedding/inputs.py`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from datashop_assets.classifier.recipes import Scorer
from datashop_assets.embedding.inputs import document_batches, document_places
from datashop_assets.embedding.shard import progress_line
from datashop_assets.seams import Lake, Progress

# Scores are kept when the oldest unkept one is so old: what a killed run computes again.
SAVE_SECONDS = 15.0
LOG_SECONDS = 15.0
KEPT = {"position": pl.Int64, "id": pl.String, "score": pl.Float32}


@dataclass(frozen=True)
class ScoredTexts:
    """`rows` has id and score (float32, NaN where the model knows nothing of a text) in the documents' order.

    Of the documents, this run scored `scored` in `seconds`; the others were scored before it.
    """

    rows: pl.DataFrame
    scored: int
    seconds: float

    @property
    def rate(self) -> float:
        """Documents a second, of this run; 0 where it scored none."""
        return self.scored / self.seconds if self.seconds else 0.0


def score_texts(
    scorer: Scorer,
    lake: Lake,
    shard: str,
    progress: Progress,
    log: Callable[[str], Any] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> ScoredTexts:
    """Score the shard's documents that `progress` does not have yet, a batch at a time.

    `progress` is that of these documents and this scorer; clear it once the scores are committed. A killed run loses
    the batch it was in and what was not kept yet, `SAVE_SECONDS` at most. In memory are the texts of one batch, and an
    id and a score of each document.
    """
    places = document_places(lake, shard)
    kept = progress.scan()
    known = pl.DataFrame(schema=KEPT) if kept is None else kept.select(list(KEPT)).collect()
    missing = places.join(known, on="position", how="anti", maintain_order="left")
    if kept is not None:
        log(f"{shard}: {places.height - missing.height:,} of {places.height:,} documents were scored before")
    begun = saved = logged = clock()
    unkept: list[pl.DataFrame] = []
    made: list[pl.DataFrame] = []
    done = 0
    for batch in document_batches(lake, shard, missing):
        scores = pl.Series("score", scorer.predict(batch["text"].to_list()), pl.Float32)
        unkept.append(batch.select("position", "id").with_columns(scores))
        done += batch.height
        now = clock()
        if now - saved > SAVE_SECONDS:
            progress.append(pl.concat(unkept))
            made, unkept, saved = [*made, *unkept], [], now
        if now - logged > LOG_SECONDS or done == missing.height:
            log(progress_line(shard, done, missing.height, now - begun, "scored"))
            logged = now
    # Two runs at once keep the same scores; one of them is enough.
    rows = pl.concat([known, *made, *unkept]).unique("position").sort("position")
    return ScoredTexts(rows.select("id", "score"), done, clock() - begun)
