"""Dagster's database is lost and an empty one takes its place: the tables are the truth, and nothing is made again."""

import dagster as dg

from datashop_assets_tests.automation.test_sensors import tick
from datashop_assets_tests.worlds import World, metadata_of


def test_an_empty_database_learns_the_partitions_again_and_asks_for_nothing(world: World) -> None:
    world.land_shards(3)
    world.run_all("teaching")
    shards, before = world.shards, world.table_versions()

    world.instance = dg.DagsterInstance.ephemeral()
    tick(world, "landing_sensor")
    assert world.shards == shards, "in the order of the crawl, under the same keys"
    assert world.stale() == []
    assert isinstance(tick(world, "reconcile_sensor"), dg.SkipReason)

    again = world.run("cut_release", "teaching")
    assert metadata_of(again, "release")["teaching"]["skipped"] is True
    assert world.table_versions() == before


def test_what_lands_after_the_loss_is_taken_in_as_ever(world: World) -> None:
    world.land_shards(2)
    world.run_all("teaching")
    before = world.shards

    world.instance = dg.DagsterInstance.ephemeral()
    world.land("part-later", range(80, 120))
    tick(world, "landing_sensor")
    assert world.shards[:2] == before
    assert len(world.shards) == 3
    (request,) = tick(world, "reconcile_sensor").run_requests
    assert request.job_name == "parse_and_embed_shards"
    assert request.tags["dagster/asset_partition_range_start"] == world.shards[2], "only the new shard is asked for"
