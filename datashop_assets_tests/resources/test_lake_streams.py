"""Commits of more rows than fit into memory: frame by frame, and still all or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.records import SCORES
from resources.lake import CellMismatchError, DeltaLake, SchemaMismatchError

CELL = {"classifier": "c", "shard": "a", "version": "v"}
EMPTY = {"classifier": "c", "shard": "b", "version": "v"}


def scores(first: int, count: int = 10, shard: str = "a") -> pl.DataFrame:
    ids = [f"{number:06d}" for number in range(first, first + count)]
    columns = {"classifier": "c", "shard": shard, "id": ids, "score": 0.5, "int_score": 1, "version": "v"}
    return pl.DataFrame(columns).cast(dict(SCORES.schema))


@dataclass
class Frames:
    """Frames made as they are asked for."""

    count: int
    fail_at: int | None = None

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for number in range(self.count):
            if number == self.fail_at:
                raise RuntimeError("the disk went away")
            yield scores(number * 10)


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(str(tmp_path / "lake"))


def test_rows_arrive_whole_and_empty_cells_are_recorded(lake: DeltaLake) -> None:
    commit = lake.commit(SCORES, Frames(30), [CELL, EMPTY], {})
    assert commit.rows == 300
    assert sorted(lake.read(SCORES)["id"]) == [f"{number:06d}" for number in range(300)]
    known = {row["shard"]: (row["version"], row["rows"]) for row in lake.cells(SCORES).to_dicts()}
    assert known == {"a": ("v", 300), "b": ("v", 0)}


def test_what_the_frames_raise_is_raised_and_the_table_is_as_it_was(lake: DeltaLake) -> None:
    lake.commit(SCORES, scores(0), [CELL], {})
    with pytest.raises(RuntimeError, match="the disk went away"):
        lake.commit(SCORES, Frames(30, fail_at=20), [CELL], {})
    assert lake.read(SCORES).height == 10
    assert lake.version(SCORES) == 1


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (scores(0, shard="elsewhere"), CellMismatchError),
        (scores(0).drop("score"), SchemaMismatchError),
        (scores(0).with_columns(id=pl.lit(None, pl.String)), SchemaMismatchError),
    ],
    ids=["rows of another cell", "a column is missing", "a key is null"],
)
def test_a_frame_that_does_not_fit_is_refused_wherever_it_comes(
    lake: DeltaLake, bad: pl.DataFrame, error: type[Exception]
) -> None:
    with pytest.raises(error, match="nothing was written"):
        lake.commit(SCORES, [scores(0), scores(10), bad], [CELL], {})
    assert lake.read(SCORES).is_empty()


def test_no_frames_make_an_empty_cell(lake: DeltaLake) -> None:
    lake.commit(SCORES, [], [CELL], {})
    assert lake.cells(SCORES)["rows"].to_list() == [0]


def test_the_rows_of_a_frame_keep_their_order(lake: DeltaLake) -> None:
    parts = pl.concat([scores(number * 1000, 1000) for number in range(60)], rechunk=False)
    lake.commit(SCORES, parts, [CELL], {})
    assert lake.read(SCORES)["id"].is_sorted()
