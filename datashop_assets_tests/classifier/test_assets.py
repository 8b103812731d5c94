"""Training and promotion: what passes its check is put in force, what fails is not, and a person can decide."""

import random
import shutil

import dagster as dg
import numpy as np
import polars as pl
import pytest

from datashop_assets.classifier.report import Report
from datashop_assets.corpus.registry import withdraw_shard
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.records import CLASSIFIERS, DOCUMENTS, PROMOTIONS, SCORES
from datashop_assets_tests.worlds import World, failure_of, metadata_of, write_project
from resources.encoders import TransformerEncoder

JOB = "train_and_promote_classifier"


@pytest.fixture
def rated(world: World) -> World:
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    return world


def rate_at_random(world: World) -> None:
    """Labels that no text explains."""
    chance = random.Random(0)
    world.judge = lambda text: float(chance.randint(0, 5))
    world.run("rate_documents", "teaching", config={"annotations": {"rater": "other"}})
    content = {"rater": "other", "sample_per_shard": 40}
    world.change_project(lenses={"teaching": content, "clarity": content})


def test_a_classifier_that_beats_the_mean_is_promoted_in_the_same_run(rated: World) -> None:
    result = rated.run(JOB, "teaching")
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "beats_the_mean_predictor"]
    assert check.passed
    promotions = rated.read(PROMOTIONS).to_dicts()
    assert [p["classifier"] for p in promotions] == rated.read(CLASSIFIERS)["classifier"].to_list()
    assert promotions[0]["override"] is False


def test_materializing_again_trains_and_promotes_nothing(rated: World) -> None:
    first = metadata_of(rated.run(JOB, "teaching"), "classifier")["teaching"]
    before = rated.table_versions()
    result = rated.run(JOB, "teaching")
    again = metadata_of(result, "classifier")["teaching"]
    assert (first["skipped"], again["skipped"]) == (False, True)
    assert again["classifier"] == first["classifier"]
    assert metadata_of(result, "promotion")["teaching"]["skipped"] is True
    assert rated.table_versions() == before


def test_a_classifier_whose_files_are_lost_is_made_again(rated: World) -> None:
    first = metadata_of(rated.run(JOB, "teaching"), "classifier")["teaching"]
    shutil.rmtree(first["path"])
    again = metadata_of(rated.run(JOB, "teaching"), "classifier")["teaching"]
    assert (again["classifier"], again["path"], again["skipped"]) == (first["classifier"], first["path"], False)
    rated.run("score_documents", "teaching")
    assert rated.read(SCORES.of("teaching")).height == 160


def test_ratings_of_a_withdrawn_shard_teach_no_classifier(rated: World) -> None:
    def rows_given() -> int:
        rated.run(JOB, "teaching")
        newest = rated.read(CLASSIFIERS).sort("trained_at")["metrics"][-1]
        return Report.from_json(newest).counts.given

    everything = rows_given()
    withdraw_shard(rated.lake, rated.shards[0], "scans of another crawl", "me", force=True)
    assert rows_given() == everything - 40


def test_a_classifier_of_random_labels_fails_its_check_and_no_promotion_follows(rated: World) -> None:
    rate_at_random(rated)
    result = rated.run(JOB, "teaching", fails=True)
    assert [e.check_name for e in result.get_asset_check_evaluations() if not e.passed] == ["beats_the_mean_predictor"]
    assert rated.read(CLASSIFIERS).height == 1
    assert rated.read(PROMOTIONS).is_empty()


def test_promoting_it_by_hand_is_refused_unless_a_person_says_who_and_why(rated: World) -> None:
    rate_at_random(rated)
    rated.run(JOB, "teaching", fails=True)
    message = failure_of(rated.promote("teaching"))
    assert "failed its checks" in message
    assert "`override: true`, `by` (who) and `note` (why)" in message
    for config in ({"override": True, "by": "ada"}, {"by": "ada", "note": "for a drill"}):
        assert not rated.promote("teaching", **config).success
    assert rated.read(PROMOTIONS).is_empty()
    assert rated.promote("teaching", override=True, by="ada", note="for a drill").success
    (promotion,) = rated.read(PROMOTIONS).to_dicts()
    assert (promotion["by"], promotion["note"], promotion["override"]) == ("ada", "for a drill", True)


def test_promoting_an_older_one_rolls_back_and_its_scores_are_still_there(rated: World) -> None:
    rated.run(JOB, "teaching")
    rated.run("score_documents", "teaching")
    old = rated.read(PROMOTIONS)["classifier"].item()
    rated.judge = lambda text: 5.0 - sum(word in text for word in ("because", "explains", "example"))
    rated.run("rate_documents", "teaching", config={"annotations": {"rater": "other"}})
    content = {"rater": "other", "sample_per_shard": 40}
    rated.change_project(lenses={"teaching": content, "clarity": content})
    rated.run(JOB, "teaching")
    rated.run("score_documents", "teaching")
    scored = rated.lake.version(SCORES.of("teaching"))
    assert rated.promote("teaching", classifier=old).success
    assert rated.read(PROMOTIONS).sort("promoted_at")["classifier"].to_list()[-1] == old
    result = rated.run("score_documents", "teaching")
    assert all(f["skipped"] for f in metadata_of(result, "scores").values())
    assert rated.lake.version(SCORES.of("teaching")) == scored


def test_an_unknown_version_names_those_that_there_are(rated: World) -> None:
    rated.run(JOB, "teaching")
    known = rated.read(CLASSIFIERS)["classifier"].item()
    message = failure_of(rated.promote("teaching", classifier="0123456789ab"))
    assert "no classifier '0123456789ab'" in message
    assert known in message


def test_too_few_labels_say_how_many_are_needed(world: World) -> None:
    world.land_shards(1, documents=20)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    message = failure_of(world.run(JOB, "teaching", fails=True))
    assert "20 labelled rows" in message
    assert "sample_per_shard" in message


@pytest.mark.parametrize(
    ("done", "asset"),
    [
        pytest.param([], "annotations", id="nothing is rated"),
        pytest.param(["rate_documents"], "embeddings", id="nothing is embedded"),
    ],
)
def test_training_too_early_says_what_to_materialize(world: World, done: list[str], asset: str) -> None:
    world.land_shards(1)
    documents = [a for a in world.defs.assets if isinstance(a, dg.AssetsDefinition)]
    for shard in world.shards:
        dg.materialize(
            documents,
            selection=["documents"],
            instance=world.instance,
            partition_key=shard,
            resources=world.defs.resources,
        )
    for job in done:
        world.run(job, "teaching")
    assert f"materialize `{asset}`" in failure_of(world.run(JOB, "teaching", fails=True))


@pytest.mark.models
def test_the_stored_classifier_gives_the_scores_of_the_table_without_our_code(tmp_path) -> None:
    """The real encoder and the real export: the scores of the table are those of the folder in other hands."""
    from sentence_transformers import SentenceTransformer

    write_project(tmp_path)
    real = World(tmp_path)
    real.encoder = TransformerEncoder(EncoderSettings(max_tokens=64), threads=1)
    real.reload()
    real.land_shards(2, documents=50)
    real.run("parse_and_embed_shards")
    real.run("rate_documents", "teaching")
    real.run(JOB, "teaching")
    real.run("score_documents", "teaching")
    documents = real.read(DOCUMENTS).select("shard", "id", "text")
    scored = real.read(SCORES.of("teaching")).join(documents, on=["shard", "id"]).head(20)
    pipeline = SentenceTransformer(f"{real.profile.models}/{real.read(CLASSIFIERS)['uri'].item()}", device="cpu")
    theirs = pipeline.encode(scored["text"].to_list()).ravel()
    # The table's vectors were stored as float16.
    assert np.abs(scored["score"].to_numpy() - theirs).max() < 5e-3
    assert pl.Series(theirs).std() > 0.1
