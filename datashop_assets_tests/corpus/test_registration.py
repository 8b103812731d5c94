"""Registering: which files wait, which are new, and that nothing is registered twice."""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from datashop_assets.corpus.progress import Progress
from datashop_assets.corpus.registration import register_new_shards
from datashop_assets.corpus.registry import UnknownShardError, find_shard, registered_shards, shards_by_key
from datashop_assets.project import Landing
from datashop_assets.records import SHARDS, CrawlFile
from datashop_assets_tests.worlds import DATASET, World
from resources.landing import FsspecLandingArea, Listing


def look(world: World, later_s: float = 0):
    return register_new_shards(world.lake, world.graph.project, FsspecLandingArea().look, time.time() + later_s, {})


def test_files_wait_until_their_bundle_is_full_or_old(world: World) -> None:
    landing = {"dataset": DATASET, "url": "landing", "shard_bytes": 1_000_000, "close_after_s": 3600, "settle_s": 0}
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
    more = {"dataset": "more", "url": "more", "shard_bytes": 1, "settle_s": 0, "pool_only": True}
    world.change_project(landings=[{"dataset": DATASET, "url": "landing", "shard_bytes": 1, "settle_s": 0}, more])
    world.land("a", [1])
    world.land("z", [2]).rename(world.folder / "more" / "z.jsonl")
    look(world)
    assert [(s.shard, s.pool_only) for s in registered_shards(world.lake)] == [
        ("crawl-00000", False),
        ("more-00000", True),
    ]


LANDING = {"dataset": DATASET, "url": "landing", "shard_bytes": 1, "settle_s": 0}


def test_a_landing_that_is_not_there_is_named_and_the_others_are_registered(world: World) -> None:
    world.change_project(landings=[{"dataset": "later", "url": "nowhere"}, LANDING])
    world.land("a", [1])
    found = look(world)
    (fault,) = found.facts["landings that cannot be listed"]
    assert "landing 'later': there is nothing at " in fault
    assert [shard.shard for shard in registered_shards(world.lake)] == ["crawl-00000"]


def test_a_file_that_is_still_being_written_waits_until_it_has_settled(world: World) -> None:
    world.change_project(landings=[LANDING | {"settle_s": 60}])
    world.land("a", [1])
    found = look(world)
    assert (found.new, found.waiting_files) == ((), 1)
    assert len(look(world, later_s=61).new) == 1


def test_a_file_that_is_written_for_more_than_a_day_is_named(world: World) -> None:
    world.change_project(landings=[LANDING | {"settle_s": 60}])
    file, now = world.land("a", [1]), time.time()
    progress, told = {}, []
    for at in (now, now + 3600, now + 25 * 3600):
        os.utime(file, (at, at))
        found = register_new_shards(
            world.lake, world.graph.project, FsspecLandingArea().look, at, {}, progress=progress
        )
        progress = found.progress
        told.append(found.troubles["files still being written after more than a day"])
    since = datetime.fromtimestamp(now, UTC)
    assert told == [[], [], [f"crawl: a.jsonl, since {since:%Y-%m-%d %H:%M} UTC"]]


def test_a_file_that_hangs_holds_up_nobody_where_a_tick_may_register_few(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece whose shards did not fit into the tick is not passed by: its shards come in crawl order."""
    monkeypatch.setattr("datashop_assets.corpus.registration.LISTED_A_LOOK", 3)
    world.change_project(landings=[LANDING | {"settle_s": 60}])
    now = time.time()
    files = [CrawlFile("a", 1, "x", now), *(CrawlFile(f"f-{n}", 1, "x", 0.0) for n in range(6))]

    def pieces(landing: Landing, after: str = "", most: int | None = None) -> Listing:
        left = [file for file in files if file.path > after]
        return Listing(tuple(left[:most]), (), after, left[most - 1].path if most and most < len(left) else None)

    progress: Mapping[str, Progress] = {}
    for _ in range(12):
        found = register_new_shards(world.lake, world.graph.project, pieces, now, {}, progress=progress, most_shards=1)
        progress = found.progress
    assert [shard.files[0].path for shard in found.shards] == [f"f-{n}" for n in range(6)]
    assert list(progress[DATASET].unsettled) == ["a"]


def test_of_many_changed_and_unknown_files_some_are_named_and_all_are_counted(world: World) -> None:
    files = [world.land(f"part-{n:02d}", [n]) for n in range(25)]
    look(world)
    for number, file in enumerate(files):
        file.unlink()
        (file.parent / f"{number}.csv").write_text("text")
    facts = look(world).facts
    for kind in ("changed or vanished files", "unknown files"):
        assert len(facts[kind]) == 21
        assert facts[kind][-1] == "crawl: and 5 more"
        assert facts[f"{kind} in all"] == 25


def test_a_landing_that_exists_and_is_empty_is_no_trouble(world: World) -> None:
    facts = look(world).facts
    assert facts["landings that cannot be listed"] == []
    assert facts["landings where no file has come yet"] == [DATASET]


def test_files_of_no_known_format_are_facts(world: World) -> None:
    (world.folder / "landing" / "part-0.csv").write_text("text")
    assert look(world).facts["unknown files"] == ["crawl: part-0.csv"]


def test_shards_of_a_landing_that_left_the_project_rest_until_it_is_back(world: World) -> None:
    world.land_shards(2, documents=1)
    world.change_project(landings=[LANDING | {"dataset": "other"}])
    found = look(world)
    assert "crawl-00000" not in {shard.shard for shard in found.shards}
    assert found.resting == ("crawl-00000", "crawl-00001")
    assert len(registered_shards(world.lake)) == 2 + len(found.new)
    world.change_project(landings=[LANDING])
    assert [shard.shard for shard in look(world).shards] == ["crawl-00000", "crawl-00001"]


def test_more_cells_than_the_grid_was_measured_with_are_a_trouble(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datashop_assets.corpus.registration.MOST_CELLS", 4)
    world.land_shards(2, documents=1)
    assert look(world).troubles["too many cells"] == []
    world.land_shards(1, documents=1, start=2)
    (many,) = look(world).troubles["too many cells"]
    assert many.startswith("6 cells (shards x lenses) are more than 4: raise `shard_bytes`")


def test_an_unknown_shard_says_how_shards_come_to_be(world: World) -> None:
    with pytest.raises(UnknownShardError, match="registered by the landing sensor"):
        find_shard(shards_by_key(world.lake), "crawl-00009")
