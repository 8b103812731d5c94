"""Keeping tables small to open: compaction of many small files, vacuum of files that no readable version needs.

What belongs here: Delta maintenance. What does not: reading and committing (`lake.py`).
"""

from collections.abc import Collection
from dataclasses import dataclass

from deltalake import DeltaTable

from datashop_assets.records import TableSpec
from resources.lake import DeltaLake, LakeError


@dataclass(frozen=True)
class Compaction:
    """What a compaction did: files before and after it, and the table version that it made."""

    table: str
    files_before: int
    files_after: int
    version: int


def _opened(lake: DeltaLake, table: TableSpec) -> DeltaTable:
    stored = lake.open(table)
    if stored is None:
        raise LakeError(f"table {table.name} does not exist at {lake.table_uri(table)}: nothing to maintain")
    return stored


def compact(lake: DeltaLake, table: TableSpec) -> Compaction:
    """Rewrite the small files of each partition into few. Rows, versions of cells and older table versions stay.

    Raises LakeError where the table does not exist.
    """
    stored = _opened(lake, table)
    before = len(stored.file_uris())
    stored.optimize.compact()
    stored.update_incremental()
    return Compaction(table.name, before, len(stored.file_uris()), stored.version())


def vacuum(
    lake: DeltaLake, table: TableSpec, *, retention_hours: int = 168, keep_versions: Collection[int] = (), dry_run: bool
) -> list[str]:
    """Files that only versions older than `retention_hours` need; deleted unless `dry_run`. The week's default is
    what protects readers that are under way; `keep_versions` (those that releases were cut from) stay readable.

    Raises LakeError where the table does not exist.
    """
    return list(
        _opened(lake, table).vacuum(
            retention_hours=retention_hours, dry_run=dry_run, keep_versions=sorted(keep_versions) or None
        )
    )
