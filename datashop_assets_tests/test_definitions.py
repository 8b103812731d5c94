"""The definitions as Dagster sees them: the graph of a project of two lenses, one of which is annealed."""

from pathlib import Path

import dagster as dg
import pytest
from syrupy.assertion import SnapshotAssertion

from datashop_assets.definitions import build_defs
from datashop_assets.project import ProjectError
from datashop_assets.rating.lens import LensError
from datashop_assets_tests.worlds import write_project
from resources.profiles import laptop

LENS = {"rater": "scripted"}
ANNEALED = {"teaching": LENS | {"anneal": True}, "clarity": LENS}


def definitions(folder: Path, **changes: object) -> dg.Definitions:
    return build_defs(laptop(write_project(folder, **changes)))


@pytest.fixture
def defs(tmp_path: Path) -> dg.Definitions:
    return definitions(tmp_path, lenses=ANNEALED)


def shape(partitions: dg.PartitionsDefinition | None) -> str:
    if isinstance(partitions, dg.MultiPartitionsDefinition):
        return " x ".join(f"{d.name}: {shape(d.partitions_def)}" for d in partitions.partitions_defs)
    if isinstance(partitions, dg.DynamicPartitionsDefinition):
        return f"dynamic {partitions.name}"
    return ", ".join(partitions.get_partition_keys()) if partitions else "none"


def test_the_graph(defs: dg.Definitions, snapshot: SnapshotAssertion) -> None:
    graph = defs.resolve_asset_graph()
    assert {
        node.key.to_user_string(): {
            "after": sorted(parent.to_user_string() for parent in node.parent_keys),
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "partitions": shape(node.partitions_def),
            "one run carries": node.backfill_policy.max_partitions_per_run if node.backfill_policy else 1,
            "checks": sorted(key.name + (" (blocking)" if graph.get(key).blocking else "") for key in node.check_keys),
        }
        for node in graph.asset_nodes
    } == snapshot


def test_jobs_and_sensors(defs: dg.Definitions, snapshot: SnapshotAssertion) -> None:
    repository = defs.get_repository_def()
    jobs = {
        job.name: sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys)
        for job in repository.get_all_jobs()
        if not job.name.startswith("__")
    }
    sensors = {
        sensor.name: {"starts": sorted(target.job_name for target in sensor.targets), "on": sensor.default_status.value}
        for sensor in repository.sensor_defs
    }
    assert {"jobs": jobs, "sensors": sensors} == snapshot


def test_everything_says_what_it_is_and_whose(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for node in graph.asset_nodes:
        name = node.key.to_user_string()
        assert node.group_name != "default", name
        assert node.owners, name
        assert node.kinds, name
        assert node.description, name
    for key in graph.asset_check_keys:
        assert graph.get(key).description, key
    for job in defs.get_repository_def().get_all_jobs():
        assert job.name.startswith("__") or job.description, job.name


def test_every_asset_that_makes_a_table_shows_its_columns(defs: dg.Definitions) -> None:
    only_tells = dg.AssetKey("rollout_plan")
    for node in defs.resolve_asset_graph().materializable_asset_keys - {only_tells}:
        metadata = defs.resolve_asset_graph().get(node).metadata
        assert metadata["dagster/column_schema"].columns, node


def test_every_resource_that_is_asked_for_is_there(defs: dg.Definitions) -> None:
    """By assets, checks and sensors alike."""
    dg.Definitions.validate_loadable(defs)


def test_a_project_that_anneals_nothing_has_no_annealing_in_it(tmp_path: Path) -> None:
    defs = definitions(tmp_path)
    groups = {node.group_name for node in defs.resolve_asset_graph().asset_nodes}
    assert not groups & {"annealing", "evaluation"}
    names = {job.name for job in defs.get_repository_def().get_all_jobs()}
    assert not names & {"anneal_control", "anneal_and_evaluate_candidate"}
    dg.Definitions.validate_loadable(defs)


def test_only_the_enabled_lenses_are_partitions(tmp_path: Path) -> None:
    defs = definitions(tmp_path, lenses={"clarity": LENS})
    assert shape(defs.resolve_asset_graph().get(dg.AssetKey("classifier")).partitions_def) == "clarity"


def test_a_lens_that_no_library_has_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"lenses \['wit'\] that no lens folder holds; known: .*clarity.*teaching"):
        definitions(tmp_path, lenses={"wit": LENS})


def test_a_broken_lens_folder_is_named(tmp_path: Path) -> None:
    file = write_project(tmp_path)
    (tmp_path / "lenses" / "teaching" / "prompt.jinja").unlink()
    with pytest.raises(LensError, match=r"lenses/teaching/prompt\.jinja: is missing"):
        build_defs(laptop(file))


def test_building_the_definitions_touches_neither_lake_nor_landing(tmp_path: Path) -> None:
    file = write_project(tmp_path)
    (tmp_path / "landing").rmdir()
    build_defs(laptop(file))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["datashop.yaml", "lenses"]
