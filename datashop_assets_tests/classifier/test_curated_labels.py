"""Training on curated labels: better labels for the head, and no word of them from held-out texts."""

import numpy as np
import polars as pl
import pytest

from datashop_assets.classifier.curated_labels import with_curated_labels
from datashop_assets.classifier.dataset import is_held_out, split
from datashop_assets.classifier.train import train
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.project import CurationSettings, ProjectError
from datashop_assets_tests.curation.clusters import LEVELS, clusters, errors, rated
from datashop_assets_tests.rating.lens_for_tests import small_lens

LENS = small_lens(high=LEVELS - 1)
ROWS = 1500
CURATED = ClassifierRecipe(labels="curated")


def labelled(scores: np.ndarray) -> pl.DataFrame:
    ids = [f"{row:05}" for row in range(len(scores))]
    return pl.DataFrame(
        {"shard": "s", "id": ids, "text_sha": ids, "chars": 100, "score": scores.astype(float)},
        schema_overrides={"chars": pl.Int64},
    )


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray, pl.DataFrame]:
    vectors, true = clusters(ROWS, spread=0.25)
    return vectors, true, labelled(rated(true, errors(0.4)))


def curated(rows: pl.DataFrame, vectors: np.ndarray) -> tuple[pl.DataFrame, tuple[str, ...]]:
    return with_curated_labels(rows, vectors, LENS, CURATED, CurationSettings(), "enc")


def measured_on(rows: pl.DataFrame) -> np.ndarray:
    """Which rows the head is measured or chosen on."""
    sides = split(rows, LENS, CURATED)
    apart = np.zeros(rows.height, bool)
    apart[np.concatenate([sides.held_out.rows, sides.validation.rows])] = True
    return apart


def test_labels_to_train_on_are_nearer_to_the_truth_and_the_held_out_ones_are_as_rated(noisy) -> None:
    vectors, true, rows = noisy
    made, notes = curated(rows, vectors)
    learnt = ~measured_on(rows)
    assert made["target"].null_count() == (~learnt).sum()
    target = made["target"].to_numpy()
    assert np.mean(target[learnt] == true[learnt]) > np.mean(rows["score"].to_numpy()[learnt] == true[learnt]) + 0.2
    assert made["score"].equals(rows["score"])
    assert "labels to train on were changed" in notes[-1]


@pytest.mark.parametrize("side", ["held out", "validation"])
def test_ratings_that_a_head_is_measured_or_chosen_on_have_no_part_in_the_labels(noisy, side: str) -> None:
    """Two of them change places, so that the split of the rows stays as it is."""
    vectors, _, rows = noisy
    held = np.array([is_held_out(sha, CURATED.held_out_share) for sha in rows["text_sha"]])
    scores = rows["score"].to_numpy().copy()
    if side == "held out":
        scores[held] = (scores[held] + 1) % LEVELS
        vectors_after = vectors
    else:  # their vectors: to be a neighbour is to have a part
        vectors_after = vectors.copy()
        vectors_after[measured_on(rows) & ~held] *= -1
    first, _ = curated(rows, vectors)
    second, _ = curated(rows.with_columns(score=pl.Series(scores)), vectors_after)
    assert first["target"].equals(second["target"])
    assert first["weight"].equals(second["weight"])


def test_a_classifier_is_measured_on_ratings_whatever_it_was_trained_on(noisy) -> None:
    vectors, true, rows = noisy
    made, notes = curated(rows, vectors)
    plain = train(rows, vectors, LENS, ClassifierRecipe(), "enc")
    better = train(made, vectors, LENS, CURATED, "enc", notes)
    assert better.held_out["label"].equals(plain.held_out["label"])
    assert better.held_out["id"].equals(plain.held_out["id"])
    assert better.report.notes[: len(notes)] == notes
    truth = true[better.held_out["id"].cast(pl.Int64).to_numpy()]
    wrong = [np.abs(made.held_out["prediction"].to_numpy() - truth).mean() for made in (plain, better)]
    assert wrong[1] < wrong[0]


def test_weights_reach_the_head(noisy) -> None:
    vectors, _, rows = noisy
    made, _ = curated(rows, vectors)
    assert 0 < made["weight"].min() < made["weight"].max() <= 1
    weighted = train(made, vectors, LENS, CURATED.model_copy(update={"weighted": True}), "enc")
    assert weighted.id != train(made, vectors, LENS, CURATED, "enc").id


def test_few_labels_are_trained_on_as_they_are_and_the_report_says_so() -> None:
    vectors, true = clusters(45)
    made, notes = curated(labelled(true), vectors)
    there = made.drop_nulls("target")
    assert there["target"].equals(there["score"].alias("target"))
    assert there["weight"].unique().to_list() == [1.0]
    assert "too few" in notes[0]


def test_failed_judgements_stay_null(noisy) -> None:
    vectors, _, rows = noisy
    some = rows.with_columns(score=pl.when(pl.col("id") < "00100").then(None).otherwise("score"))
    made, _ = curated(some, vectors)
    assert made.head(100)["target"].null_count() == 100
    assert train(made, vectors, LENS, CURATED, "enc").report.counts.without_score == 100


def test_weights_without_curated_labels_are_refused() -> None:
    with pytest.raises((ValueError, ProjectError), match="needs curated labels"):
        ClassifierRecipe(weighted=True)
