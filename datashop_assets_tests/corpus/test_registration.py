"""Registering: which files wait, which are new, and that nothing is registered twice."""

import time

import pytest

from datashop_assets.corpus.registration import register_new_shards
from datashop_assets.corpus.registry import UnknownShardError, find_shard, registered_shards, shards_by_key
from datashop_assets.records import SHARDS
from datashop_assets_tests.worlds import DATASET, World
from resources.landing import FsspecLandingArea, LandingError


def look(world: World, later_s: float = 0):
    return register_new_shards(
        world.lake, world.graph.project, FsspecLandingArea().list_files, time.time() + later_s, {}
    )


def test_files_wait_until_their_bundle_is_full_or_old(world: World) -> None:
    landing = {"dataset": DATASET, "url": "landing", "shard_bytes": 1_000_000, "close_after_s": 3600}
    world.change_project(landings=[landing])
    world.land("a", [1])
    world.land("b", [2])
    found = look(world)
    assert (found.waiting_files, found.new, found.shards) == (2, (), ())
    assert world.lake.version(SHARDS) is None, "nothing to register writes nothing"
    later = look(world, later_s=3601)
    assert (later.waiting_files, len(later.new), len(later.new[0].files)) == (0, 1, 2)
    again = look(world, later_s=7200)
    assert (again.new, again.shards) == ((), later.shards)


def test_each_landing_numbers_its_own_shards(world: World) -> None:
    (world.folder / "more").mkdir()
    more = {"dataset": "more", "url": "more", "shard_bytes": 1, "pool_only": True}
    world.change_project(landings=[{"dataset": DATASET, "url": "landing", "shard_bytes": 1}, more])
    world.land("a", [1])
    world.land("z", [2]).rename(world.folder / "more" / "z.jsonl")
    look(world)
    assert [(s.shard, s.pool_only) for s in registered_shards(world.lake)] == [
        ("crawl-00000", False),
        ("more-00000", True),
    ]


def test_a_landing_that_is_not_there_is_named_and_nothing_is_registered(world: World) -> None:
    world.change_project(landings=[{"dataset": DATASET, "url": "nowhere"}])
    with pytest.raises(LandingError, match=r"landing 'crawl': there is nothing at .*nowhere yet"):
        look(world)
    assert registered_shards(world.lake) == []


def test_an_unknown_shard_says_how_shards_come_to_be(world: World) -> None:
    with pytest.raises(UnknownShardError, match="registered by the landing sensor"):
        find_shard(shards_by_key(world.lake), "crawl-00009")
