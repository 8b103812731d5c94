"""Working through one shard of any size: a batch of texts in memory, and what is done kept until all of it is.

What belongs here: batches of a shard, its progress, its rows in order, for every stage that makes a row of each text.
What does not: what is made of a batch (`embed.py`, the scoring stage), reading documents (`inputs.py`), which shards
are stale.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from datashop_assets.cellwork import Outcome
from datashop_assets.embedding.embed import embeddings_frame
from datashop_assets.embedding.inputs import document_batches, document_places
from datashop_assets.records import Cell
from datashop_assets.seams import Encoder, Lake, Progress

# Rows are kept when the oldest unkept one is so old: what a killed run computes again.
SAVE_SECONDS = 15.0
LOG_SECONDS = 15.0
# Rows in a frame of the commit: 100 MB of vectors with 768 values.
FRAME_ROWS = 65_536


class LostProgressError(RuntimeError):
    """Rows that were kept for a shard are gone: another run worked on it too. Trying again finds its rows."""


@dataclass(frozen=True)
class ShardRows:
    """What was made of a shard's documents, in their order; `rest` holds what `progress` does not, both with positions.

    `made` rows are of this run, in `seconds`; the others were kept by one before it.
    """

    height: int
    progress: Progress
    rest: pl.DataFrame
    made: int
    seconds: float

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Frames of at most `FRAME_ROWS` rows. Raises LostProgressError."""
        kept = self.progress.scan()
        for start in range(0, self.height, FRAME_ROWS):
            here = pl.col("position").is_between(start, start + FRAME_ROWS - 1)
            parts = [self.rest.filter(here), *([] if kept is None else [kept.filter(here).collect()])]
            # Two runs at once keep the same rows; one of them is enough.
            frame = pl.concat(parts).unique("position").sort("position")
            if frame.height < min(FRAME_ROWS, self.height - start):
                raise LostProgressError("rows that were kept for a shard are gone: another run worked on it; run again")
            yield frame.drop("position")

    @property
    def rate(self) -> float:
        """Documents a second, of this run."""
        return self.made / self.seconds if self.seconds else 0.0


def work_through(
    lake: Lake,
    shard: str,
    make: Callable[[pl.DataFrame], pl.DataFrame],
    schema: Mapping[str, Any],
    progress: Progress,
    log: Callable[[str], Any],
    what: str,
    clock: Callable[[], float] = time.monotonic,
) -> ShardRows:
    """Make rows of the shard's documents that `progress` does not have yet, a batch at a time.

    `make` gives a row of `schema` for each row (id, text, text_sha) of a batch, in order. `progress` is that of these
    documents and of this making of rows; clear it once they are committed. A killed run loses the batch it was in and
    what was not kept yet, `SAVE_SECONDS` at most; a shard that takes less keeps nothing on the disk. `what` is done to
    the documents, for the log. Raises what `make` raises.
    """
    places = document_places(lake, shard)
    kept = progress.scan()
    missing = places
    if kept is not None:
        missing = places.join(kept.select("position").collect(), on="position", how="anti", maintain_order="left")
        log(f"{shard}: {places.height - missing.height:,} of {places.height:,} documents were {what} before")
    begun = saved = logged = clock()
    unkept, done = [], 0
    for batch in document_batches(lake, shard, missing):
        unkept.append(pl.concat([batch.select("position"), make(batch)], how="horizontal"))
        done += batch.height
        now = clock()
        if now - saved > SAVE_SECONDS:
            progress.append(pl.concat(unkept))
            unkept, saved = [], now
        if now - logged > LOG_SECONDS or done == missing.height:
            log(progress_line(shard, done, missing.height, now - begun, what))
            logged = now
    rest = pl.concat([pl.DataFrame(schema={"position": pl.Int64, **schema}), *unkept])
    return ShardRows(places.height, progress, rest, done, clock() - begun)


def embed_shard(
    lake: Lake,
    shard: str,
    encoder: Encoder,
    progress: Progress,
    log: Callable[[str], Any],
    clock: Callable[[], float] = time.monotonic,
) -> ShardRows:
    """The shard's rows of `embeddings`, id and embedding; `progress` is that of these documents and this encoder.

    Raises EmbeddingError naming the documents whose vector is not finite.
    """
    schema, before = {"id": pl.String, "embedding": pl.Binary}, encoder.usage

    def told(line: str) -> None:
        figures = str(encoder.usage - before)
        log(f"{line} ({figures})" if figures else line)

    return work_through(
        lake, shard, lambda batch: embeddings_frame(batch, encoder), schema, progress, told, "embedded", clock
    )


def clearing(outcomes: Iterable[Outcome], staged: dict[Cell, Progress]) -> Iterator[Outcome]:
    """The outcomes as they come, the progress of each cell cleared, as its commit stands by then."""
    for outcome in outcomes:
        if outcome.cell in staged:
            staged.pop(outcome.cell).clear()
        yield outcome


def progress_line(shard: str, done: int, total: int, seconds: float, what: str = "embedded") -> str:
    """How many documents are embedded, or `what` else, how fast, and how long it will still take at this rate."""
    rate = done / seconds if seconds else 0.0
    left = f", {_duration((total - done) / rate)} left" if rate and done < total else ""
    return f"{shard}: {done:,} of {total:,} documents {what}, {rate:,.1f} documents/s{left}"


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
