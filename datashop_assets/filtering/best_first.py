"""Rows of one file sorted by score, best first, in bounded memory.

What belongs here: the sort, by way of the disk. What does not: the files that the rows go to (`formats.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

# Bytes of text in one part, which is in memory while it is sorted; a file of 1 GB is 16 of them.
PART_BYTES = 64_000_000


@contextmanager
def best_first(
    folder: Path, write: Callable[[pl.DataFrame], Any], row_group_rows: int, part_bytes: int = PART_BYTES
) -> Iterator[Callable[[pl.DataFrame], None]]:
    """A function that takes a file's rows in any order; at the end they go to `write` by falling score.

    Rows of equal score keep their order. They come in groups of at most `row_group_rows`, the scores of one group all
    at or below those of the group before. The rows wait in `folder`, which must not be there and is empty again at the
    end: first as they come, then in parts of about `part_bytes` by their rank. Memory holds one call's rows, one
    part, and the scores.
    """
    folder.mkdir()
    arrived = folder / "arrived"
    scores: list[pl.Series] = []
    size = 0
    with ExitStack() as closing:
        streams: dict[Path, Any] = {}

        def append(path: Path, rows: pl.DataFrame) -> None:
            table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
            if path not in streams:
                streams[path] = closing.enter_context(pa.ipc.new_stream(path, table.schema))
            streams[path].write_table(table)

        def take(rows: pl.DataFrame) -> None:
            nonlocal size
            append(arrived, rows)
            scores.append(rows["score"])
            size += int(rows["text"].str.len_bytes().sum())

        yield take

        streams.pop(arrived).close()
        every = pl.concat(scores).to_numpy()
        ranks = np.empty(len(every), np.int64)
        ranks[np.argsort(-every, kind="stable")] = np.arange(len(every))
        fits = max(1, int(part_bytes / max(1, size / len(every))))
        part_rows = fits // row_group_rows * row_group_rows or fits
        done = 0
        for rows in _frames(arrived):
            ranked = rows.with_columns(rank=ranks[done : done + rows.height])
            done += rows.height
            for (part,), some in ranked.group_by(pl.col("rank") // part_rows, maintain_order=True):
                append(folder / f"part-{part}", some)
        arrived.unlink()
    for part in range(len(streams)):
        path = folder / f"part-{part}"
        for rows in pl.concat(_frames(path)).sort("rank").drop("rank").iter_slices(row_group_rows):
            write(rows)
        path.unlink()
    folder.rmdir()


def _frames(path: Path) -> Iterator[pl.DataFrame]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield frame
