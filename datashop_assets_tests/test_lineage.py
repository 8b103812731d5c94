"""The planner: no stale cell is lost, no run is wasted beyond the stated bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.lineage import (
    Rectangle,
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


@given(worlds(), st.integers(1, 8), st.integers(0, 4))
def test_every_stale_cell_is_planned_exactly_once_within_the_bounds(
    world: tuple[dict[Cell, str], dict[Cell, str | None], list[str]], max_cells: int, max_gap: int
) -> None:
    wanted, have, shards = world
    rectangles = plan(wanted, have, shards, max_cells=max_cells, max_gap=max_gap)
    stale = {cell for cell, version in wanted.items() if have.get(cell) != version}
    areas = [covered(rectangle, shards) for rectangle in rectangles]
    assert stale <= set().union(*areas)
    assert sum(len(area) for area in areas) == len(set().union(*areas)), "no cell in two runs"
    for rectangle, area in zip(rectangles, areas, strict=True):
        assert len(area) == rectangle.cells <= max_cells
        assert len(area & stale) == rectangle.stale >= 1
        assert rectangle.cells - rectangle.stale <= max_gap * (rectangle.stale - 1)


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
    assert plan(wanted, have, shards, max_gap=1) == [
        Rectangle("edu", "s0", "s1", 2, 2),
        Rectangle("edu", "s4", "s9", 6, 6),
    ]


@given(worlds(), st.integers(0, 4), st.data())
def test_no_stretch_reaches_over_a_shard_that_is_not_ready(
    world: tuple[dict[Cell, str], dict[Cell, str | None], list[str]], max_gap: int, data: st.DataObject
) -> None:
    wanted, have, shards = world
    ready = set(data.draw(st.lists(st.sampled_from(shards))))
    mine = {cell: version for cell, version in wanted.items() if cell.shard in ready}
    rectangles = plan(mine, have, shards, ready=ready, max_gap=max_gap)
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
