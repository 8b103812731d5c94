"""A lens whose classifier reads texts, through the project's own jobs: trained, promoted, scored, reconciled."""

from typing import Any

import polars as pl
import pytest
import yaml

from datashop_assets.classifier.registry import find_classifier
from datashop_assets.records import CLASSIFIERS, DOCUMENTS, EMBEDDINGS, SCORES
from datashop_assets_tests.worlds import World, metadata_of, promote_for_four_shards, worth

FASTTEXT = {"kind": "fasttext", "epochs": [40], "learning_rates": [0.5], "dimension": 8, "buckets": 1000}


def learn_by(world: World, **model: Any) -> None:
    file = world.profile.project_file
    lenses = yaml.safe_load(file.read_text())["lenses"]
    lenses["teaching"]["recipe"] = {"model": model}
    world.change_project(lenses=lenses)


@pytest.fixture
def scored(world: World) -> World:
    learn_by(world, **FASTTEXT)
    return world.once(promote_for_four_shards)


def test_a_fasttext_classifier_is_promoted_and_scores_every_document_once(scored: World) -> None:
    result = scored.run("score_documents", "teaching")
    record = find_classifier(scored.lake, "teaching")
    assert record.encoder == "text"
    rows = scored.read(SCORES.of("teaching"))
    documents = scored.read(DOCUMENTS).select("shard", "id", "text", "file", "row")
    assert rows.height == documents.height == 160
    judged = rows.join(documents, on=["shard", "id"]).with_columns(
        worth=pl.col("text").map_elements(worth, return_dtype=pl.Float64)
    )
    assert (judged["score"] - judged["worth"]).abs().mean() < 1.0, "the mean would be off by 1.5"
    one = judged.filter(pl.col("shard") == "crawl-00001")
    assert one["id"].to_list() == one.sort("file", "row")["id"].to_list()
    assert all(e.passed for e in result.get_asset_check_evaluations())
    assert all("documents/s" in facts for facts in metadata_of(result, "scores").values())
    assert not list(scored.profile.staging.joinpath("scores").rglob("*.parquet"))


def test_neither_training_nor_scoring_reads_vectors_and_another_encoder_changes_neither(scored: World) -> None:
    scored.run("score_documents", "teaching")
    trained, versions = scored.lake.version(CLASSIFIERS), scored.lake.version(SCORES.of("teaching"))
    assert [work.job for work in scored.stale()] == ["set_cutoff"]
    scored.encoder = type(scored.encoder)(dimension=32)
    scored.reload()
    scored.run("parse_and_embed_shards")
    assert scored.read(EMBEDDINGS.of("scripted-32")).height == 160
    scored.run("score_documents", "teaching")
    scored.run("train_and_promote_classifier", "teaching")
    assert (scored.lake.version(CLASSIFIERS), scored.lake.version(SCORES.of("teaching"))) == (trained, versions)
    assert [work.job for work in scored.stale()] == ["set_cutoff"]


def test_a_new_shard_is_asked_for_and_a_linear_classifier_takes_over_again(scored: World) -> None:
    scored.run("score_documents", "teaching")
    scored.land_shards(1, start=4)
    scored.run("parse_and_embed_shards")
    assert "score_documents" in scored.reconcile()
    assert scored.read(SCORES.of("teaching"))["shard"].n_unique() == 5
    learn_by(scored, kind="linear")
    # It is worse than fastText on these texts, which the gate stops; a person takes it all the same.
    scored.run("train_and_promote_classifier", "teaching", fails=True)
    assert scored.promote("teaching", override=True, by="ada", note="no text is read").success
    assert scored.reconcile()[0] == "score_documents"
    classifiers = scored.read(SCORES.of("teaching"))["classifier"].unique().to_list()
    assert len(classifiers) == 2, "scores of the one before stay, so that a roll-back costs nothing"
