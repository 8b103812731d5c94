"""Shards are read many at a time, and each gets what it would get alone."""

from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from datashop_assets.filtering import candidates as module
from datashop_assets.filtering.candidates import Candidates, candidates
from datashop_assets.filtering.rule import Ranking
from datashop_assets.records import TableSpec
from datashop_assets.seams import Lake
from datashop_assets_tests.filtering.scored_lakes import ScoredLake

ROWS = {f"crawl-0000{n}": 3 + n for n in range(6)}


@pytest.fixture
def lake(tmp_path: Path) -> ScoredLake:
    """Six shards; the other lens knows all but one document of each, in another order."""
    made = ScoredLake(tmp_path, {"teaching": {"cutoff": {"condition": "clarity >= 0"}}, "clarity": {}})
    for shard, count in ROWS.items():
        ids = [f"{shard}-{n}" for n in range(count)]
        made.add(shard, ids)
        made.score("teaching", shard, {one: float(n) for n, one in enumerate(ids)})
        made.score("clarity", shard, dict.fromkeys(reversed(ids[1:]), 1.0))
    return made


@pytest.mark.parametrize("rows", [1, 9, 1000], ids=["one shard at once", "a few", "all"])
def test_each_shard_gets_its_own_however_many_are_read_at_once(
    lake: ScoredLake, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", rows)
    ranking = Ranking("teaching", "teaching-1", lake.rule("teaching"))
    seen = Candidates(lake.lake, ranking, lake.project, ROWS)
    asked = [shard for shard in ROWS if shard != "crawl-00002"]  # one is passed over
    for shard in asked:
        got = seen.of(shard)
        assert_frame_equal(got, candidates(lake.lake, ranking, lake.project, [shard])[shard])
        assert got["id"].to_list() == [f"{shard}-{n}" for n in range(ROWS[shard])]
        assert got.filter(pl.col("reason").is_not_null()).select("id", "reason", "detail").rows() == [
            (f"{shard}-0", "unscored", "clarity")
        ]
    assert seen.of("crawl-00002").height == ROWS["crawl-00002"], "asked for late, it is read after all"


class InterleavedLake:
    """A lake that gives the first row of every shard, then the second of every one, as many files may be read."""

    def __init__(self, lake: Any) -> None:
        self._lake = lake

    def scan(self, table: TableSpec, *where: Any) -> pl.LazyFrame:
        rows: pl.LazyFrame = self._lake.scan(table, *where)
        return (
            rows
            if table.key != "id"
            else rows.sort(pl.col("id").str.split("-").list.last().cast(pl.Int64), maintain_order=True)
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lake, name)


def test_rows_of_shards_that_are_read_in_turns_are_put_together(lake: ScoredLake) -> None:
    ranking = Ranking("teaching", "teaching-1", lake.rule("teaching"))
    found = candidates(cast(Lake, InterleavedLake(lake.lake)), ranking, lake.project, list(ROWS))
    expected = candidates(lake.lake, ranking, lake.project, list(ROWS))
    for shard in ROWS:
        assert_frame_equal(found[shard], expected[shard])


def test_a_shard_without_scores_has_no_candidates(lake: ScoredLake) -> None:
    lake.add("crawl-00009", [])
    lake.score("teaching", "crawl-00009", {})
    ranking = Ranking("teaching", "teaching-1", lake.rule("teaching"))
    assert candidates(lake.lake, ranking, lake.project, ["crawl-00009"])["crawl-00009"].is_empty()
