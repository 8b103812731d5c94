"""The lake on a real S3 server: what holds on a local folder holds there, with several writers too."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from datashop_assets.records import FILTERED, SCORES, SHARDS, TableSpec
from datashop_assets_tests.worlds import World, light_export, write_project
from resources.lake import DeltaLake, LakeError
from resources.object_store import ObjectStoreError, s3_client, split_url
from resources.profiles import build_resources, profile_from_environment, project_of

TABLE = TableSpec(
    "things",
    {"shard": pl.String, "id": pl.String, "version": pl.String},
    partition_by=("shard",),
    key="id",
    version_column="version",
)
WRITERS, COMMITS = 4, 5


@pytest.fixture
def lake(s3_url: str, s3_storage_options: dict[str, str]) -> DeltaLake:
    return DeltaLake(s3_url, s3_storage_options)


def put(lake: DeltaLake, version: str, rows: dict[str, list[str]]) -> None:
    """Replace the shards by these ids."""
    cells = [{"shard": shard, "version": version} for shard in rows]
    records = [(shard, key, version) for shard, keys in rows.items() for key in keys]
    lake.commit(TABLE, pl.DataFrame(records, schema=TABLE.schema, orient="row"), cells, {"asset": "test"})


def write_shards(url: str, options: dict[str, str], writer: int) -> int:
    """Several commits by one process; all writers replace shards of their own in one table."""
    lake = DeltaLake(url, options)
    for commit in range(COMMITS):
        put(lake, "v1", {f"w{writer}-{commit}": ["a", "b"]})
    return writer


def test_a_commit_replaces_its_cells_and_no_other(lake: DeltaLake) -> None:
    assert lake.read(TABLE).is_empty()
    put(lake, "v1", {"s1": ["a", "b"], "s2": ["c"]})
    put(lake, "v2", {"s1": ["d"], "s3": []})
    assert sorted(lake.read(TABLE).rows()) == [("s1", "d", "v2"), ("s2", "c", "v1")]
    assert lake.cells(TABLE).rows() == [("s1", "v2", 1), ("s2", "v1", 1), ("s3", "v2", 0)]


def test_older_versions_stay_readable(lake: DeltaLake) -> None:
    put(lake, "v1", {"s1": ["a"]})
    version = lake.version(TABLE)
    put(lake, "v2", {"s1": ["b"]})
    assert lake.read(TABLE, version=version)["id"].to_list() == ["a"]


def test_a_read_of_one_shard_opens_that_shards_file_only(lake: DeltaLake) -> None:
    """The other shard's file is gone from the store: a read that needed it would fail."""
    put(lake, "v1", {"s1": ["a"]})
    put(lake, "v1", {"s2": ["b"]})
    (gone,) = [uri for uri in lake.open(TABLE).file_uris() if "shard=s2" in uri]
    bucket, key = split_url(gone)
    s3_client(lake.storage_options).delete_object(Bucket=bucket, Key=key)
    assert lake.scan(TABLE, {"shard": ["s1"]}).select("id").collect()["id"].to_list() == ["a"]
    with pytest.raises(Exception, match=r"not.?found|404|NoSuchKey"):
        lake.read(TABLE)


def test_four_writers_at_once_lose_nothing(lake: DeltaLake) -> None:
    put(lake, "v0", {"first": ["x"]})
    with ProcessPoolExecutor(WRITERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = [pool.submit(write_shards, lake.uri, dict(lake.storage_options), n) for n in range(WRITERS)]
        assert sorted(each.result() for each in done) == list(range(WRITERS))
    cells = {(shard, rows) for shard, _, rows in lake.cells(TABLE).rows()}
    assert cells == {("first", 1)} | {(f"w{w}-{c}", 2) for w in range(WRITERS) for c in range(COMMITS)}


def test_wrong_credentials_are_said_without_the_secret(s3_url: str, s3_storage_options: dict[str, str]) -> None:
    wrong = s3_storage_options | {"AWS_SECRET_ACCESS_KEY": "not-the-secret-of-this-store"}
    with pytest.raises((LakeError, OSError)) as caught:
        put(DeltaLake(s3_url, wrong), "v1", {"s1": ["a"]})
    said = str(caught.value)
    assert "403" in said or "Forbidden" in said or "SignatureDoesNotMatch" in said
    assert "not-the-secret-of-this-store" not in said
    assert TABLE.name in said, "it names the table"


def environment(folder: Path, s3_url: str, options: dict[str, str]) -> dict[str, str]:
    return {
        "DATASHOP_PROJECT": str(write_project(folder)),
        "DATASHOP_LAKE": f"{s3_url}/lake",
        "DATASHOP_MODELS": f"{s3_url}/models",
    } | options


def test_a_project_with_lake_and_models_on_s3_runs_from_documents_to_a_release(
    tmp_path: Path, s3_url: str, s3_storage_options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datashop_assets.classifier.produce.export", light_export)
    profile = profile_from_environment(environment(tmp_path, s3_url, s3_storage_options))
    world = World(tmp_path, profile)
    world.land_shards(3)
    world.run_all("teaching")
    assert world.read(SHARDS).height == 3
    assert world.read(SCORES.of("teaching")).height == 120
    assert world.read(FILTERED.of("teaching"))["kept"].sum() == 30
    assert world.stale() == []
    assert not (profile.home / "lake").exists()
    assert not (profile.home / "models").exists()
    before = world.table_versions()
    world.run_all("teaching")
    assert world.table_versions() == before


def test_a_run_with_wrong_credentials_fails_before_it_writes(
    tmp_path: Path, s3_url: str, s3_storage_options: dict[str, str]
) -> None:
    wrong = s3_storage_options | {"AWS_SECRET_ACCESS_KEY": "not-the-secret-of-this-store"}
    profile = profile_from_environment(environment(tmp_path, s3_url, wrong))
    lake = build_resources(profile, project_of(profile))["lake"]
    with pytest.raises(ObjectStoreError, match="Check the bucket, the AWS_") as caught:
        lake.resource_fn(dg.build_init_resource_context())
    assert "not-the-secret" not in str(caught.value)
