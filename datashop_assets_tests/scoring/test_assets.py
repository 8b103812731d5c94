"""Runs of `scores`: whose they are, and what is refused."""

from dataclasses import replace

import dagster as dg
import polars as pl
import pytest

from datashop_assets.records import DOCUMENTS, PROMOTIONS, SCORES
from datashop_assets_tests.worlds import World, failure_of, metadata_of, promote_for_four_shards, worth


@pytest.fixture
def promoted(world: World) -> World:
    return world.once(promote_for_four_shards)


def test_every_document_has_a_score_by_the_promoted_classifier_and_good_text_has_the_higher_one(
    promoted: World,
) -> None:
    result = promoted.run("score_documents", "teaching")
    rows = promoted.read(SCORES.of("teaching"))
    assert rows.height == 160
    assert rows["classifier"].unique().to_list() == promoted.read(PROMOTIONS)["classifier"].to_list()
    assert rows["int_score"].is_between(0, 5).all()
    texts = promoted.read(DOCUMENTS).select("shard", "id", "text")
    judged = rows.join(texts, on=["shard", "id"]).with_columns(
        worth=pl.col("text").map_elements(worth, return_dtype=pl.Float64)
    )
    means = judged.group_by("worth").agg(pl.col("score").mean()).sort("worth")["score"]
    assert means.is_sorted()
    facts = metadata_of(result, "scores")
    assert sum(f["dagster/partition_row_count"] for f in facts.values()) == 160
    assert all(e.passed for e in result.get_asset_check_evaluations())


def test_a_shard_without_vectors_is_named_and_red_while_the_others_are_scored(promoted: World) -> None:
    (promoted.folder / "landing" / "part-004.jsonl.gz").write_bytes(b"no archive")
    promoted.land_shards(1, start=5)
    promoted.run("parse_and_embed_shards", fails=True)
    failed = failure_of(promoted.run("score_documents", "teaching", fails=True))
    assert "teaching | crawl-00004: materialize `embeddings` first" in failed
    assert "1 of the run's cells failed" in failed
    good = [shard for shard in promoted.shards if shard != "crawl-00004"]
    assert promoted.read(SCORES.of("teaching"))["shard"].unique().sort().to_list() == good
    made = promoted.instance.get_materialized_partitions(dg.AssetKey("scores"))
    assert made == {f"teaching|{shard}" for shard in good}
    assert {work.job for work in promoted.stale()} == {"parse_and_embed_shards", "set_cutoff"}


def test_a_classifier_of_another_encoder_scores_nothing(promoted: World) -> None:
    """Vectors of another encoder may have the same length: the product would be a number without meaning."""
    promoted.encoder = replace(promoted.encoder, dimension=32)
    promoted.reload()
    promoted.run("parse_and_embed_shards")
    message = failure_of(promoted.run("score_documents", "teaching", fails=True))
    assert "was trained on encoder scripted-64, the project's encoder is scripted-32" in message
    assert promoted.stale() == [], "nor does a sensor ask for it"
    promoted.run("train_and_promote_classifier", "teaching")
    assert promoted.reconcile()[0] == "score_documents"


def test_scores_of_a_retired_classifier_do_not_fail_the_check(promoted: World) -> None:
    """They stay for a roll-back, over the documents of their time."""
    promoted.run("score_documents", "teaching")
    old = SCORES.of("teaching")
    retired = promoted.read(old).with_columns(classifier=pl.lit("retired")).filter(pl.col("shard") == "crawl-00000")
    cell = {"classifier": "retired", "shard": "crawl-00000", "version": retired["version"][0]}
    promoted.lake.commit(old, retired.head(7), [cell], {})
    result = promoted.run("score_documents", "teaching")
    assert all(e.passed for e in result.get_asset_check_evaluations())
