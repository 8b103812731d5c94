"""A trained classifier with what it was trained on: what a report is made of.

What belongs here: the rows, their inputs, and training again on some of them. What does not: what is measured
(`quality.py`, `refits.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier.dataset import Part, Split
from datashop_assets.classifier.recipes import Examples, Inputs, Recipe, Scorer
from datashop_assets.classifier.report import Report
from datashop_assets.classifier.train import TrainedClassifier, examples_of, recipe_for
from datashop_assets.classifier.workbench import Workbench
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.rating.lens import Lens


@dataclass(frozen=True, eq=False)
class Subject:
    """What is reported on: what was trained (`made`), on a rater's labels. `inputs` are those of all labelled rows."""

    rater: str
    labelled: pl.DataFrame
    inputs: Inputs
    lens: Lens
    recipe: ClassifierRecipe
    made: TrainedClassifier
    others: Mapping[str, Examples] | None = None
    bench: Workbench | None = None

    @property
    def how(self) -> Recipe:
        return recipe_for(self.recipe, self.others, self.bench)

    @property
    def parts(self) -> Split:
        return self.made.parts

    @property
    def report(self) -> Report:
        return self.made.report

    @property
    def predictions(self) -> NDArray[np.float32]:
        """Of the held-out rows."""
        predictions: NDArray[np.float32] = self.made.held_out["prediction"].to_numpy()
        return predictions

    def inputs_of(self, part: Part) -> Inputs:
        """What the recipe reads of some labelled rows."""
        return examples_of(self.inputs, part, self.recipe).inputs

    def refit(self, train: Part, validation: Part, seed: int) -> Scorer:
        """The recipe's classifier of other rows."""
        first, second = (examples_of(self.inputs, part, self.recipe) for part in (train, validation))
        return self.how.fit(first, second, self.lens, seed).scorer

    @property
    def labels(self) -> NDArray[np.float64]:
        return self.parts.held_out.scores

    @property
    def draws(self) -> tuple[int, int]:
        """Resamples and seed of every interval."""
        return self.recipe.bootstrap, self.recipe.seed


def some_of(part: Part, chosen: NDArray[np.int64]) -> Part:
    """Some rows of a side of the split."""
    return Part(part.rows[chosen], part.scores[chosen], part.targets[chosen], part.weights[chosen])
