"""The lake on a real S3 server: what holds on a local folder holds there. Several writers: `test_writers_on_s3.py`."""

import shutil
from datetime import datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from datashop_assets.demo.summary import summarise
from datashop_assets.filtering.release import verify_release
from datashop_assets.records import FILTERED, RELEASES, SCORES, SHARDS, TableSpec
from datashop_assets_tests.object_store_server import ObjectStoreServer
from datashop_assets_tests.worlds import World, light_export, metadata_of, write_project
from resources.lake import DeltaLake, LakeError
from resources.lake_history import DeltaHistory
from resources.maintenance import stored_tables
from resources.object_store import ObjectStoreError, objects_below, s3_client, split_url
from resources.profiles import build_resources, exports_of, profile_from_environment, project_of

TABLE = TableSpec(
    "things",
    {"shard": pl.String, "id": pl.String, "version": pl.String},
    partition_by=("shard",),
    key="id",
    version_column="version",
)


@pytest.fixture
def lake(s3_url: str, s3_storage_options: dict[str, str]) -> DeltaLake:
    return DeltaLake(s3_url, s3_storage_options)


def put(lake: DeltaLake, version: str, rows: dict[str, list[str]]) -> None:
    """Replace the shards by these ids."""
    cells = [{"shard": shard, "version": version} for shard in rows]
    records = [(shard, key, version) for shard, keys in rows.items() for key in keys]
    lake.commit(TABLE, pl.DataFrame(records, schema=TABLE.schema, orient="row"), cells, {"asset": "test"})


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
        "DATASHOP_EXPORTS": f"{s3_url}/exports",
    } | options


@pytest.fixture(scope="module")
def project(s3_server: ObjectStoreServer, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A project with lake, models and exports on S3, run from documents to a release."""
    folder = tmp_path_factory.mktemp("project")
    profile = profile_from_environment(environment(folder, f"{s3_server.url}/project", s3_server.options))
    world = World(folder, profile)
    world.land_shards(3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("datashop_assets.classifier.produce.export", light_export)
        world.run_all("teaching")
        for job in ("summarise_ratings", "curate_annotations", "select_subset"):
            world.run(job, "teaching")
    return world


def exported(project: World) -> dict[str, datetime]:
    """When each object of the exports was written, by its key."""
    objects = objects_below(project.profile.exports, project.profile.storage_options)
    return {each["Key"]: each["LastModified"] for each in objects}


def test_a_project_on_s3_runs_from_documents_to_a_release_and_a_second_run_does_nothing(project: World) -> None:
    assert project.read(SHARDS).height == 3
    assert project.read(SCORES.of("teaching")).height == 120
    assert project.read(FILTERED.of("teaching"))["kept"].sum() == 30
    assert project.stale() == []
    assert not (project.profile.home / "lake").exists()
    assert not (project.profile.home / "models").exists()
    before, written = project.table_versions(), exported(project)
    for job in ("score_documents", "filter_documents", "cut_release", "select_subset"):
        project.run(job, "teaching")
    assert project.table_versions() == before
    assert exported(project) == written, "nothing was uploaded again"


def test_what_people_take_away_outlives_the_machine_that_made_it(project: World) -> None:
    profile = project.profile
    releases, name = exports_of(profile, "releases"), project.read(RELEASES)["uri"].item()
    place = f"{profile.exports}/releases/{name}"
    assert place in summarise(project.lake, project.graph, releases)
    shutil.rmtree(profile.releases)
    run = project.run("cut_release", "teaching")
    assert metadata_of(run, "release")["teaching"]["path"] == place
    (check,) = run.get_asset_check_evaluations()
    assert (check.passed, check.metadata["release"].value) == (True, place)
    assert verify_release(releases.folder(name)) == []
    shutil.rmtree(profile.home / "subsets")
    subset = metadata_of(project.run("select_subset", "teaching"), "selected_subset")["teaching"]
    assert subset["skipped"]
    assert subset["path"] == f"{profile.exports}/subsets/teaching/{subset['subset']}"
    assert (profile.home / "subsets" / "teaching" / subset["subset"] / "subset.parquet").is_file()
    client, (bucket, prefix) = s3_client(profile.storage_options), split_url(profile.exports)
    classes = client.get_object(Bucket=bucket, Key=f"{prefix}/summaries/teaching/classes.csv")["Body"].read()
    assert classes.startswith(b"dataset")
    client.put_object(Bucket=bucket, Key=f"{prefix}/releases/{name}/README.md", Body=b"altered")
    (check,) = project.run("cut_release", "teaching").get_asset_check_evaluations()
    assert not check.passed
    assert check.metadata["problems"].value == "README.md was altered"


def test_a_run_with_wrong_credentials_fails_before_it_writes(
    tmp_path: Path, s3_url: str, s3_storage_options: dict[str, str]
) -> None:
    wrong = s3_storage_options | {"AWS_SECRET_ACCESS_KEY": "not-the-secret-of-this-store"}
    profile = profile_from_environment(environment(tmp_path, s3_url, wrong))
    lake = build_resources(profile, project_of(profile))["lake"]
    with pytest.raises(ObjectStoreError, match="Check the bucket, the AWS_") as caught:
        lake.resource_fn(dg.build_init_resource_context())
    assert "not-the-secret" not in str(caught.value)


def test_the_tables_are_found_on_s3_each_by_its_own_name(project: World) -> None:
    names = DeltaHistory(project.lake).tables()
    assert {"documents", "scores/teaching", f"embeddings/{project.encoder.id}", "releases"} <= set(names)
    assert [table.name for table in stored_tables(project.lake)] == names == sorted(names)
    assert DeltaHistory(DeltaLake(f"{project.lake.uri}-other", project.lake.storage_options)).tables() == []
