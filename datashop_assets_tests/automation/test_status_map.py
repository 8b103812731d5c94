"""The map of how far each lens is: every cell in it once, each hole to be seen, and small also over a large crawl."""

import io
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from datashop_assets.automation.pauses import Paused, record_pauses
from datashop_assets.automation.reconcile import outlook
from datashop_assets.automation.status_map import BUCKETS, Noted, Row, Status, StatusMap, status_map
from datashop_assets.automation.status_picture import COLOURS, status_picture
from datashop_assets.cellwork import Target
from datashop_assets.records import FILTERED, Cell
from datashop_assets.scoring.state import scores_target
from datashop_assets_tests.automation.tables_by_hand import ENCODER, Tables

LENS = "teaching"
FRESH, UNDER_WAY, OLDER, MISSING, PAUSED, RESTING = Status


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Six shards, of which everything is done of one lens; the other has no classifier."""
    made = Tables(tmp_path)
    made.add_shards(6)
    made.promote(LENS, "c1")
    while work := made.stale():
        for item in work:
            made.do(item)
    return made


def seen(tables: Tables, busy: list[int] = [], resting: list[int] = []) -> dict[str, list[Status]]:  # noqa: B006
    """The status of each shard, by row."""
    noted, lake = Noted(), tables.lake
    held = {tables.shards[number] for number in (*busy, *resting)}

    def of_scores(shards: set[str]):
        return lambda job, lens: shards if (job, lens) == ("score_documents", LENS) else ()

    found = outlook(lake, tables.graph, ENCODER, tables.shards, busy=of_scores(held), note=noted)
    paused = Paused.now(lake, tables.graph.project.automation)
    at_rest = of_scores({tables.shards[number] for number in resting})
    made = status_map(lake, tables.graph, tables.shards, noted, found.waiting, paused, at_rest)
    return {row.name: [status for stretch in row.stretches for status in stretch] for row in made.rows}


def test_what_is_done_what_is_not_and_why_shows_shard_by_shard(tables: Tables) -> None:
    assert seen(tables) == {
        "documents": [FRESH] * 6,
        "clarity: scores": [MISSING] * 6,
        "clarity: filtered": [MISSING] * 6,
        "teaching: scores": [FRESH] * 6,
        "teaching: filtered": [FRESH] * 6,
    }
    for number in (1, 3, 4):
        tables.lose(scores_target(LENS, "c1"), Cell(tables.shards[number], LENS))
    tables.lose(Target(FILTERED.of(LENS)), Cell(tables.shards[0], LENS))
    tables.add_shards(1)
    shown = seen(tables, busy=[3], resting=[4])
    assert shown["documents"] == [*[FRESH] * 6, MISSING]
    assert shown["teaching: scores"] == [FRESH, OLDER, FRESH, UNDER_WAY, RESTING, FRESH, MISSING]
    # What follows from scores that are not there is no further than they are.
    assert shown["teaching: filtered"] == [OLDER, OLDER, FRESH, OLDER, OLDER, FRESH, MISSING]
    record_pauses(tables.lake, [LENS], [LENS], [], "somebody", None, {})
    assert seen(tables, resting=[4])["teaching: scores"] == [FRESH, PAUSED, FRESH, PAUSED, PAUSED, FRESH, PAUSED]


def test_after_a_promotion_what_is_there_is_an_older_version(tables: Tables) -> None:
    tables.promote(LENS, "c2")
    shown = seen(tables)
    assert (shown["teaching: scores"], shown["teaching: filtered"]) == ([OLDER] * 6, [OLDER] * 6)


def grid(shards: int, lenses: int, holes: dict[tuple[int, int], Status]) -> StatusMap:
    """A map of this many cells, all of them done but for the holes (lens, shard)."""
    edges = [number * shards // min(BUCKETS, shards) for number in range(min(BUCKETS, shards) + 1)]
    rows = []
    for lens in range(lenses):
        stretches = [
            Counter(holes.get((lens, shard), FRESH) for shard in range(start, end)) for start, end in pairwise(edges)
        ]
        rows.append(Row(f"lens {lens}: scores", stretches))
    return StatusMap(rows, [f"crawl-{number:05d}" for number in range(shards)])


def pixels(picture: bytes, status: Status) -> int:
    """How many are of the status's colour, or nearly."""
    with Image.open(io.BytesIO(picture)) as image:
        values = np.asarray(image.convert("RGB")).astype(float)
    return int((np.abs(values - 255 * np.array(to_rgb(COLOURS[status]))).max(axis=2) < 8).sum())


def test_one_shard_of_ten_thousand_that_rests_can_be_seen() -> None:
    whole, hole = grid(10_000, 10, {}), grid(10_000, 10, {(7, 4711): RESTING})
    assert pixels(status_picture(whole), RESTING) == 0
    # Beside the sign in the legend.
    assert pixels(status_picture(hole), RESTING) > pixels(status_picture(grid(1, 1, {(0, 0): PAUSED})), RESTING)
    assert hole.total(RESTING) == 1
    assert hole.total(FRESH) == 99_999


def test_a_picture_of_a_large_crawl_in_any_state_is_small() -> None:
    some = random.Random(0)
    cells = [(lens, shard) for lens in range(20) for shard in range(10_000)]
    found = grid(10_000, 20, {cell: some.choice(list(Status)) for cell in cells})
    assert all(len(row.stretches) == BUCKETS for row in found.rows)
    assert sum(found.total(status) for status in Status) == 200_000
    assert len(status_picture(found)) < 24_000


def test_before_any_shard_the_picture_says_so() -> None:
    assert status_picture(StatusMap([Row("documents", [])], [])).startswith(b"\x89PNG")
