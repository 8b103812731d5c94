"""A lens whose population is another lens's survivors, and what deduplication rejects before either."""

from pathlib import Path

import polars as pl
import pytest

from datashop_assets.cellwork import CellsFailedError
from datashop_assets.deduplication.tables import DUPLICATES
from datashop_assets.deduplication.versions import own_version, with_others
from datashop_assets.embedding.inputs import MissingUpstreamError
from datashop_assets.filtering.overview import by_verdict
from datashop_assets.filtering.sketches import ranked_corpus
from datashop_assets_tests.filtering.scored_lakes import ScoredLake

SHARDS = ["crawl-00000", "crawl-00001"]
BROAD = {"cutoff": {"lower": 5.0}}
DEAR = {"population": "clarity", "cutoff": {"keep_fraction": 0.5}}


def lake_with(folder: Path, **changes: object) -> ScoredLake:
    """Two shards of ten documents; clarity scores ascend, teaching's descend."""
    made = ScoredLake(folder, {"clarity": BROAD, "teaching": DEAR}, **changes)
    for shard in SHARDS:
        ids = [f"{shard}-{n}" for n in range(10)]
        made.add(shard, ids)
        made.score("clarity", shard, {one: float(n) for n, one in enumerate(ids)})
        made.score("teaching", shard, {one: -float(n) for n, one in enumerate(ids)})
    return made


def settle(lake: ScoredLake, *lenses: str) -> None:
    for lens in lenses:
        lake.cut(lens)
        lake.filter(lens, *SHARDS)


def test_a_keep_fraction_is_one_of_the_population_and_the_others_are_said_to_be_outside(tmp_path: Path) -> None:
    lake = lake_with(tmp_path)
    settle(lake, "clarity", "teaching")
    verdicts = lake.verdicts("teaching")
    assert {one for one, verdict in verdicts.items() if verdict == "not_in_population"} == {
        f"{shard}-{n}" for shard in SHARDS for n in range(5)
    }
    # Five documents of each shard are left, worth -5 to -9; half of ten are kept, and what ties with the fifth.
    assert lake.kept("teaching") == {f"{shard}-{n}" for shard in SHARDS for n in (5, 6, 7)}


def test_the_population_has_to_be_filtered_first(tmp_path: Path) -> None:
    lake = lake_with(tmp_path)
    with pytest.raises(MissingUpstreamError, match="materialize `cutoff`, then `filtered_documents` of lens 'clarity'"):
        lake.cut("teaching")
    lake.cut("clarity")
    lake.filter("clarity", SHARDS[0])
    assert lake.cut("teaching").documents == 5
    with pytest.raises(CellsFailedError, match=r"crawl-00001: materialize `cutoff`, then `filtered_documents`"):
        lake.filter("teaching", *SHARDS)


def test_a_population_by_an_older_cutoff_is_not_mixed_with_the_new_one(tmp_path: Path) -> None:
    lake = lake_with(tmp_path)
    settle(lake, "clarity", "teaching")
    lake.ask({"clarity": {"cutoff": {"lower": 8.0}}, "teaching": DEAR})
    with pytest.raises(CellsFailedError, match="of lens 'clarity'"):
        lake.filter("teaching", *SHARDS)
    lake.cut("clarity")
    lake.filter("clarity", SHARDS[0])
    with pytest.raises(CellsFailedError, match=r"1 of the run's cells failed[\s\S]*crawl-00001"):
        lake.filter("teaching", *SHARDS)
    lake.filter("clarity", SHARDS[1])
    settle(lake, "teaching")
    assert lake.kept("teaching") == {f"{shard}-8" for shard in SHARDS}


def test_another_population_makes_another_cutoff(tmp_path: Path) -> None:
    lake = lake_with(tmp_path)
    settle(lake, "clarity", "teaching")
    lake.ask({"clarity": BROAD, "teaching": {"cutoff": DEAR["cutoff"]}})
    decision = lake.cut("teaching")
    assert decision.is_new
    assert "population" in decision.why
    lake.filter("teaching", *SHARDS)
    assert lake.kept("teaching") == {f"{shard}-{n}" for shard in SHARDS for n in range(5)}


def reject(lake: ScoredLake, others: str, *numbers: int) -> None:
    """What deduplication would have found: these documents of the second shard are copies."""
    version = with_others(own_version(DUPLICATES, "d", lake.project.deduplication), others)
    for shard in SHARDS:
        ids = [f"{shard}-{n}" for n in range(10)]
        reasons = ["exact_duplicate" if shard == SHARDS[1] and n in numbers else None for n in range(10)]
        rows = (
            DUPLICATES.empty()
            .clear(n=10)
            .with_columns(
                id=pl.Series(ids),
                reason=pl.Series(reasons, dtype=pl.String),
                shard=pl.lit(shard),
                version=pl.lit(version),
            )
        )
        lake.lake.commit(DUPLICATES, rows, [{"shard": shard, "version": version}], {})


def test_duplicates_are_left_out_of_the_share_and_count_the_same_for_every_lens(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, deduplication={"exact": True})
    with pytest.raises(MissingUpstreamError, match="materialize `duplicates` first"):
        lake.cut("clarity")
    reject(lake, "v1", 0, 9)
    settle(lake, "clarity", "teaching")
    for lens in ("clarity", "teaching"):
        verdicts = lake.verdicts(lens)
        assert {one for one, verdict in verdicts.items() if verdict == "exact_duplicate"} == {
            f"{SHARDS[1]}-0",
            f"{SHARDS[1]}-9",
        }
    decision = lake.cut("clarity")
    assert (decision.documents, decision.kept_share) == (18, 0.5)
    corpus = ranked_corpus(lake.lake, decision.record.ranking, lake.project)
    counts = dict(by_verdict(corpus, decision).iter_rows())
    assert counts == {"kept": 9, "not kept by score": 9, "exact_duplicate": 2}
    reject(lake, "v2", 0)
    assert lake.filter("clarity", *SHARDS) == SHARDS
    assert f"{SHARDS[1]}-9" in lake.kept("clarity")
