"""Embedding one shard of any size: a batch in memory, and what is done kept until the whole shard is committed.

What belongs here: batches of a shard, its progress, and its rows in order. What does not: encoding texts (`embed.py`),
reading documents (`inputs.py`), which shards are stale (`produce.py`).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from datashop_assets.embedding.embed import EmbeddingError, embeddings_frame
from datashop_assets.embedding.inputs import document_batches, document_places
from datashop_assets.seams import Encoder, Lake, Progress

# Vectors are kept when the oldest unkept one is so old: what a killed run computes again.
SAVE_SECONDS = 15.0
LOG_SECONDS = 15.0
# Rows in a frame of the commit: 100 MB of vectors with 768 values.
FRAME_ROWS = 65_536


@dataclass(frozen=True)
class EmbeddedShard:
    """The rows of `embeddings` of a shard, id and embedding, in the order of its documents.

    `rest` holds what is not in `progress`; both have the documents' positions.
    """

    height: int
    progress: Progress
    rest: pl.DataFrame

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Raises EmbeddingError where vectors are missing: another run that embedded the same shard took them away."""
        kept = self.progress.scan()
        for start in range(0, self.height, FRAME_ROWS):
            here = pl.col("position").is_between(start, start + FRAME_ROWS - 1)
            parts = [self.rest.filter(here), *([] if kept is None else [kept.filter(here).collect()])]
            # Two runs at once keep the same vectors; one of them is enough.
            frame = pl.concat(parts).unique("position").sort("position")
            if frame.height < min(FRAME_ROWS, self.height - start):
                raise EmbeddingError(
                    "vectors that were kept for this shard are gone: another run embedded it too; materialize it again"
                )
            yield frame.select("id", "embedding")


def embed_shard(
    lake: Lake,
    shard: str,
    encoder: Encoder,
    progress: Progress,
    log: Callable[[str], Any],
    clock: Callable[[], float] = time.monotonic,
) -> EmbeddedShard:
    """Encode the shard's documents that `progress` does not have yet, a batch at a time.

    `progress` is that of these documents and this encoder. A killed run loses the batch it was in and what was not
    kept yet, `SAVE_SECONDS` at most; a shard that takes less keeps nothing on the disk.
    Raises EmbeddingError naming the documents whose vector is not finite.
    """
    places = document_places(lake, shard)
    kept = progress.scan()
    if kept is None:
        missing = places
    else:
        missing = places.join(kept.select("position").collect(), on="position", how="anti", maintain_order="left")
        log(f"{shard}: {places.height - missing.height:,} of {places.height:,} documents were embedded before")
    begun = saved = logged = clock()
    unkept, done = [], 0
    for batch in document_batches(lake, shard, missing):
        unkept.append(pl.concat([batch.select("position"), embeddings_frame(batch, encoder)], how="horizontal"))
        done += batch.height
        now = clock()
        if now - saved > SAVE_SECONDS:
            progress.append(pl.concat(unkept))
            unkept, saved = [], now
        if now - logged > LOG_SECONDS or done == missing.height:
            log(progress_line(shard, done, missing.height, now - begun))
            logged = now
    schema = {"position": pl.Int64, "id": pl.String, "embedding": pl.Binary}
    return EmbeddedShard(places.height, progress, pl.concat([pl.DataFrame(schema=schema), *unkept]))


def progress_line(shard: str, done: int, total: int, seconds: float, what: str = "embedded") -> str:
    """How many documents are embedded, or `what` else, how fast, and how long it will still take at this rate."""
    rate = done / seconds if seconds else 0.0
    left = f", {_duration((total - done) / rate)} left" if rate and done < total else ""
    return f"{shard}: {done:,} of {total:,} documents {what}, {rate:,.1f} documents/s{left}"


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
