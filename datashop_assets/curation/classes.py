"""Which scores are one class: every level of the lens, or several together where too few texts tell them apart.

What belongs here: classes of adjacent levels, and the way from scores to classes and back. What does not: what is
estimated of classes (`transition.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.curation.transition import least_texts

Scores = NDArray[np.float64]
# Memory and time of a fit grow with the third and fourth power of the classes: 101 of them take 1.7 GB a pair of
# neighbours for 20,000 texts, and nobody tells 101 levels apart.
MOST_CLASSES = 12


@dataclass(frozen=True)
class Classes:
    """Classes of adjacent levels: `first` is the lowest level of each, ascending; the last one ends at `high`."""

    first: tuple[int, ...]
    high: int

    def __len__(self) -> int:
        return len(self.first)

    def of(self, scores: Scores) -> NDArray[np.int64]:
        """The class of each score, by its nearest level; a half goes to the even one, what lies outside to the end."""
        levels = np.clip(np.rint(scores), self.first[0], self.high)
        return np.asarray(np.searchsorted(self.first, levels, side="right") - 1, np.int64)

    def centres(self, scores: Scores, weights: Scores) -> Scores:
        """The mean of each class's scores: what a text is given that is moved into it. The middle of an empty class."""
        counts = np.bincount(self.of(scores), weights, len(self))
        sums = np.bincount(self.of(scores), weights * scores, len(self)).astype(np.float64)
        lowest, highest = np.array(self.first, np.float64), np.array([*self.first[1:], self.high + 1]) - 1.0
        there = counts > 0
        return np.where(there, np.divide(sums, counts, out=np.zeros_like(sums), where=there), (lowest + highest) / 2)

    @property
    def names(self) -> tuple[str, ...]:
        """For people: `2`, or `3-5`."""
        ends = [*(first - 1 for first in self.first[1:]), self.high]
        return tuple(str(a) if a == b else f"{a}-{b}" for a, b in zip(self.first, ends, strict=True))


def every_level(low: int, high: int) -> Classes:
    """A class for each level of a scale."""
    return Classes(tuple(range(low, high + 1)), high)


def divide(scores: Scores, weights: Scores, low: int, high: int, texts: float) -> Classes:
    """As many classes as so many independent texts suffice for, beginning with every level of the scale, and at most
    MOST_CLASSES.

    `weights` are those of the scores: twins share one. While there are too few texts, the class with the fewest scores,
    the lowest of several, joins the neighbour that has fewer. One class is left where the texts do not suffice for two.
    """
    classes = every_level(low, high)
    while len(classes) > 1:
        counts = np.bincount(classes.of(scores), weights, len(classes))
        if len(classes) <= MOST_CLASSES and texts >= least_texts(int((counts > 0).sum())):
            return classes
        rarest = int(counts.argmin())
        beside = [number for number in (rarest - 1, rarest + 1) if 0 <= number < len(classes)]
        upper = max(rarest, min(beside, key=lambda number: counts[number]))
        classes = Classes(classes.first[:upper] + classes.first[upper + 1 :], high)
    return classes
