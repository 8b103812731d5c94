"""The loop behind every partitioned asset: what is skipped, what is committed together, what a failure leaves."""

from pathlib import Path

import polars as pl
import pytest

import datashop_assets.cellwork
from datashop_assets.cellwork import CellsFailedError, Outcome, Produced, Target, have, refresh
from datashop_assets.records import Cell, TableSpec
from resources.lake import DeltaLake

TABLE = TableSpec(
    "things",
    {"shard": pl.String, "id": pl.String, "version": pl.String},
    partition_by=("shard",),
    key="id",
    version_column="version",
)
TARGET = Target(TABLE)
CELLS = [Cell(f"s{i}") for i in range(5)]


class UnreadableError(ValueError):
    pass


def produce(cell: Cell) -> Produced:
    return Produced(pl.DataFrame({"id": ["a", "b"]}), {"note": cell.shard})


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(str(tmp_path))


def run(lake: DeltaLake, versions: dict[Cell, str], produce=produce, **options) -> list[Outcome]:
    return list(refresh(lake, TARGET, versions, produce, {}, **options))


def test_a_second_run_does_nothing_and_says_so(lake: DeltaLake) -> None:
    wanted = dict.fromkeys(CELLS, "v1")
    first = run(lake, wanted)
    assert [(o.cell, o.rows, o.skipped) for o in first] == [(cell, 2, False) for cell in CELLS]
    version = lake.version(TABLE)

    def never(cell: Cell) -> Produced:
        raise AssertionError(f"{cell} was computed again")

    assert [(o.cell, o.rows, o.skipped) for o in run(lake, wanted, never)] == [(cell, 2, True) for cell in CELLS]
    assert lake.version(TABLE) == version


def test_only_cells_at_another_version_are_made_again(lake: DeltaLake) -> None:
    run(lake, dict.fromkeys(CELLS, "v1"))
    again = run(lake, dict.fromkeys(CELLS, "v1") | {CELLS[2]: "v2"})
    assert [o.cell for o in again if not o.skipped] == [CELLS[2]]


def test_cells_share_commits_up_to_the_batch_size(lake: DeltaLake) -> None:
    outcomes = run(lake, dict.fromkeys(CELLS, "v1"), batch_cells=2)
    assert len({o.table_version for o in outcomes}) == 3
    assert lake.version(TABLE) == 3


def test_cells_share_commits_up_to_so_many_rows(lake: DeltaLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory does not grow with the cells of a batch."""
    monkeypatch.setattr(datashop_assets.cellwork, "ROWS_A_COMMIT", 3)
    outcomes = run(lake, dict.fromkeys(CELLS, "v1"))
    assert [o.table_version for o in outcomes] == [1, 1, 2, 2, 3]


def test_a_cell_that_fails_alone_does_not_hold_up_the_others(lake: DeltaLake) -> None:
    def one_bad(cell: Cell) -> Produced:
        if cell == CELLS[1]:
            raise UnreadableError("part-7.jsonl.gz is cut off")
        return produce(cell)

    with pytest.raises(CellsFailedError, match=r"s1: part-7\.jsonl\.gz is cut off"):
        run(lake, dict.fromkeys(CELLS, "v1"), one_bad, tolerate=(UnreadableError,))
    assert set(have(lake, TARGET, CELLS)) == set(CELLS) - {CELLS[1]}


def test_cells_that_cannot_be_tried_are_named_after_the_others_were_made(lake: DeltaLake) -> None:
    missing = {CELLS[1]: LookupError("materialize `documents` first")}
    wanted = {cell: "v1" for cell in CELLS if cell not in missing}
    made = []
    with pytest.raises(CellsFailedError, match="s1: materialize `documents` first"):
        made.extend(refresh(lake, TARGET, wanted, produce, {}, missing=missing))
    assert set(have(lake, TARGET, CELLS)) == set(wanted)


def test_any_other_error_ends_the_run_at_once_and_keeps_what_was_committed(lake: DeltaLake) -> None:
    def breaks(cell: Cell) -> Produced:
        if cell == CELLS[3]:
            raise RuntimeError("endpoint unreachable")
        return produce(cell)

    with pytest.raises(RuntimeError, match="endpoint unreachable"):
        run(lake, dict.fromkeys(CELLS, "v1"), breaks, batch_cells=2)
    assert set(have(lake, TARGET, CELLS)) == {CELLS[0], CELLS[1]}


def test_an_empty_cell_is_not_planned_for_ever(lake: DeltaLake) -> None:
    def nothing(_: Cell) -> Produced:
        return Produced(pl.DataFrame(schema={"id": pl.String}))

    assert [o.rows for o in run(lake, {CELLS[0]: "v1"}, nothing)] == [0]
    assert [(o.rows, o.skipped) for o in run(lake, {CELLS[0]: "v1"}, nothing)] == [(0, True)]
