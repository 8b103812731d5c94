"""From labelled documents and their inputs to a classifier with its report.

What belongs here: the order of the steps. What does not: each step (the modules beside this one), tables, files.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from datashop_assets.classifier import dataset
from datashop_assets.classifier.balance import BalancedRecipe
from datashop_assets.classifier.dataset import Part, Split, TrainingError
from datashop_assets.classifier.known_recipes import recipe_of
from datashop_assets.classifier.measure import measure
from datashop_assets.classifier.recipes import Examples, Fit, Inputs, Recipe, Scorer, chosen_rows
from datashop_assets.classifier.report import Report
from datashop_assets.classifier.workbench import Workbench
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.rating.lens import Lens


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
    others: Mapping[str, Examples] | None = None,
    bench: Workbench | None = None,
) -> TrainedClassifier:
    """Train by the recipe and measure on held-out rows.

    `labelled` has shard, id, text_sha, chars and score (null: not rated), one row a rating, and where other scores are
    to be trained on `target` and `weight` (`curated_labels.py`; `about_labels` are its notes). `inputs` are what the
    recipe reads, in the same order: float32 vectors of shape [rows, dimension], as unpacked from storage, or texts.
    `others` and `bench` are as in `known_recipes.recipe_of`. What the recipe chooses is
    chosen on validation rows as they were rated. Equal inputs give an equal classifier.

    Of several seeds the classifier is the first one's, and the report says how much the figures vary: a best one would
    have to be chosen on rows, and those of validation differ from seed to seed, those held out choose nothing.
    Raises TrainingError where the labels do not suffice.
    """
    if len(inputs) != labelled.height:
        raise ValueError(f"{labelled.height} labelled rows but {len(inputs)} inputs: they must be row-aligned")
    if isinstance(inputs, np.ndarray) and labelled.height and not np.isfinite(inputs).all():
        raise TrainingError("some embeddings are not finite; materialize `embeddings` again")
    parts = dataset.split(labelled, lens, recipe)
    held_out, held_out_inputs = parts.held_out, chosen_rows(inputs, parts.held_out.rows)
    fits = [_fitted(labelled, inputs, lens, recipe.of_seed(number), others, bench) for number in range(recipe.seeds)]
    predictions = [fit.scorer.predict(held_out_inputs) for fit in fits]
    notes = (*about_labels, *fits[0].notes)
    report = measure(fits[0], predictions[0], labelled, parts, lens, recipe, encoder_id, notes, predictions)
    shown = (
        labelled[held_out.rows.tolist()]
        .select("shard", "id")
        .with_columns(pl.Series("label", held_out.scores), pl.Series("prediction", predictions[0]))
    )
    return TrainedClassifier(report.classifier, fits[0].scorer, report, shown, parts)


def _fitted(
    labelled: pl.DataFrame,
    inputs: Inputs,
    lens: Lens,
    recipe: ClassifierRecipe,
    others: Mapping[str, Examples] | None,
    bench: Workbench | None,
) -> Fit:
    """One training, on a validation split of its own."""
    parts = dataset.split(labelled, lens, recipe)
    train, validation = (examples_of(inputs, part, recipe) for part in (parts.train, parts.validation))
    return recipe_for(recipe, others, bench).fit(train, validation, lens, recipe.seed)


def recipe_for(
    recipe: ClassifierRecipe, others: Mapping[str, Examples] | None = None, bench: Workbench | None = None
) -> Recipe:
    """How the project's recipe trains: by its model's recipe, on balanced labels where it asks for them."""
    how = recipe_of(recipe.model, others, bench)
    return how if recipe.balance == "none" else BalancedRecipe(how, recipe.balance, recipe.balance_bound)


def examples_of(inputs: Inputs, part: Part, recipe: ClassifierRecipe) -> Examples:
    """What the recipe learns from these rows of the labelled frame."""
    weights = part.weights if recipe.weighted else np.ones(len(part))
    return Examples(chosen_rows(inputs, part.rows), part.targets, weights, part.scores)
