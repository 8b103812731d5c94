"""Rows of one file sorted by score, best first, in bounded memory.

What belongs here: the sort, by way of the disk. What does not: the files that the rows go to (`formats.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

# Bytes of text in one part, which is in memory while it is sorted; a file of 1 GB is 16 of them.
PART_BYTES = 64_000_000


@contextmanager
def best_first(
    folder: Path, write: Callable[[pl.DataFrame], Any], row_group_rows: int, part_bytes: int = PART_BYTES
) -> Iterator[Callable[[pl.DataFrame], None]]:
    """A function that takes a file's rows in any order; at the end they go to `write` by falling score.

    Rows of equal score keep their order. They come in groups of at most `row_group_rows` rows and `part_bytes` of text
    (a longer text is a group by itself), the scores of one group all at or below those of the group before. The rows
    wait in `folder`, which must not be there and is empty again at the end: first as they come, then in parts of at
    most `part_bytes`, wherever the long texts are among the ranks. Memory holds one call's rows, one part, and of every
    row its score and its size.
    """
    folder.mkdir()
    arrived = folder / "arrived"
    scores: list[pl.Series] = []
    sizes: list[pl.Series] = []
    groups = np.empty(0, np.int64)
    with ExitStack() as closing:
        streams: dict[Path, Any] = {}

        def append(path: Path, rows: pl.DataFrame) -> None:
            table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
            if path not in streams:
                streams[path] = closing.enter_context(pa.ipc.new_stream(path, table.schema))
            streams[path].write_table(table)

        def take(rows: pl.DataFrame) -> None:
            append(arrived, rows)
            scores.append(rows["score"])
            sizes.append(rows["text"].str.len_bytes())

        yield take

        streams.pop(arrived).close()
        order = np.argsort(-pl.concat(scores).to_numpy(), kind="stable")
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order))
        groups, parts = _divided(pl.concat(sizes).to_numpy()[order].tolist(), row_group_rows, part_bytes)
        done = 0
        for rows in _frames(arrived):
            ranked = rows.with_columns(rank=ranks[done : done + rows.height])
            done += rows.height
            for (part,), some in ranked.group_by(pl.Series(parts[ranked["rank"]]), maintain_order=True):
                append(folder / f"part-{part}", some)
        arrived.unlink()
    for part in range(len(streams)):
        path = folder / f"part-{part}"
        sorted_part = pl.concat(_frames(path)).sort("rank")
        in_groups = sorted_part.drop("rank").with_columns(group=groups[sorted_part["rank"]])
        for rows in in_groups.partition_by("group", maintain_order=True, include_key=False):
            write(rows)
        path.unlink()
    folder.rmdir()


def _divided(sizes: Sequence[int], most_rows: int, most_bytes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The group and the part of each rank, from the rows' sizes in the order of the ranks: int64 of shape [rows] each.

    A part is of whole groups.
    """
    groups: list[int] = []
    of_group: list[int] = []  # bytes
    rows = 0
    for size in sizes:
        if not of_group or rows == most_rows or of_group[-1] + size > most_bytes:
            of_group.append(0)
            rows = 0
        rows += 1
        of_group[-1] += size
        groups.append(len(of_group) - 1)
    part_of: list[int] = []
    held = 0
    for size in of_group:
        new = not part_of or held + size > most_bytes
        held = size if new else held + size
        part_of.append((part_of[-1] if part_of else -1) + new)
    return np.array(groups), np.array(part_of)[groups]


def _frames(path: Path) -> Iterator[pl.DataFrame]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield frame
