"""The second half of the report: made where a classifier is trained, from rows it may see, and plain about the rest."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from datashop_assets.classifier.confident_errors import ERRORS_FILE
from datashop_assets.classifier.documents_seen import cut_short
from datashop_assets.classifier.recalibration import load_calibration
from datashop_assets.classifier.refits import calibration_of, refitted_curve
from datashop_assets.classifier.report import Report
from datashop_assets.classifier.report_pictures import illustrated, marks
from datashop_assets.classifier.report_sections import CALIBRATION, COMPARISON, KINDS, LABELS, THRESHOLDS
from datashop_assets.classifier.subject import Subject
from datashop_assets.classifier.train import train
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.filter_settings import KeepFraction, Threshold
from datashop_assets.records import CLASSIFIERS
from datashop_assets.report_settings import ReportSettings
from datashop_assets_tests.classifier.lenses import lens
from datashop_assets_tests.classifier.test_train import made_up
from datashop_assets_tests.worlds import World, metadata_of

JOB = "train_and_promote_classifier"


@pytest.fixture
def rated(world: World) -> World:
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    return world


def newest_report(world: World) -> Report:
    return Report.from_json(world.read(CLASSIFIERS).sort("trained_at")["metrics"][-1])


def test_training_shows_every_section_and_keeps_calibration_and_errors_beside_the_model(rated: World) -> None:
    shown = metadata_of(rated.run(JOB, "teaching"), "classifier")["teaching"]
    for title in (KINDS, LABELS, THRESHOLDS, CALIBRATION, COMPARISON):
        assert title in shown
    assert "none is in force yet" in shown[COMPARISON]
    assert sum(len(str(value)) for value in shown.values()) < 300_000, "metadata is kept for ever"
    folder = Path(shown["path"])
    assert load_calibration(folder).classifier == shown["classifier"]
    assert (folder / ERRORS_FILE).read_text() == shown["confident errors"]
    again = metadata_of(rated.run(JOB, "teaching"), "classifier")["teaching"]
    assert again["skipped"]
    assert again["confident errors"] == shown["confident errors"]


def test_slices_hold_every_held_out_row_once_and_what_is_not_known_is_said(rated: World) -> None:
    rated.run(JOB, "teaching")
    report = newest_report(rated)
    quality = report.quality
    for by in ("length", "source", "language"):
        assert sum(each.n for each in quality.slices if each.by == by) == report.counts.held_out
    assert "holds no tokenizer" in quality.cost_of_cutting.words
    assert "name one in `also_rated_by`" in quality.ceiling.reason


def test_a_new_classifier_is_compared_with_the_one_in_force(rated: World) -> None:
    rated.run(JOB, "teaching")
    first = rated.read(CLASSIFIERS)["classifier"].item()
    rated.land_shards(2, start=4)
    rated.run("parse_and_embed_shards")
    rated.run("rate_documents", "teaching")
    rated.run(JOB, "teaching")
    report = newest_report(rated)
    compared = report.quality.comparison
    assert (compared.promoted, compared.n) == (first, report.counts.held_out)
    assert report.verdict.worse_than_promoted is False
    assert f"against {first}" in "; ".join(report.verdict.reasons)


def test_one_that_is_worse_than_the_one_in_force_is_told(rated: World) -> None:
    rated.run(JOB, "teaching")
    # A recipe that cannot learn: with so large a penalty it predicts the mean.
    lenses = {"rater": "scripted", "sample_per_shard": 40, "recipe": {"model": {"kind": "linear", "l2": [1e9]}}}
    rated.change_project(lenses={"teaching": lenses, "clarity": lenses})
    rated.run(JOB, "teaching", fails=True)
    verdict = newest_report(rated).verdict
    assert verdict.worse_than_promoted is True
    assert "mae worse" in verdict.reasons[-1]


def test_another_rater_of_the_same_documents_is_the_ceiling(rated: World) -> None:
    rated.run("rate_documents", "teaching", config={"annotations": {"rater": "other"}})
    rated.run(JOB, "teaching")
    (pair,) = newest_report(rated).quality.ceiling.raters
    assert pair.both == 160
    assert pair.figures["spearman"].value == pytest.approx(1)
    assert pair.figures["weighted_kappa"].value == pytest.approx(1)


def subject(**changes: object) -> Subject:
    frame, vectors = made_up(300)
    recipe = ClassifierRecipe(bootstrap=100, **changes)
    return Subject("rater", frame, vectors, lens(), recipe, train(frame, vectors, lens(), recipe, "encoder-1"))


def test_neither_calibration_nor_curve_learns_from_a_held_out_label() -> None:
    first = subject()
    held = first.made.held_out["id"].to_list()
    spoilt = first.labelled.with_columns(
        pl.when(pl.col("id").is_in(held)).then(0.0).otherwise(pl.col("score")).alias("score")
    )
    made = train(spoilt, first.inputs, lens(), first.recipe, "encoder-1")
    again = Subject("rater", spoilt, first.inputs, lens(), first.recipe, made)
    assert calibration_of(again) == calibration_of(first)
    assert refitted_curve(again).points[-1].annotations == refitted_curve(first).points[-1].annotations


def test_calibration_scores_come_from_classifiers_that_never_saw_the_row() -> None:
    """Labels that nothing explains: a classifier's own rows look well predicted, rows that it has not seen do not."""
    made = subject()
    noise = made.labelled.with_columns(pl.Series("score", np.random.default_rng(0).uniform(0, 5, made.labelled.height)))
    wide = np.random.default_rng(1).normal(size=(noise.height, 400)).astype(np.float32)
    recipe = ClassifierRecipe(bootstrap=100, model={"kind": "linear", "l2": [0.01]})
    blind = Subject("rater", noise, wide, lens(), recipe, train(noise, wide, lens(), recipe, "encoder-1"))
    assert abs(calibration_of(blind).linear.slope) < 0.3


def test_the_project_file_can_leave_out_what_trains_anew() -> None:
    without = subject(report=ReportSettings(learning_curve_points=0, calibration_folds=0))
    assert refitted_curve(without) is None
    assert calibration_of(without) is None


def test_a_report_from_before_there_was_a_second_half_is_read_and_shown(rated: World) -> None:
    rated.run(JOB, "teaching")
    content = json.loads(newest_report(rated).to_json())
    for name in ("quality", "held_out_share", "model", "chosen", "log", "over_seeds"):
        del content[name]
    del content["verdict"]["worse_than_promoted"]
    old = Report.from_json(json.dumps(content | {"l2": 1.0, "validation_mae": {"1.0": 0.5}}))
    assert old.quality is None
    shown = illustrated(
        old, pl.DataFrame({"label": [1.0, 2.0], "prediction": [1.5, 1.5]}), KeepFraction(keep_fraction=0.1)
    )
    assert set(shown) == {"confusion matrix", "predictions", CALIBRATION}


def test_the_policy_in_force_is_marked_in_the_threshold_curve(rated: World) -> None:
    rated.run(JOB, "teaching")
    quality = newest_report(rated).quality
    assert marks(quality, KeepFraction(keep_fraction=0.25)) == {"keep_fraction 0.25": 0.25}
    (share,) = marks(quality, Threshold(lower=quality.thresholds[2].threshold)).values()
    assert share == quality.thresholds[2].kept.value
    assert marks(quality, Threshold(lower=1, reverse=True)) == {}


@pytest.mark.models
def test_a_text_is_cut_from_one_token_beyond_the_encoder_on() -> None:
    from datashop_assets.encoder_settings import EncoderSettings
    from resources.encoders import TransformerEncoder

    folder = TransformerEncoder(EncoderSettings()).local_directory()
    words = ["word"] * 14  # a token each, and one at either end of the text
    texts = [" ".join(words), " ".join([*words, "word"]), "", " " * 5000 + "word " * 20]
    assert cut_short(texts, folder, 16) == [False, True, False, True]
