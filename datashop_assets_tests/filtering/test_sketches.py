"""A cut-off over many shards: a new shard does not re-read the others, and the share is as good as is said."""

from pathlib import Path

import numpy as np
import pytest

from datashop_assets.filtering.decide import CutoffError
from datashop_assets.filtering.drift import cutoff_has_drifted
from datashop_assets.filtering.sketches import update_sketches
from datashop_assets.filtering.state import require_cutoff
from datashop_assets.filtering.tables import CUTOFF_LOOKS
from datashop_assets_tests.filtering.scored_lakes import ScoredLake

SHARDS = [f"crawl-0000{n}" for n in range(4)]


def add(lake: ScoredLake, shard: str, scores: list[float]) -> None:
    ids = [f"{shard}-{n}" for n in range(len(scores))]
    lake.add(shard, ids)
    lake.score("teaching", shard, dict(zip(ids, scores, strict=True)))


def lake_with(folder: Path, documents: int, **cutoff: object) -> ScoredLake:
    made = ScoredLake(folder, {"teaching": {"cutoff": {"keep_fraction": 0.25} | cutoff}})
    draw = np.random.default_rng(0)
    for shard in SHARDS[:3]:
        add(made, shard, draw.normal(size=documents).tolist())
    return made


def test_only_new_and_changed_shards_are_read_and_the_cut_is_the_one_of_all_scores(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, 40)
    assert lake.cut("teaching").documents == 120
    assert lake.lake.shards_read("scores") == set(SHARDS[:3])
    add(lake, SHARDS[3], [9.0] * 40)
    decision = lake.cut("teaching")
    assert lake.lake.shards_read("scores") == {SHARDS[3]}
    assert (decision.documents, decision.is_new, decision.record.lower) == (160, True, 9.0)
    lake.score("teaching", SHARDS[0], {f"{SHARDS[0]}-{n}": 10.0 for n in range(40)}, version="s2")
    assert lake.cut("teaching").record.lower == 10.0
    assert lake.lake.shards_read("scores") == {SHARDS[0]}
    lake.cut("teaching")
    assert lake.lake.shards_read("scores") == set()


def test_another_share_of_the_same_ranking_reads_no_scores(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, 40)
    lake.cut("teaching")
    lake.lake.shards_read("scores")
    lake.ask({"teaching": {"cutoff": {"keep_fraction": 0.5}}})
    assert lake.cut("teaching").kept_share == 0.5
    assert lake.lake.shards_read("scores") == set()


@pytest.mark.parametrize("error", [0.0, 0.01, 0.1])
def test_the_realised_share_is_within_the_recorded_bound(tmp_path: Path, error: float) -> None:
    lake = lake_with(tmp_path, 500, share_error=error)
    record = lake.cut("teaching").record
    assert record.share_error <= error
    assert (record.share_error == 0) == (error == 0)
    lake.filter("teaching", *SHARDS[:3])
    kept = len(lake.kept("teaching")) / 1500
    assert kept == pytest.approx(record.kept_share, abs=record.share_error)
    assert kept == pytest.approx(0.25, abs=error + 1 / 1500)
    assert require_cutoff(lake.lake, "teaching") == record


@pytest.mark.parametrize(
    ("landed", "moves"),
    [([0.0] * 39 + [9.0], True), ([-9.0, -9.0, -9.0, 9.0] * 10, False)],
    ids=["a poorer crawl", "more of the same"],
)
def test_a_sensor_reads_no_scores_and_what_a_run_has_looked_at_is_not_asked_for_again(
    tmp_path: Path, landed: list[float], moves: bool
) -> None:
    lake = lake_with(tmp_path, 40)
    lake.cut("teaching")
    lake.lake.read_shards.clear()  # type: ignore[attr-defined]

    def drifted() -> bool:
        """What a tick asks, which reads no rows of any shard and writes nothing."""
        record, before = require_cutoff(lake.lake, "teaching"), lake.lake.version(CUTOFF_LOOKS)
        asked = cutoff_has_drifted(lake.lake, record, lake.rule("teaching"), lake.project)
        assert not lake.lake.read_shards  # type: ignore[attr-defined]
        assert lake.lake.version(CUTOFF_LOOKS) == before
        return asked

    assert drifted() is False
    add(lake, SHARDS[3], landed)
    assert drifted() is True
    assert lake.cut("teaching").is_new is moves
    assert lake.lake.shards_read("scores") == {SHARDS[3]}
    assert drifted() is False


def test_a_run_that_was_killed_after_it_summarised_and_before_it_decided_is_asked_for_again(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, 40)
    record = lake.cut("teaching").record
    add(lake, SHARDS[3], [9.0] * 40)
    update_sketches(lake.lake, record.ranking, lake.project, {})
    assert cutoff_has_drifted(lake.lake, record, lake.rule("teaching"), lake.project)


def test_a_corpus_that_was_scored_anew_is_summarised_anew(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, 40)
    record = lake.cut("teaching").record
    for shard in SHARDS[:3]:
        lake.score("teaching", shard, {f"{shard}-{n}": float(n) for n in range(40)}, version="s2")
    assert cutoff_has_drifted(lake.lake, record, lake.rule("teaching"), lake.project)
    lake.cut("teaching")
    record = require_cutoff(lake.lake, "teaching")
    assert not cutoff_has_drifted(lake.lake, record, lake.rule("teaching"), lake.project)


def test_nothing_to_cut_says_what_to_do(tmp_path: Path) -> None:
    lake = ScoredLake(tmp_path, {"teaching": {"cutoff": {"condition": "teaching > 5"}}})
    with pytest.raises(CutoffError, match=r"no document was scored\); materialize scores for some shards first$"):
        lake.cut("teaching")
    add(lake, SHARDS[0], [1.0, 2.0])
    with pytest.raises(CutoffError, match=r"none of 2 documents .*condition: 2.*or change the condition"):
        lake.cut("teaching")
