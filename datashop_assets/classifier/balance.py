"""Balance: as much to learn from each class of labels, however rare it is.

What belongs here: weights and repetitions of rows by the frequency of their class. What does not: training, measuring
(held-out rows are as they are, for ever).

A row's class is its target, rounded and clipped. What is balanced is the sum of the rows' weights, so that rows of
which less is sure count less. `bound` limits how much more a row of a rare class may count than one of the most
frequent: with it a handful of ratings cannot outvote the rest, and where it bites, shares are not quite equal.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.head import int_scores
from datashop_assets.classifier.recipes import Examples, Fit, Reads, Recipe, chosen_rows
from datashop_assets.rating.lens import Lens


@dataclass(frozen=True, eq=False)
class BalancedRecipe:
    """Another recipe, on balanced labels."""

    recipe: Recipe
    method: Literal["weights", "sampling"]
    bound: float

    @property
    def reads(self) -> Reads:
        return self.recipe.reads

    def fit(self, train: Examples, validation: Examples, lens: Lens, seed: int) -> Fit:
        """Weights are given to validation rows too: a recipe may train on them once it has chosen, and chooses on their
        unweighted error. The notes say what share each class had and has."""
        if self.method == "weights":
            learnt, validation = weighted(train, lens, self.bound), weighted(validation, lens, self.bound)
        else:
            learnt = resampled(train, lens, self.bound, seed)
        fit = self.recipe.fit(learnt, validation, lens, seed)
        before, after = (_words(class_shares(examples, lens)) for examples in (train, learnt))
        note = f"of the training weight the rounded scores had {before}; balanced they have {after}"
        return replace(fit, notes=(*fit.notes, note))


def weighted(examples: Examples, lens: Lens, bound: float) -> Examples:
    """The same rows with weights under which every class has the same total; the mean weight stays what it was."""
    weights = examples.weights * _factors(examples, lens, bound)
    return replace(examples, weights=weights * (examples.weights.sum() / weights.sum()))


def resampled(examples: Examples, lens: Lens, bound: float, seed: int) -> Examples:
    """Every row at least once, rows of rarer classes again until every class has the same total weight.

    Rows of a class are repeated equally often but for one time; which have that one is drawn with the seed.
    """
    factors, classes = _factors(examples, lens, bound), int_scores(examples.targets, lens)
    times, drawn = np.floor(factors), np.random.default_rng(seed).random(len(factors))
    for value in np.unique(classes):
        rows = np.flatnonzero(classes == value)
        once_more = round(float((factors - times)[rows].sum()))
        times[rows[np.argsort(drawn[rows], kind="stable")[:once_more]]] += 1
    rows = np.repeat(np.arange(len(times)), times.astype(np.int64))
    inputs = chosen_rows(examples.inputs, rows)
    return Examples(inputs, examples.targets[rows], examples.weights[rows], examples.rated[rows])


def class_shares(examples: Examples, lens: Lens) -> dict[int, float]:
    """The share of the total weight that each class has; classes of the scale without rows are left out."""
    totals = _totals(examples, lens)
    return {value: total / sum(totals.values()) for value, total in totals.items()}


def _factors(examples: Examples, lens: Lens, bound: float) -> NDArray[np.float64]:
    """By how much more than a row of the heaviest class each row should count: 1 to `bound`."""
    totals = _totals(examples, lens)
    most = max(totals.values())
    return np.array([min(most / totals[int(value)], bound) for value in int_scores(examples.targets, lens)])


def _totals(examples: Examples, lens: Lens) -> dict[int, float]:
    classes = int_scores(examples.targets, lens)
    return {int(value): float(examples.weights[classes == value].sum()) for value in np.unique(classes)}


def _words(shares: dict[int, float]) -> str:
    return ", ".join(f"{value}: {share:.1%}" for value, share in shares.items())
