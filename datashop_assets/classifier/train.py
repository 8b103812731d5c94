"""From labelled documents and their inputs to a classifier with its report.

What belongs here: the order of the steps. What does not: each step (the modules beside this one), tables, files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier import dataset
from datashop_assets.classifier.dataset import Part, Split, TrainingError
from datashop_assets.classifier.measure import measure
from datashop_assets.classifier.recipes import Examples, Recipe, Scorer, recipe_of
from datashop_assets.classifier.report import Report
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.rating.lens import Lens

Inputs = NDArray[np.float32] | Sequence[str]


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """`held_out` holds shard, id, label and prediction of the rows that the report's figures were measured on; `parts`
    are the positions of all rows in the labelled frame, as they were divided."""

    id: str
    scorer: Scorer
    report: Report
    held_out: pl.DataFrame
    parts: Split


def train(
    labelled: pl.DataFrame,
    inputs: Inputs,
    lens: Lens,
    recipe: ClassifierRecipe,
    encoder_id: str,
    about_labels: tuple[str, ...] = (),
) -> TrainedClassifier:
    """Train by the recipe and measure on held-out rows.

    `labelled` has shard, id, text_sha, chars and score (null: not rated), one row a rating, and where other scores are
    to be trained on `target` and `weight` (`curated_labels.py`; `about_labels` are its notes). `inputs` are what the
    recipe reads, in the same order: float32 vectors of shape [rows, dimension], as unpacked from storage, or texts.
    What the recipe chooses is chosen on validation rows as they were rated. Equal inputs give an equal classifier.
    Raises TrainingError where the labels do not suffice.
    """
    if len(inputs) != labelled.height:
        raise ValueError(f"{labelled.height} labelled rows but {len(inputs)} inputs: they must be row-aligned")
    if isinstance(inputs, np.ndarray) and labelled.height and not np.isfinite(inputs).all():
        raise TrainingError("some embeddings are not finite; materialize `embeddings` again")
    how: Recipe = recipe_of(recipe.model)
    parts = dataset.split(labelled, lens, recipe)
    made = how.fit(
        _examples(inputs, parts.train, recipe), _examples(inputs, parts.validation, recipe), lens, recipe.seed
    )
    held_out = parts.held_out
    predictions = made.scorer.predict(_chosen(inputs, held_out.rows))
    report = measure(made, predictions, labelled, parts, lens, recipe, encoder_id, about_labels)
    shown = (
        labelled[held_out.rows.tolist()]
        .select("shard", "id")
        .with_columns(pl.Series("label", held_out.scores), pl.Series("prediction", predictions))
    )
    return TrainedClassifier(report.classifier, made.scorer, report, shown, parts)


def _examples(inputs: Inputs, part: Part, recipe: ClassifierRecipe) -> Examples:
    weights = part.weights if recipe.weighted else np.ones(len(part))
    return Examples(_chosen(inputs, part.rows), part.targets, weights, part.scores)


def _chosen(inputs: Inputs, rows: NDArray[np.int64]) -> Inputs:
    return inputs[rows] if isinstance(inputs, np.ndarray) else [inputs[row] for row in rows]
