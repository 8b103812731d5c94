"""Keeping tables small to open: compaction of many small files, vacuum of files that no readable version needs.

What belongs here: Delta maintenance, and what the store holds. What does not: reading and committing (`lake.py`), which
table needs what (`datashop_assets/housekeeping/`).
"""

import math
import random
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
from deltalake import CommitProperties, DeltaTable, WriterProperties
from deltalake.exceptions import CommitFailedError, DeltaError

from datashop_assets.records import TableSpec
from datashop_assets.tables import TABLES
from resources.lake import COMMIT_RETRIES, LOG_CLEANUP, ROWS_A_GROUP, DeltaLake, LakeError, local_path, quoted
from resources.object_store import ObjectStoreError, objects_below, split_url
from resources.table_names import table_names

# Below a week readers that are under way are in danger; delta-rs asks to be told that this is meant.
SAFE_HOURS = 168

ATTEMPTS = 4
# What delta-rs says of a version that parts of the log are missing of: it has one kind of error for everything. Where
# it comes to say otherwise, the version is not taken for lost, and the table is left alone.
LOST_LOG = (
    "LogSegment end version",
    "Expected contiguous commit files",
    "No table metadata or protocol found",
    "didn't find any checkpoints",
)


class TableBusyError(LakeError):
    """A compaction that other writers kept from its commit: the table is as they left it."""


@dataclass(frozen=True)
class Compaction:
    """What a compaction did: files before and after it, and the table version that it made."""

    table: str
    files_before: int
    files_after: int
    version: int


@contextmanager
def errors_named(name: str) -> Iterator[None]:
    """What delta-rs, the disk or the object store raises inside the block, as a LakeError that names the table."""
    try:
        yield
    except (DeltaError, OSError, pl.exceptions.PolarsError, ObjectStoreError) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]  # delta-rs adds lines of an empty backtrace
        raise LakeError(f"table {name}: {cause}") from error


def stored_tables(lake: DeltaLake) -> list[TableSpec]:
    """Every table that the lake holds, those of a lens, an encoder or an attribute by their own names, sorted.

    Raises LakeError where the store cannot be listed.
    """
    known = {table.name: table for table in TABLES}
    with errors_named(f"at {lake.uri}"):
        parts = [name.partition("/") for name in table_names(lake)]
    return [known[name].of(part) if part else known[name] for name, _, part in parts if name in known]


def stored_files(lake: DeltaLake, table: TableSpec) -> pl.DataFrame:
    """The files of the table as it is now: its partition columns, `bytes`, and when each was `modified` (UTC).
    Empty where it does not exist."""
    stored = lake.open(table)
    columns = {f"partition.{name}": name for name in table.partition_by}
    files = pl.DataFrame() if stored is None else pl.DataFrame(stored.get_add_actions(flatten=True))
    if files.is_empty():
        empty: dict[str, Any] = dict.fromkeys(table.partition_by, pl.String)
        return pl.DataFrame(schema=empty | {"bytes": pl.Int64, "modified": pl.Datetime("ms", "UTC")})
    size = pl.col("size_bytes").cast(pl.Int64).alias("bytes")
    modified = pl.from_epoch("modification_time", "ms").dt.replace_time_zone("UTC").alias("modified")
    return files.select(*columns, size, modified).rename(columns)


def compact(lake: DeltaLake, table: TableSpec, cells: pl.DataFrame | None = None) -> Compaction:
    """Rewrite the small files of each partition into few. Rows, versions of cells and older table versions stay.

    `cells` has the partition values of those that need it; None: all. Tried again where another writer was faster.
    Raises LakeError where the table does not exist, TableBusyError where others kept writing to the same cells.
    """
    chosen: Any = None
    if cells is not None and table.partition_by:
        chosen = [(name, "in", cells[name].unique().sort().to_list()) for name in table.partition_by]
    layout = WriterProperties(compression="ZSTD", max_row_group_size=ROWS_A_GROUP)
    properties = CommitProperties(
        custom_metadata={"datashop.asset": "compacted_tables"}, max_commit_retries=COMMIT_RETRIES
    )
    for attempt in range(ATTEMPTS):
        stored = _opened(lake, table)
        before = len(stored.file_uris())
        try:
            stored.optimize.compact(
                partition_filters=chosen,
                max_concurrent_tasks=1,
                writer_properties=layout,
                commit_properties=properties,
            )
        except (CommitFailedError, DeltaError) as error:
            if attempt == ATTEMPTS - 1:
                raise TableBusyError(f"table {table.name} was not compacted, it is as it was: {error}") from error
            time.sleep(random.uniform(0.05, 0.2) * 2**attempt)
        else:
            stored.update_incremental()
            return Compaction(table.name, before, len(stored.file_uris()), stored.version())
    raise AssertionError("not reached")


def remove_partition(lake: DeltaLake, table: TableSpec, column: str, value: str) -> None:
    """Take out all cells whose partition column has the value. Older versions of the table keep them.

    Raises LakeError where the table does not exist, TableBusyError where others kept writing to the same cells.
    """
    properties = CommitProperties(
        custom_metadata={"datashop.asset": "cleared_leftovers"}, max_commit_retries=COMMIT_RETRIES
    )
    try:
        _opened(lake, table).delete(f"{column} = {quoted(value)}", commit_properties=properties)
    except (CommitFailedError, DeltaError) as error:
        raise TableBusyError(f"table {table.name} keeps {column} {value}, it is as it was: {error}") from error


def vacuum(
    lake: DeltaLake,
    table: TableSpec,
    *,
    retention_hours: float = SAFE_HOURS,
    keep_versions: Collection[int] = (),
    dry_run: bool,
) -> list[str]:
    """Files that only versions older than `retention_hours` need, and those of killed writers; deleted unless
    `dry_run`. The week's default is what protects readers that are under way; `keep_versions` (those that releases were
    cut from) stay readable. All of them have to be so now, see `readable_versions`.

    Raises LakeError where the table does not exist, DeltaError where one of `keep_versions` cannot be read.
    """
    hours = math.ceil(retention_hours)
    return list(
        _opened(lake, table).vacuum(
            retention_hours=hours,
            enforce_retention_duration=hours >= SAFE_HOURS,
            dry_run=dry_run,
            full=True,
            keep_versions=sorted(keep_versions) or None,
        )
    )


def readable_versions(lake: DeltaLake, table: TableSpec, versions: Collection[int]) -> list[int]:
    """Those of the versions whose log is still there.

    Raises what keeps a version from being read that is not lost, an entry of the log that is damaged or a store that
    does not answer (DeltaError, OSError): it may be read again once that is mended.
    """
    found = []
    for version in versions:
        try:
            found += [version] if lake.open(table, version) is not None else []
        except DeltaError as error:
            if not any(words in str(error) for words in LOST_LOG):
                raise
    return found


def keep_log(lake: DeltaLake, table: TableSpec) -> bool:
    """From now on the table's log keeps how every version was made up; returns whether that is new.

    Where another writer was faster, the table is read again: it may have been set by then. Raises LakeError where the
    table does not exist, TableBusyError where others kept changing it.
    """
    for attempt in range(ATTEMPTS):
        stored = _opened(lake, table)
        if stored.metadata().configuration.get(LOG_CLEANUP) == "false":
            return False
        try:
            stored.alter.set_table_properties({LOG_CLEANUP: "false"}, raise_if_not_exists=False)
        except CommitFailedError as error:
            if attempt == ATTEMPTS - 1:
                raise TableBusyError(f"table {table.name}: its log is not set to be kept: {error}") from error
            time.sleep(random.uniform(0.05, 0.2) * 2**attempt)
        else:
            return True
    raise AssertionError("not reached")


def sizes_of(lake: DeltaLake, table: TableSpec, files: Sequence[str]) -> dict[str, int]:
    """Bytes of those of the files (paths below the table, as `vacuum` gives them) that are still there: it names what
    the log says was removed, also where an earlier vacuum took it."""
    place = lake.table_uri(table)
    folder = local_path(place)
    if folder is not None:
        sizes = {}
        for name in files:
            with suppress(FileNotFoundError):
                sizes[name] = (Path(folder) / unquote(name)).stat().st_size
        return sizes
    _, prefix = split_url(place)
    objects = objects_below(place, lake.storage_options)
    there = {each["Key"].removeprefix(f"{prefix}/"): each["Size"] for each in objects}
    return {name: there[unquote(name)] for name in files if unquote(name) in there}


def _opened(lake: DeltaLake, table: TableSpec) -> DeltaTable:
    stored = lake.open(table)
    if stored is None:
        raise LakeError(f"table {table.name} does not exist at {lake.table_uri(table)}: nothing to maintain")
    return stored
