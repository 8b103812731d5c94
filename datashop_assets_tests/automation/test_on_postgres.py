"""Sensors and runs on an instance whose storage is PostgreSQL, as a cluster's is: a real server out of a package."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.automation_instance import POSTGRES, WITHOUT_POSTGRES, instance_in, postgres_is_there
from datashop_assets_tests.worlds import World

SHARDS = ["crawl-00000", "crawl-00001", "crawl-00002"]


@pytest.fixture
def on_postgres(world: World, tmp_path: Path) -> Iterator[World]:
    if not postgres_is_there():
        pytest.skip(WITHOUT_POSTGRES)
    with instance_in(tmp_path / "dagster", POSTGRES) as instance:
        world.instance = instance
        yield world


def tick(world: World, sensor: str) -> dg.SensorResult | dg.SkipReason:
    """One evaluation; partitions that it asks for are added."""
    with dg.build_sensor_context(instance=world.instance, resources=world.defs.resources) as context:
        result = world.defs.get_sensor_def(sensor)(context)
    for request in getattr(result, "dynamic_partitions_requests", None) or ():
        world.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    return result


def materialized(world: World, asset: str) -> set[str]:
    return set(world.instance.get_materialized_partitions(dg.AssetKey(asset)))


@pytest.mark.slow
def test_a_crawl_lands_and_is_scored_and_filtered_by_what_the_sensors_ask_for(on_postgres: World) -> None:
    world = on_postgres
    for number in range(len(SHARDS)):
        world.land(f"part-{number}", range(number * 40, number * 40 + 40))
    tick(world, "landing_sensor")
    assert world.shards == SHARDS, "the partitions are in crawl order"
    assert isinstance(tick(world, "landing_sensor"), dg.SkipReason)
    (parse,) = tick(world, "reconcile_sensor").run_requests
    assert parse.job_name == "parse_and_embed_shards"
    run(world, parse)
    assert materialized(world, "documents") == materialized(world, "embeddings") == set(SHARDS)
    world.run("rate_documents", "teaching")
    world.run("train_and_promote_classifier", "teaching")
    done = []
    while not isinstance(result := tick(world, "reconcile_sensor"), dg.SkipReason):
        for request in result.run_requests:
            run(world, request)
            done.append(request.job_name)
    assert done == ["score_documents", "set_cutoff", "filter_documents"]
    assert materialized(world, "filtered_documents") == {f"teaching|{shard}" for shard in SHARDS}


def test_what_runs_work_on_is_not_asked_for_again(on_postgres: World) -> None:
    world = on_postgres
    world.land("part-0", range(40))
    tick(world, "landing_sensor")
    (asked,) = tick(world, "reconcile_sensor").run_requests
    under_way = dg.DagsterRun(job_name=asked.job_name, status=dg.DagsterRunStatus.STARTED, tags=asked.tags)
    world.instance.add_run(under_way)
    assert isinstance(tick(world, "reconcile_sensor"), dg.SkipReason)
    world.instance.delete_run(under_way.run_id)
    (again,) = tick(world, "reconcile_sensor").run_requests
    # The rest of a run key is the hour, and may be another by now.
    assert again.run_key.partition(":")[0] == asked.run_key.partition(":")[0]


def run(world: World, request: dg.RunRequest) -> None:
    job = world.defs.resolve_job_def(request.job_name)
    done = job.execute_in_process(instance=world.instance, tags=request.tags, partition_key=request.partition_key)
    assert done.success
