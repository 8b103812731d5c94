"""Two registrars at once, as two processes: the landing sensor here, a person's notebook or another daemon there."""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier

import pytest

from datashop_assets.corpus.registration import register_new_shards
from datashop_assets.corpus.registry import register, registered_shards
from datashop_assets.project import Landing, Project
from datashop_assets.records import Shard
from datashop_assets_tests.worlds import DATASET, World
from resources.lake import DeltaLake
from resources.landing import FsspecLandingArea, Listing

FILES, FILES_A_SHARD = 24, 4
TOGETHER_WITHIN_S = 60


def look(uri: str, project: Project, seen: Sequence[str] | None, together: Barrier, rounds: int) -> None:
    """Register what lies in the landing, `rounds` times; the first time only the files `seen`.

    Both processes have read the registry and listed the landing before either of them registers anything.
    """
    lake = DeltaLake(uri)
    for number in range(rounds):

        def look_together(landing: Landing, after: str, most: int | None, first: bool = number == 0) -> Listing:
            files = FsspecLandingArea().list_files(landing)
            together.wait(TOGETHER_WITHIN_S)
            return Listing(tuple(f for f in files if not first or seen is None or f.path in seen), ())

        register_new_shards(lake, project, look_together, time.time(), {"asset": "landing_files"})
        together.wait(TOGETHER_WITHIN_S)


@pytest.fixture
def landed(world: World) -> World:
    for number in range(FILES):
        world.land(f"part-{number:03d}", [number])
    size = max(file.stat().st_size for file in (world.folder / "landing").iterdir())
    landing = {"dataset": DATASET, "url": "landing", "shard_bytes": size * (FILES_A_SHARD - 1), "close_after_s": 0}
    landing["settle_s"] = 0
    world.change_project(landings=[landing])
    return world


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "unseen",
    [
        pytest.param((), id="both see the same files"),
        pytest.param((1, 6, 7, 20), id="one listing is older and lacks some files"),
        pytest.param(range(FILES), id="one sees no file yet"),
    ],
)
def test_two_registrars_at_once_lose_no_file_and_register_none_twice(landed: World, unseen: Sequence[int]) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    older = [f"part-{number:03d}.jsonl" for number in range(FILES) if number not in unseen]
    processes = [
        context.Process(target=look, args=(landed.lake.uri, landed.graph.project, seen, together, 2))
        for seen in (None, older)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]

    shards = registered_shards(landed.lake)
    assert [shard.shard for shard in shards] == [f"{DATASET}-{number:05d}" for number in range(len(shards))]
    assert [shard.sequence for shard in shards] == list(range(len(shards)))
    paths = [file.path for shard in shards for file in shard.files]
    assert sorted(paths) == [f"part-{number:03d}.jsonl" for number in range(FILES)]
    assert landed.register() == [shard.shard for shard in shards], "a third look finds nothing new"


def test_a_later_shard_with_files_of_an_earlier_one_does_not_count_and_its_other_files_come_next(
    landed: World,
) -> None:
    """Of two registrars the first missed a file, so that the other's bundles are cut elsewhere, and are one more."""
    files = FsspecLandingArea().list_files(landed.graph.project.landings[0])[:6]
    a, b, c, d, e, f = files
    register(landed.lake, [Shard(DATASET, "crawl-00000", 0, (a, c)), Shard(DATASET, "crawl-00001", 1, (d, e))], {})
    theirs = [(a, b), (c, d), (e, f)]
    register(landed.lake, [Shard(DATASET, f"crawl-{n:05d}", n, bundle) for n, bundle in enumerate(theirs)], {})
    counted = {shard.shard: [file.path for file in shard.files] for shard in registered_shards(landed.lake)}
    assert counted == {"crawl-00000": [a.path, c.path], "crawl-00001": [d.path, e.path]}
    landed.register()
    paths = [file.path for shard in registered_shards(landed.lake) for file in shard.files]
    assert sorted(paths) == [f"part-{number:03d}.jsonl" for number in range(FILES)]
