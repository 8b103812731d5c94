"""Maintenance leaves the content of a table alone, and the versions that somebody still needs."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from deltalake.exceptions import DeltaError

from datashop_assets.records import TableSpec
from datashop_assets_tests.object_store_server import free_ports
from resources.lake import DeltaLake, LakeError
from resources.maintenance import compact, readable_versions, vacuum

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


def entry(lake: DeltaLake, version: int) -> Path:
    return Path(lake.table_uri(TABLE)) / "_delta_log" / f"{version:020d}.json"


@pytest.mark.parametrize(
    ("lost", "readable"),
    [
        pytest.param([], [0, 3, 5], id="nothing is lost, and one version is none yet"),
        pytest.param([0], [], id="the beginning"),
        pytest.param([3], [0], id="an entry in the middle"),
        pytest.param([5], [0, 3], id="the last entry"),
        pytest.param(range(6), [], id="everything"),
    ],
)
def test_a_version_whose_log_is_gone_cannot_be_read(lake: DeltaLake, lost: Sequence[int], readable: list[int]) -> None:
    for version in lost:
        entry(lake, version).unlink()
    assert readable_versions(lake, TABLE, [0, 3, 5, 9]) == readable


def test_a_version_behind_a_checkpoint_can_be_read_without_the_entries_before_it(lake: DeltaLake) -> None:
    stored = lake.open(TABLE, 3)
    assert stored is not None
    stored.create_checkpoint()
    for version in range(3):
        entry(lake, version).unlink()
    assert readable_versions(lake, TABLE, [2, 3, 5]) == [3, 5]


def test_a_log_that_is_damaged_is_not_lost(lake: DeltaLake) -> None:
    entry(lake, 3).write_text("half an ent")
    with pytest.raises(DeltaError):
        readable_versions(lake, TABLE, [3])


def test_a_store_that_does_not_answer_has_lost_nothing() -> None:
    options = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_ports(1)[0]}",
        **{"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"},
        **{"AWS_ALLOW_HTTP": "true", "max_retries": "0"},
    }
    with pytest.raises(OSError, match="S3 error"):
        readable_versions(DeltaLake("s3://bucket/lake", options), TABLE, [1])
