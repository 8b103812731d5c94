"""Tables: which need compaction, what a vacuum may take, what nobody reads any more, and which versions releases hold
on to.

What belongs here: the decisions, the loop over the tables. What does not: Delta itself (`resources/maintenance.py`).
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import polars as pl

from datashop_assets.filtering.superseded import Search, Superseded
from datashop_assets.housekeeping.chores import Chore
from datashop_assets.housekeeping.tables import HOUSEKEEPING
from datashop_assets.records import RELEASES, TableSpec
from datashop_assets.seams import Lake
from resources import maintenance
from resources.lake import DeltaLake, LakeError

# A file below this is small: a tenth of what the writer aims at. Many shards have one small file each, which no
# compaction can mend: partitions are not mixed.
SMALL_BYTES = 10_000_000


def crowded(files: pl.DataFrame, least: int) -> pl.DataFrame:
    """The partitions that hold `least` small files or more: their partition values, and `files` and `bytes` of these.

    `files` is as `maintenance.stored_files` gives it, a row a file; a table without partitions is one.
    """
    columns = [name for name in files.columns if name not in ("bytes", "modified")]
    small = files.filter(pl.col("bytes") < SMALL_BYTES)
    counts = (pl.len().cast(pl.Int64).alias("files"), pl.col("bytes").sum())
    grouped = small.group_by(columns, maintain_order=True).agg(*counts) if columns else small.select(*counts)
    return grouped.filter(pl.col("files") >= least)


def released_versions(lake: Lake) -> dict[str, set[int]]:
    """Table name to the versions that the manifest of some release names: all of them have to stay readable."""
    found: dict[str, set[int]] = {}
    for manifest in lake.scan(RELEASES).select("manifest").collect()["manifest"]:
        for name, version in json.loads(manifest).get("tables", {}).items():
            if version is not None:
                found.setdefault(name, set()).add(int(version))
    return found


def compact_tables(lake: DeltaLake, least: int, dry_run: bool) -> Iterator[Chore]:
    """Compact the crowded partitions of every table. One that other writers keep busy, or that cannot be read, is left,
    and said."""

    def compacted(table: TableSpec) -> Chore | None:
        due = crowded(maintenance.stored_files(lake, table), least)
        if due.is_empty():
            return None
        files, size = int(due["files"].sum()), int(due["bytes"].sum())
        note = f"{files} small files in {due.height} partition{'s' * (due.height > 1)}"
        if not dry_run:
            made = maintenance.compact(lake, table, due if table.partition_by else None)
            note = f"{note}; {made.files_before} files are now {made.files_after}"
        return Chore(table.name, "compact", files, size, not dry_run, note)

    return _one_by_one(maintenance.stored_tables(lake), "compact", compacted)


def vacuum_tables(lake: DeltaLake, retention_hours: float, dry_run: bool) -> Iterator[Chore]:
    """Vacuum every table but for the versions that releases name, and see to it that logs are kept from now on: a
    version whose log is gone cannot be read, whatever files there are. A table that cannot be read is left, and said;
    all are where it is the table of releases, since then nothing is known of these versions."""
    try:
        with maintenance.errors_named(RELEASES.name):
            released = released_versions(lake)
    except LakeError as error:
        yield Chore("every table", "vacuum", 0, 0, False, f"left alone: {error}")
        return

    def vacuumed(table: TableSpec) -> Chore | None:
        keep = released.get(table.name, set())
        readable = maintenance.readable_versions(lake, table, keep)
        lost = keep - set(readable)
        note = f"{len(readable)} versions are kept for releases" if keep else ""
        if lost:
            note += f"; of releases, {sorted(lost)} cannot be read any more"
        if not dry_run:
            maintenance.keep_log(lake, table)
        listed = maintenance.vacuum(lake, table, retention_hours=retention_hours, keep_versions=readable, dry_run=True)
        gone = maintenance.sizes_of(lake, table, listed)
        if gone and not dry_run:
            maintenance.vacuum(lake, table, retention_hours=retention_hours, keep_versions=readable, dry_run=False)
        if not gone and not lost:
            return None
        return Chore(table.name, "vacuum", len(gone), sum(gone.values()), bool(gone) and not dry_run, note)

    # The record of housekeeping is written at the end of each run, and holds nothing large.
    tables = [table for table in maintenance.stored_tables(lake) if table.name != HOUSEKEEPING.name]
    yield from _one_by_one(tables, "vacuum", vacuumed)


def remove_superseded(
    lake: DeltaLake, searches: Iterable[Search], retention_hours: float, dry_run: bool
) -> Iterator[Chore]:
    """Take out what nobody reads any more and nobody wrote for `retention_hours`: a run that is under way may go by
    what was in force at its start. The files go with the first vacuum that finds them old enough."""
    before = datetime.now(UTC) - timedelta(hours=retention_hours)
    for search in searches:
        try:
            with maintenance.errors_named(f"{search.table.name}, or a record of what is in force of it"):
                found = search.found()
                files = maintenance.stored_files(lake, search.table)
        except LakeError as error:
            yield Chore(search.table.name, "remove rows", 0, 0, False, f"left alone: {error}")
            continue
        for each in found:
            its = files.filter(pl.col(each.column) == each.value)
            if its.filter(pl.col("modified") > before).is_empty():
                yield _removed(lake, each, its, dry_run)


def _removed(lake: DeltaLake, each: Superseded, files: pl.DataFrame, dry_run: bool) -> Chore:
    what = f"{each.table.name}, {each.column} {each.value}"
    try:
        if not dry_run:
            with maintenance.errors_named(each.table.name):
                maintenance.remove_partition(lake, each.table, each.column, each.value)
    except LakeError as error:
        return Chore(what, "remove rows", 0, 0, False, f"left alone: {error}")
    note = f"{each.rows} rows of {each.shards} shards: {each.why}"
    return Chore(what, "remove rows", files.height, int(files["bytes"].sum()), not dry_run, note)


def _one_by_one(tables: Iterable[TableSpec], action: str, do: Callable[[TableSpec], Chore | None]) -> Iterator[Chore]:
    """What was done with each table; where that failed the table is left alone, and the next one is done."""
    for table in tables:
        try:
            with maintenance.errors_named(table.name):
                chore = do(table)
        except LakeError as error:
            chore = Chore(table.name, action, 0, 0, False, f"left alone: {error}")
        if chore is not None:
            yield chore
