"""From labelled documents and their vectors to a classifier with its report.

What belongs here: the order of the steps. What does not: each step (the modules beside this one), tables, files.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier import baselines, dataset, metrics
from datashop_assets.classifier.dataset import TrainingError
from datashop_assets.classifier.head import Head, choose_l2, classifier_id, fit
from datashop_assets.classifier.report import Report
from datashop_assets.classifier.verdict import judge
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.rating.lens import Lens


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """`held_out` holds id, label and prediction of the rows that the report's figures were measured on."""

    id: str
    head: Head
    report: Report
    held_out: pl.DataFrame


def train(
    labelled: pl.DataFrame,
    embeddings: NDArray[np.float32],
    lens: Lens,
    recipe: ClassifierRecipe,
    encoder_id: str,
    about_labels: tuple[str, ...] = (),
) -> TrainedClassifier:
    """Train a linear head and measure it on held-out rows.

    `labelled` has id, text_sha, chars and score (null: not rated), one row a rating, and where other scores are to be
    trained on `target` and `weight` (`curated_labels.py`; `about_labels` are its notes). `embeddings` are float32 of
    shape [rows, dimension] in the same order, as unpacked from storage. The regularisation is chosen on validation
    rows as they were rated, then the head is fitted on training and validation rows together. Equal inputs give an
    equal classifier.
    Raises TrainingError where the labels do not suffice.
    """
    if len(embeddings) != labelled.height:
        raise ValueError(f"{labelled.height} labelled rows but {len(embeddings)} vectors: they must be row-aligned")
    if labelled.height and not np.isfinite(embeddings).all():
        raise TrainingError("some embeddings are not finite; materialize `embeddings` again")
    parts = dataset.split(labelled, lens, recipe)
    validation_mae = choose_l2(
        (embeddings[parts.train.rows], parts.train.targets),
        (embeddings[parts.validation.rows], parts.validation.scores),
        recipe.l2,
        parts.train.weights if recipe.weighted else None,
    )
    l2 = min(validation_mae, key=lambda value: validation_mae[value])
    rows = np.concatenate([parts.train.rows, parts.validation.rows])
    targets = np.concatenate([parts.train.targets, parts.validation.targets])
    scores = np.concatenate([parts.train.scores, parts.validation.scores])
    weights = np.concatenate([parts.train.weights, parts.validation.weights]) if recipe.weighted else None
    head = fit(embeddings[rows], targets, l2, weights)

    held_out = parts.held_out
    predictions = head.predict(embeddings[held_out.rows])
    chars = labelled["chars"].to_numpy()
    references = {
        baselines.MEAN: baselines.predict_mean(scores, len(held_out)),
        baselines.LENGTH: baselines.predict_by_length(chars[rows], scores, chars[held_out.rows]),
    }
    figures, notes = metrics.bootstrap(
        metrics.metrics(held_out.scores, predictions, lens)
        | baselines.mae_metrics(held_out.scores, predictions, references),
        len(held_out),
        recipe.bootstrap,
        recipe.seed,
    )
    identity = classifier_id(encoder_id, head)
    report = Report(
        classifier=identity,
        encoder=encoder_id,
        lens=lens.name,
        lens_version=lens.version,
        recipe=recipe.version,
        low=lens.low,
        high=lens.high,
        positive_at=lens.positive_at,
        l2=l2,
        validation_mae=validation_mae,
        counts=parts.counts,
        figures=figures,
        notes=(*about_labels, *notes),
        confusion=tuple(tuple(row) for row in metrics.confusion(held_out.scores, predictions, lens).tolist()),
        reliability=metrics.reliability_bins(held_out.scores, predictions),
        verdict=judge(figures),
    )
    shown = (
        labelled[held_out.rows.tolist()]
        .select("id")
        .with_columns(pl.Series("label", held_out.scores), pl.Series("prediction", predictions))
    )
    return TrainedClassifier(identity, head, report, shown)
