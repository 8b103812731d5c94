"""Maintenance leaves the content of a table alone, and the versions that somebody still needs."""

from pathlib import Path

import polars as pl
import pytest

from datashop_assets.records import TableSpec
from resources.lake import DeltaLake, LakeError
from resources.maintenance import compact, vacuum

TABLE = TableSpec(
    "things",
    {"shard": pl.String, "id": pl.String, "version": pl.String},
    partition_by=("shard",),
    key="id",
    version_column="version",
)


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    lake = DeltaLake(str(tmp_path))
    for number in range(4):
        frame = pl.DataFrame({"shard": ["a"], "id": [str(number)], "version": ["v1"]})
        lake.commit(TABLE, frame, None, {})
    lake.commit(TABLE, TABLE.empty(), [{"shard": "empty", "version": "v1"}], {})
    return lake


def test_compaction_keeps_rows_cells_and_older_versions(lake: DeltaLake) -> None:
    rows, cells = lake.read(TABLE).sort("id"), lake.cells(TABLE)
    done = compact(lake, TABLE)
    assert (done.files_before, done.files_after) == (5, 2)
    assert lake.read(TABLE).sort("id").equals(rows)
    assert lake.cells(TABLE).equals(cells)
    assert lake.read(TABLE, version=2).height == 2


def test_vacuum_deletes_nothing_that_a_kept_version_needs(lake: DeltaLake) -> None:
    before = lake.version(TABLE)
    assert before is not None
    compact(lake, TABLE)
    stored = lake.open(TABLE)
    assert stored is not None
    assert vacuum(lake, TABLE, dry_run=True) == [], "young files are kept for readers that are under way"
    stored.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, keep_versions=[before])
    assert lake.read(TABLE, version=before).height == 4


def test_a_table_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="things does not exist"):
        compact(DeltaLake(str(tmp_path)), TABLE)
