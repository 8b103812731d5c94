"""The planner: no stale cell is lost, no run is wasted beyond the stated bound."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.lineage import (
    Rectangle,
    RunLimits,
    annotations_version,
    base_version,
    content_id,
    embeddings_version,
    filtered_version,
    plan,
    scores_version,
    stale_cells,
    supplemented,
)
from datashop_assets.records import Cell

LENSES = ["code", "edu"]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[Cell, str], dict[Cell, str | None], list[str]]:
    shards = [f"d-{i:05d}" for i in range(draw(st.integers(1, 30)))]
    cells = [Cell(shard, lens) for lens in LENSES for shard in shards]
    wanted = {cell: "new" for cell in cells if draw(st.booleans())}
    have = {cell: draw(st.sampled_from(["new", "old", None])) for cell in cells if draw(st.booleans())}
    return wanted, have, shards


def covered(rectangle: Rectangle, shards: list[str]) -> set[Cell]:
    first, last = shards.index(rectangle.first), shards.index(rectangle.last)
    return {Cell(shard, rectangle.lens) for shard in shards[first : last + 1]}


@st.composite
def all_limits(draw: st.DrawFn) -> RunLimits:
    return RunLimits(stale=draw(st.integers(1, 8)), span=draw(st.integers(1, 12)), gap=draw(st.integers(0, 4)))


@given(worlds(), all_limits(), st.booleans())
def test_every_stale_cell_is_planned_exactly_once_within_the_bounds(
    world: tuple[dict[Cell, str], dict[Cell, str | None], list[str]], limits: RunLimits, newest_first: bool
) -> None:
    wanted, have, shards = world
    rectangles = plan(wanted, have, shards, limits=limits, newest_first=newest_first)
    stale = {cell for cell, version in wanted.items() if have.get(cell) != version}
    areas = [covered(rectangle, shards) for rectangle in rectangles]
    assert stale <= set().union(*areas)
    assert sum(len(area) for area in areas) == len(set().union(*areas)), "no cell in two runs"
    for rectangle, area in zip(rectangles, areas, strict=True):
        assert len(area) == rectangle.cells <= limits.span
        assert limits.stale >= len(area & stale) == rectangle.stale >= 1
        assert {Cell(rectangle.first, rectangle.lens), Cell(rectangle.last, rectangle.lens)} <= stale
        assert rectangle.cells - rectangle.stale <= limits.gap * (rectangle.stale - 1)


@given(worlds(), all_limits(), st.booleans())
def test_the_number_of_runs_is_bounded_and_their_order_is_that_of_the_crawl(
    world: tuple[dict[Cell, str], dict[Cell, str | None], list[str]], limits: RunLimits, newest_first: bool
) -> None:
    wanted, have, shards = world
    for lens in LENSES:
        mine = {cell: version for cell, version in wanted.items() if cell.lens == lens}
        rectangles = plan(mine, have, shards, limits=limits, newest_first=newest_first)
        stale = sum(rectangle.stale for rectangle in rectangles)
        n = len(shards)
        assert len(rectangles) <= math.ceil(stale / limits.stale) + n / limits.span + n / (limits.gap + 1)
        starts = [shards.index(rectangle.first) for rectangle in rectangles]
        assert starts == sorted(starts, reverse=newest_first)


@given(worlds(), all_limits(), st.booleans(), st.data())
def test_a_stretch_is_no_longer_than_any_of_its_stale_cells_allows(
    world: tuple[dict[Cell, str], dict[Cell, str | None], list[str]],
    limits: RunLimits,
    newest_first: bool,
    data: st.DataObject,
) -> None:
    wanted, have, shards = world
    largest = data.draw(st.dictionaries(st.sampled_from(shards), st.integers(1, 6)))
    rectangles = plan(wanted, have, shards, limits=limits, largest=largest, newest_first=newest_first)
    stale = {cell for cell, version in wanted.items() if have.get(cell) != version}
    areas = [covered(rectangle, shards) for rectangle in rectangles]
    assert stale <= set().union(*areas)
    for area in areas:
        assert len(area) <= min(largest.get(cell.shard, limits.span) for cell in area & stale)


SHARDS = [f"d-{i:05d}" for i in range(10_000)]


@pytest.mark.parametrize(
    ("stale", "most"),
    [
        pytest.param(SHARDS, 40, id="a new classifier, every shard: ideal 40"),
        pytest.param(SHARDS[-256:], 1, id="a new crawl in a row: ideal 1"),
        pytest.param(random.Random(0).sample(SHARDS, 300), 6, id="300 scattered shards: ideal 2"),
        pytest.param(SHARDS[:4000] + SHARDS[4200:], 40, id="a roll-out that was interrupted: ideal 39"),
    ],
)
@pytest.mark.parametrize("newest_first", [True, False])
def test_ten_thousand_shards_are_few_runs(stale: list[str], most: int, newest_first: bool) -> None:
    fresh: dict[Cell, str | None] = dict.fromkeys((Cell(shard, "edu") for shard in set(SHARDS) - set(stale)), "v")
    wanted = dict.fromkeys((Cell(shard, "edu") for shard in SHARDS), "v")
    rectangles = plan(wanted, fresh, SHARDS, newest_first=newest_first)
    assert sum(rectangle.stale for rectangle in rectangles) == len(stale)
    assert len(rectangles) <= most


def test_a_supplemented_cell_is_up_to_date_and_another_one_to_those_who_use_it() -> None:
    made = content_id("inputs")
    more = supplemented(made, 7)
    assert supplemented(more, 8) not in (made, more)
    for version in (made, more, supplemented(more, 8)):
        assert stale_cells({Cell("a", "edu"): made}, {Cell("a", "edu"): version}) == []
        assert stale_cells({Cell("a", "edu"): content_id("other inputs")}, {Cell("a", "edu"): version})
    assert base_version(None) is None


def test_nothing_stale_plans_nothing() -> None:
    wanted = {Cell("a", "edu"): "v1"}
    assert plan(wanted, {Cell("a", "edu"): "v1"}, ["a"]) == []


def test_a_contiguous_backfill_is_one_run_a_lens_and_holes_are_bridged() -> None:
    shards = [f"s{i}" for i in range(10)]
    wanted = {Cell(s, "edu"): "v" for s in shards}
    have: dict[Cell, str | None] = {Cell(s, "edu"): "v" for s in ("s2", "s3")}
    assert plan(wanted, have, shards) == [Rectangle("edu", "s0", "s9", 10, 8)]
    assert plan(wanted, have, shards, newest_first=True, limits=RunLimits(stale=5)) == [
        Rectangle("edu", "s5", "s9", 5, 5),
        Rectangle("edu", "s0", "s4", 5, 3),
    ]
    assert plan(wanted, have, shards, limits=RunLimits(gap=1)) == [
        Rectangle("edu", "s0", "s1", 2, 2),
        Rectangle("edu", "s4", "s9", 6, 6),
    ]


@given(worlds(), all_limits(), st.booleans(), st.data())
def test_no_stretch_reaches_over_a_shard_that_is_not_ready(
    world: tuple[dict[Cell, str], dict[Cell, str | None], list[str]],
    limits: RunLimits,
    newest_first: bool,
    data: st.DataObject,
) -> None:
    wanted, have, shards = world
    ready = set(data.draw(st.lists(st.sampled_from(shards))))
    mine = {cell: version for cell, version in wanted.items() if cell.shard in ready}
    rectangles = plan(mine, have, shards, ready=ready, limits=limits, newest_first=newest_first)
    areas = [covered(rectangle, shards) for rectangle in rectangles]
    assert {cell.shard for area in areas for cell in area} <= ready
    assert {cell for cell, version in mine.items() if have.get(cell) != version} <= set().union(*areas)


def test_a_wanted_shard_that_is_not_registered_is_an_error() -> None:
    with pytest.raises(ValueError, match="not registered"):
        plan({Cell("ghost"): "v"}, {}, ["a"])


def test_cells_of_tables_without_lenses_are_planned_too() -> None:
    assert stale_cells({Cell("a"): "v2"}, {Cell("a"): "v1"}) == [Cell("a")]
    assert plan({Cell("a"): "v2"}, {Cell("a"): "v1"}, ["a"]) == [Rectangle(None, "a", "a", 1, 1)]


def test_versions_are_the_same_in_every_process_and_release() -> None:
    """Written down once: a change here recomputes every lake there is, so it must be meant."""
    # printf '["a", 1, null]' | sha256sum | cut -c1-16
    assert content_id("a", 1, None) == "30780d0daa72bce5"


def test_a_version_changes_with_each_of_its_inputs() -> None:
    made = [
        embeddings_version("d", "e"),
        embeddings_version("d2", "e"),
        embeddings_version("d", "e2"),
        annotations_version("d", "l", "r", 1, 0),
        annotations_version("d", "l", "r", 2, 0),
        annotations_version("d", "l", "r", 1, 1),
        annotations_version("d", "l2", "r", 1, 0),
        annotations_version("d", "l", "r2", 1, 0),
        scores_version("e", "c"),
        scores_version("e", "c2"),
        filtered_version("s", "c", False),
        filtered_version("s", "c", True),
        filtered_version("s", "c2", False),
    ]
    assert len(set(made)) == len(made)
