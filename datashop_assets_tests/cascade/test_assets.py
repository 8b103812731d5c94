"""Runs with a cascade: calibrated on what the classifier scored, it scores new shards without vectors."""

from collections.abc import Sequence

import dagster as dg
import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from datashop_assets.records import CUTOFFS, DOCUMENTS, EMBEDDINGS, FILTERED, SCORES
from datashop_assets.scoring.cascades import cascades_of, measured_recall
from datashop_assets.scoring.tables import CASCADE_AUDITS
from datashop_assets_tests.worlds import LENSES, ExportableEncoder, World, failure_of, metadata_of

CASCADE = {"recall": 0.9, "confidence": 0.9, "audit_share": 0.1}
NEW = ["crawl-00006", "crawl-00007"]


class Watched(ExportableEncoder):
    """Counts the texts that it reads."""

    read = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        Watched.read += len(texts)
        return super().encode(texts)


def with_cascade(world: World, **changes: float) -> None:
    lens = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}
    asked = {"teaching": lens | {"cascade": CASCADE | changes}, "clarity": lens}
    world.change_project(lenses={name: asked[name] for name in LENSES})


@pytest.fixture
def cut(world: World) -> World:
    """Six shards scored from vectors, and a cut-off; the lens asks for a cascade."""
    with_cascade(world)
    return world.once(cut_six_shards)


def cut_six_shards(world: World) -> None:
    world.land_shards(6, documents=60)
    world.run("parse_and_embed_shards")
    for job in ("rate_documents", "train_and_promote_classifier", "score_documents", "set_cutoff"):
        world.run(job, "teaching")


@pytest.fixture
def calibrated(cut: World) -> World:
    """And two more shards that are parsed and not embedded."""
    cut.run("calibrate_cascade", "teaching")
    cut.encoder = Watched()
    cut.reload()
    Watched.read = 0
    cut.land_shards(2, documents=60, start=6)
    cut.run("parse_shards", shards=NEW)
    return cut


def test_new_shards_are_scored_and_the_encoder_reads_a_part_of_them(calibrated: World) -> None:
    result = calibrated.run("score_documents", "teaching", shards=NEW)
    assert calibrated.read(EMBEDDINGS.of(calibrated.encoder.id))["shard"].n_unique() == 6
    rows = calibrated.read(SCORES.of("teaching")).filter(pl.col("shard").is_in(NEW))
    assert rows.height == 120
    audits = calibrated.read(CASCADE_AUDITS.of("teaching")).select("documents", "passed", "audited").sum().row(0)
    assert audits[0] == 120
    assert Watched.read == audits[1] + audits[2] < 100
    facts = metadata_of(result, "scores")
    assert {fact["documents"] for fact in facts.values()} == {60}
    calibrated.run("filter_documents", "teaching")
    kept = calibrated.read(FILTERED.of("teaching")).filter(pl.col("shard").is_in(NEW) & pl.col("kept"))
    lower = calibrated.read(CUTOFFS)["lower"][0]
    assert set(kept["id"]) == set(rows.filter(pl.col("score") >= lower)["id"])


def test_a_second_run_reads_nothing_and_vectors_that_come_later_give_exact_scores(calibrated: World) -> None:
    calibrated.run("score_documents", "teaching", shards=NEW)
    read = Watched.read
    before = calibrated.table_versions()
    calibrated.run("score_documents", "teaching", shards=NEW)
    assert Watched.read == read
    assert calibrated.table_versions() == before
    estimated = calibrated.read(SCORES.of("teaching")).filter(pl.col("shard").is_in(NEW)).sort("shard", "id")
    calibrated.run("parse_and_embed_shards", shards=NEW)
    calibrated.run("score_documents", "teaching", shards=NEW)
    exact = calibrated.read(SCORES.of("teaching")).filter(pl.col("shard").is_in(NEW)).sort("shard", "id")
    lower = calibrated.read(CUTOFFS)["lower"][0]
    both = estimated.join(exact, on=["shard", "id"], suffix="_exact")
    above = both.filter(pl.col("score") >= lower)
    assert above["score"].to_list() == pytest.approx(above["score_exact"].to_list(), abs=1e-3)
    assert not both.filter(pl.col("score") != pl.col("score_exact")).is_empty()


def test_the_audit_says_what_recall_is_and_the_check_reads_it(calibrated: World) -> None:
    calibrated.run("score_documents", "teaching", shards=NEW)
    measured = measured_recall(calibrated.lake, cascades_of(calibrated.lake, "teaching")[-1])
    assert measured.documents == 120
    assert measured.found > 0
    assert measured.recall is None or 0.5 < measured.recall <= 1
    result = calibrated.run("calibrate_cascade", "teaching")
    assert [e.passed for e in result.get_asset_check_evaluations()] == [True]
    assert metadata_of(result, "cascade")["teaching"]["skipped"] is True


def test_a_lower_cutoff_puts_the_cascade_out_of_force(calibrated: World) -> None:
    """What is surely below one cut-off need not be below a lower one."""
    lens = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.5}}
    calibrated.change_project(lenses={"teaching": lens | {"cascade": CASCADE}, "clarity": lens})
    calibrated.run("set_cutoff", "teaching")
    message = failure_of(calibrated.run("score_documents", "teaching", shards=NEW, fails=True))
    assert "materialize `embeddings` first" in message


def test_a_cutoff_that_falls_among_estimates_does_not_cut_among_them_and_says_what_to_do(calibrated: World) -> None:
    """A crawl of the poorest documents: the quarter that is kept of everything reaches below the cascade's bound."""
    world = calibrated
    world.run("score_documents", "teaching", shards=NEW)
    world.run("filter_documents", "teaching")
    world.run("cut_release", "teaching")
    lens = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.6}}
    world.change_project(lenses={"teaching": lens | {"cascade": CASCADE}, "clarity": lens})
    facts = metadata_of(world.run("set_cutoff", "teaching"), "cutoff")["teaching"]
    assert facts["shards that wait for another cascade"] == 2
    message = failure_of(world.run("filter_documents", "teaching", fails=True))
    assert "teaching | crawl-00006: materialize `cascade`, then `scores` first" in message
    assert "crawl-00005" not in message, "the shards with exact scores are filtered"
    message = failure_of(world.run("cut_release", "teaching", fails=True))
    assert "materialize `cascade`, then `scores` first" in message
    world.run("calibrate_cascade", "teaching")
    world.run("score_documents", "teaching", shards=NEW)
    world.run("filter_documents", "teaching")
    world.run("cut_release", "teaching")


def test_a_promise_that_needs_more_documents_says_so(cut: World) -> None:
    with_cascade(cut, recall=0.99, confidence=0.99)
    message = failure_of(cut.run("calibrate_cascade", "teaching", fails=True))
    assert "needs 459 documents above the cut-off" in message


@pytest.mark.parametrize(
    "cutoff",
    [
        {"upper": 1.0},
        {"lower": 1.0, "reverse": True},
        {"keep_fraction": 0.25, "draw": {"temperature": 0.5}},
        {"quotas": {"*": {"keep_fraction": 0.25}}},
    ],
    ids=["an upper bound alone", "reversed", "drawn with noise", "a bound for each source"],
)
def test_a_cutoff_that_keeps_low_scores_too_has_no_cascade(cut: World, cutoff: dict[str, object]) -> None:
    lens = {"rater": "scripted", "sample_per_shard": 40, "cutoff": cutoff, "cascade": CASCADE}
    cut.change_project(lenses={"teaching": lens})
    cut.run("set_cutoff", "teaching")
    message = failure_of(cut.run("calibrate_cascade", "teaching", fails=True))
    assert "keeps documents with low scores too" in message


def test_a_project_without_cascades_has_no_such_asset(world: World) -> None:
    assert dg.AssetKey("cascade") not in world.defs.resolve_all_asset_keys()


def test_documents_are_never_counted_without_their_texts(cut: World) -> None:
    """The pool that it learns from is the scored documents, each text once."""
    made = metadata_of(cut.run("calibrate_cascade", "teaching"), "cascade")["teaching"]
    assert made["learnt from"] + made["calibrated on"] == cut.read(DOCUMENTS)["text_sha"].n_unique()


def test_the_sensor_has_new_shards_parsed_and_scored_and_not_embedded(cut: World) -> None:
    lens = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}, "cascade": CASCADE}
    cut.change_project(lenses={"teaching": lens})
    cut.reconcile()
    cut.run("calibrate_cascade", "teaching")
    cut.land_shards(2, documents=60, start=6)
    ran = cut.reconcile()
    assert ran[:2] == ["parse_shards", "score_documents"]
    assert "parse_and_embed_shards" not in ran
    assert cut.read(FILTERED.of("teaching"))["shard"].n_unique() == 8
    assert cut.read(EMBEDDINGS.of(cut.encoder.id))["shard"].n_unique() == 6
    assert cut.reconcile() == []


def test_a_lens_without_a_cascade_keeps_the_encoder_busy(calibrated: World) -> None:
    assert next(work.job for work in calibrated.stale()) == "parse_and_embed_shards"


def test_a_lost_cascade_does_not_have_what_it_scored_embedded_before_a_person_calibrates_it_anew(cut: World) -> None:
    lens = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}, "cascade": CASCADE}
    cut.change_project(lenses={"teaching": lens})
    cut.reconcile()
    cut.run("calibrate_cascade", "teaching")
    cut.land_shards(1, documents=60, start=6)
    cut.reconcile()
    cut.change_project(lenses={"teaching": lens | {"cutoff": {"keep_fraction": 0.4}}})
    cut.reconcile()
    assert cut.read(EMBEDDINGS.of(cut.encoder.id))["shard"].n_unique() == 6
    cut.run("calibrate_cascade", "teaching")
    assert cut.reconcile()[:1] == ["score_documents"]
    assert cut.read(FILTERED.of("teaching"))["shard"].n_unique() == 7


def test_a_cascade_whose_inputs_came_back_is_in_force_again(cut: World) -> None:
    made = [cut.run("calibrate_cascade", "teaching")]
    for recall in (0.8, 0.9):
        with_cascade(cut, recall=recall)
        made.append(cut.run("calibrate_cascade", "teaching"))
    names = [metadata_of(run, "cascade")["teaching"]["cascade"] for run in made]
    assert names[0] == names[2] != names[1]
    assert cascades_of(cut.lake, "teaching")[-1].cascade == names[0]
