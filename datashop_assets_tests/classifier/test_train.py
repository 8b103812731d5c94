import hashlib

import numpy as np
import polars as pl
import pytest

from datashop_assets.classifier.dataset import TrainingError
from datashop_assets.classifier.report import Report
from datashop_assets.classifier.train import TrainedClassifier, train
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets_tests.classifier.lenses import lens

RECIPE = ClassifierRecipe()


def made_up(n: int = 200, noise: float = 0.3) -> tuple[pl.DataFrame, np.ndarray]:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(n, 8)).astype(np.float32)
    frame = pl.DataFrame(
        {
            "shard": "crawl-00001",
            "id": [f"d{row}" for row in range(n)],
            "text_sha": [hashlib.sha256(str(row).encode()).hexdigest()[:32] for row in range(n)],
            "chars": random.integers(100, 9_999, n),
            "score": np.clip(2.5 + vectors[:, 0] + random.normal(0, noise, n), 0, 5),
        }
    )
    return frame, vectors


def trained(**changes) -> TrainedClassifier:
    frame, vectors = made_up()
    return train(frame, vectors, lens(), RECIPE.model_copy(update=changes), "encoder-1")


def test_training_again_gives_the_same_classifier_and_report():
    assert trained().report == trained().report


def test_the_order_of_the_rows_changes_nothing():
    frame, vectors = made_up()
    order = np.random.default_rng(1).permutation(len(vectors))
    again = train(frame[order.tolist()], vectors[order], lens(), RECIPE, "encoder-1")
    assert again.report == trained().report


def test_the_report_survives_its_json_whole():
    report = trained().report
    assert Report.from_json(report.to_json()) == report


def test_the_taken_regularisation_is_the_best_on_validation():
    report = trained().report
    mae = {step.value: step.validation_mae for step in report.log}
    assert set(mae) == set(RECIPE.model.l2)
    assert mae[report.chosen["l2"]] == min(mae.values())


def test_the_head_never_sees_the_held_out_scores():
    frame, vectors = made_up()
    first = train(frame, vectors, lens(), RECIPE, "encoder-1")
    spoilt = frame.with_columns(
        pl.when(pl.col("id").is_in(first.held_out["id"].to_list())).then(0.0).otherwise(pl.col("score")).alias("score")
    )
    again = train(spoilt, vectors, lens(), RECIPE, "encoder-1")
    assert again.id == first.id
    assert again.report.figures["mae"] != first.report.figures["mae"]


def test_held_out_rows_carry_their_own_label_and_prediction():
    frame, vectors = made_up()
    classifier = train(frame, vectors, lens(), RECIPE, "encoder-1")
    joined = classifier.held_out.join(frame.with_row_index("row"), on="id")
    assert joined.height == classifier.report.counts.held_out > 0
    assert joined["label"].to_list() == joined["score"].to_list()
    predicted = classifier.scorer.predict(vectors[joined["row"].to_list()])
    assert joined["prediction"].to_numpy() == pytest.approx(predicted, abs=1e-6)


def test_a_lens_whose_score_is_the_length_is_not_shown_to_need_the_encoder():
    frame, vectors = made_up()
    frame = frame.with_columns((pl.col("chars").log1p() / 2).alias("score"))
    report = train(frame, np.zeros_like(vectors), lens(), RECIPE, "encoder-1").report
    assert report.figures["mae_length"].high < 0.1 < report.figures["mae_mean"].low
    assert not report.verdict.passed


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda f, v: (f, v[:-1]), ValueError, "200 labelled rows but 199 inputs"),
        (lambda f, v: (f, np.full_like(v, np.nan)), TrainingError, "not finite"),
        (lambda f, v: (f.clear(), v[:0]), TrainingError, "0 labelled rows"),
    ],
    ids=["rows missing", "not finite", "nothing labelled"],
)
def test_unusable_input_is_refused_in_words(change, error, said):
    with pytest.raises(error, match=said):
        train(*change(*made_up()), lens(), RECIPE, "encoder-1")


@pytest.mark.models
def test_teaching_text_is_told_from_licences_and_the_verdict_passes(real, embedded):
    encoder, vectors = embedded("mean", True)
    report = train(real, vectors, lens(), RECIPE, encoder.id).report
    assert report.verdict.passed, report.verdict.reasons
    # Rows whose score differs by 3 in the mean: a useful head halves the error of the mean predictor.
    assert report.figures["mae"].value < report.figures["mae_mean"].value / 2
    assert report.figures["auc_at_positive"].low > 0.9


@pytest.mark.models
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shuffled_labels_fail_the_verdict(real, embedded, seed):
    encoder, vectors = embedded("mean", True)
    shuffled = real.with_columns(pl.col("score").shuffle(seed=seed))
    verdict = train(shuffled, vectors, lens(), RECIPE, encoder.id).report.verdict
    assert not verdict.passed
    assert verdict.reasons[0].startswith("no better than predicting the mean score")
