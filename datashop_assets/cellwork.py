"""Bringing the cells of one table up to date: skip what is at its wanted version, produce the rest, commit in batches.

What belongs here: the one loop that every partitioned asset runs. What does not: what a stage computes for a cell (its
own modules), how a version is made (`lineage.py`).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from datashop_assets.lineage import base_version
from datashop_assets.records import Cell, TableSpec
from datashop_assets.seams import Lake


class Frames(Protocol):
    """A cell's rows that are more than memory should hold: frames, made as they are asked for, more than once."""

    @property
    def height(self) -> int: ...

    def __iter__(self) -> Iterator[pl.DataFrame]: ...


# Rows of a commit at most, beside one cell: a million narrow rows in one commit held 0.5 GB, a tenth of them 0.3.
ROWS_A_COMMIT = 200_000


@dataclass(frozen=True)
class Produced:
    """A cell's rows, without its partition values and version, and what people should know of it.

    Rows in several frames make a commit of their own. `version` is given where it is not the wanted one, because the
    cell is usable but not done: it stays stale.
    """

    rows: pl.DataFrame | Frames
    facts: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a cell in this run. `table_version` is null where it was skipped."""

    cell: Cell
    version: str
    rows: int
    skipped: bool
    table_version: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A table and how its cells are addressed: `keys` gives a cell's partition values."""

    table: TableSpec
    keys: Callable[[Cell], Mapping[str, str]] = lambda cell: {"shard": cell.shard}


def have(lake: Lake, target: Target, cells: Sequence[Cell]) -> dict[Cell, tuple[str | None, int]]:
    """Version and row count of each of the cells that the table has."""
    columns = list(target.table.partition_by)
    stored = lake.cells(target.table)
    addresses = zip(*(stored[column].to_list() for column in columns), strict=True)
    known = dict(zip(addresses, zip(stored["version"].to_list(), stored["rows"].to_list(), strict=True), strict=True))
    found: dict[Cell, tuple[str | None, int]] = {}
    for cell in cells:
        keys = target.keys(cell)
        there = known.get(tuple([keys[column] for column in columns]))
        if there is not None:
            found[cell] = there
    return found


class CellsFailedError(RuntimeError):
    """Some cells of a run could not be made; the others were committed. The message names each one and its cause."""

    def __init__(self, failures: Mapping[Cell, Exception]) -> None:
        self.failures = dict(failures)
        lines = [f"  {cell.lens + ' | ' if cell.lens else ''}{cell.shard}: {error}" for cell, error in failures.items()]
        super().__init__(
            f"{len(failures)} of the run's cells failed; all others are committed. Mend these and run again, only "
            "they will be computed:\n" + "\n".join(lines)
        )


def refresh(
    lake: Lake,
    target: Target,
    wanted: Mapping[Cell, str],
    produce: Callable[[Cell], Produced],
    lineage: Mapping[str, Any],
    *,
    batch_cells: int = 16,
    tolerate: tuple[type[Exception], ...] = (),
    missing: Mapping[Cell, Exception] | None = None,
    again: Collection[Cell] = (),
) -> Iterator[Outcome]:
    """Bring the wanted cells up to date, yielding each one's outcome once its commit stands.

    Cells already at their wanted version are not computed again, but for those in `again`. At most `batch_cells` cells
    of ROWS_A_COMMIT rows share a commit, so a killed run loses at most that much and never leaves half a cell. An error
    in `tolerate` concerns its own cell: the others go on, and CellsFailedError names the failed ones at the end,
    together with the `missing` cells, which could not be tried because something before them is not there. Any other
    error ends the run at once.
    """
    known = have(lake, target, list(wanted))
    failures: dict[Cell, Exception] = dict(missing or {})
    batch: list[tuple[Cell, Produced]] = []
    for cell, version in wanted.items():
        if cell in known and base_version(known[cell][0]) == version and cell not in again:
            yield Outcome(cell, version, known[cell][1], skipped=True)
            continue
        try:
            batch.append((cell, produce(cell)))
        except tolerate as error:
            failures[cell] = error
        if len(batch) >= batch_cells or (batch and _is_full(batch)):
            yield from _commit(lake, target, wanted, batch, lineage)
            batch = []
    if batch:
        yield from _commit(lake, target, wanted, batch, lineage)
    if failures:
        raise CellsFailedError(failures)


def _is_full(batch: Sequence[tuple[Cell, Produced]]) -> bool:
    """Whether it takes no other cell: its last rows come in several frames, or there are rows enough."""
    if not isinstance(batch[-1][1].rows, pl.DataFrame):
        return True
    return sum(produced.rows.height for _, produced in batch) >= ROWS_A_COMMIT


def _commit(
    lake: Lake,
    target: Target,
    wanted: Mapping[Cell, str],
    batch: Sequence[tuple[Cell, Produced]],
    lineage: Mapping[str, Any],
) -> Iterator[Outcome]:
    made = [produced.version or wanted[cell] for cell, produced in batch]
    cells = [{**target.keys(cell), "version": version} for (cell, _), version in zip(batch, made, strict=True)]
    rows = _Rows(target.table, [(produced.rows, cell) for (_, produced), cell in zip(batch, cells, strict=True)])
    whole = all(isinstance(produced.rows, pl.DataFrame) for _, produced in batch)
    commit = lake.commit(target.table, pl.concat(rows) if whole else rows, cells, lineage)
    for (cell, produced), version in zip(batch, made, strict=True):
        yield Outcome(cell, version, produced.rows.height, False, commit.version, produced.facts)


@dataclass(frozen=True)
class _Rows:
    """The rows of several cells, each with the partition values and the version of its cell, in the table's columns."""

    table: TableSpec
    cells: Sequence[tuple[pl.DataFrame | Frames, Mapping[str, str]]]

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for rows, address in self.cells:
            values = {name: pl.lit(value, pl.String) for name, value in address.items()}
            for frame in [rows] if isinstance(rows, pl.DataFrame) else rows:
                yield frame.with_columns(**values).select(list(self.table.schema))
