"""How far two distributions are apart, and whether chance would bring as much.

What belongs here: measures on counts. What does not: what is counted (`scores.py`, `languages.py`, `failures.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.estimate import Estimate
from datashop_assets.rating.estimates import share

LEVEL = 0.95
# Added to every count, so that a bin that one side lacks has a finite index; half a document changes no other bin.
PRIOR = 0.5


@dataclass(frozen=True)
class Shift:
    """`index` is the population stability index of `new` documents against `reference` ones; equal distributions stay
    below `chance` in 95 of 100 draws of so many documents. `divergence` is Jensen and Shannon's, in bits, 0 to 1."""

    index: float
    chance: float
    divergence: float
    reference: int
    new: int

    def exceeds(self, most: float) -> bool:
        """Whether it is above a limit, and above chance."""
        return self.index > max(most, self.chance)


def shift(reference: Sequence[int], new: Sequence[int]) -> Shift:
    """Compare counts of the same bins, of at least one document each side.

    The index is sum((new - reference) * ln(new / reference)) over shares; 0.1 and 0.25 are the limits of a small and a
    large shift (Siddiqi, "Credit Risk Scorecards", 2006). Without drift it is distributed as (1 / reference + 1 / new)
    times chi squared of bins - 1 degrees (Yurdakul and Naranjo, "Statistical properties of the population stability
    index", Journal of Risk Model Validation 14, 2020). That is of documents drawn one by one: those of a shard are
    alike, so that `chance` is too small where there are few shards. Raises ValueError where a side is empty.
    """
    if not sum(reference) or not sum(new):
        raise ValueError("a shift is of two distributions, and one of them has no documents")
    from scipy.stats import chi2

    a, b = _shares(reference), _shares(new)
    middle = (a + b) / 2
    divergence = (np.sum(a * np.log2(a / middle)) + np.sum(b * np.log2(b / middle))) / 2
    by_chance = float(chi2.ppf(LEVEL, max(1, len(a) - 1))) * (1 / sum(reference) + 1 / sum(new))
    return Shift(float(np.sum((b - a) * np.log(b / a))), by_chance, float(divergence), sum(reference), sum(new))


def increase(before: tuple[int, int], after: tuple[int, int]) -> Estimate:
    """The difference of two shares (count, n), after minus before, with Newcombe's hybrid score interval (Statistics in
    Medicine 17, 1998, method 10). Its n is that of `after`. Raises ValueError where an n is 0."""
    old, new = share(*before), share(*after)
    value = new.value - old.value
    low = value - np.hypot(new.value - new.low, old.high - old.value)
    high = value + np.hypot(new.high - new.value, old.value - old.low)
    return Estimate(value, float(low), float(high), new.n)


def _shares(counts: Sequence[int]) -> NDArray[np.float64]:
    smoothed = np.asarray(counts, np.float64) + PRIOR
    return np.asarray(smoothed / smoothed.sum(), np.float64)
