"""The mathematics of an exemplar contrast: from log-likelihoods to a score on the lens's scale.

What belongs here: splitting exemplars into contexts, the contrast, its calibration, its agreement with exemplars of
known score. What does not: the language model that gives the log-likelihoods (`resources/raters/`).

A document that resembles the good exemplars is likelier after them than after the bad ones. The contrast is that
difference, in nats a token; the exemplars marked `calibrate` say which contrast means which score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from datashop_assets.rating.lens import Lens, LensError

FEWEST_TO_CALIBRATE = 6


@dataclass(frozen=True)
class Contexts:
    """The exemplar texts before which a document is placed: as many good as bad contexts, each a list of texts."""

    good: tuple[tuple[str, ...], ...]
    bad: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Calibration:
    """A rising line from contrast to score, clipped to the scale."""

    slope: float
    intercept: float
    low: float
    high: float

    def scores(self, contrasts: ArrayLike) -> NDArray[np.float64]:
        """Scores of contrasts of any shape."""
        line = self.intercept + self.slope * np.asarray(contrasts, dtype=np.float64)
        return np.clip(line, self.low, self.high)


@dataclass(frozen=True)
class Agreement:
    """How well a rater's scores follow known ones: `n` texts, `pairs` of them with different known scores.

    `ordered` is the share of those pairs that the rater puts in the right order (ties count one half),
    `spearman` the rank correlation, `mean_error` the mean absolute difference in points of the scale.
    """

    n: int
    pairs: int
    ordered: float
    spearman: float
    mean_error: float

    def __str__(self) -> str:
        return (
            f"{self.ordered:.0%} of {self.pairs} pairs in order, Spearman {self.spearman:.2f}, "
            f"mean error {self.mean_error:.2f} (n={self.n})"
        )


def contexts(lens: Lens, sets: int) -> Contexts:
    """Deal the lens's `contrast` exemplars into `sets` good and `sets` bad contexts.

    Raises LensError where one side has fewer exemplars than there are sets.
    """
    good = [e.text for e in lens.used_for("contrast") if e.score >= lens.positive_at]
    bad = [e.text for e in lens.used_for("contrast") if e.score < lens.positive_at]
    if min(len(good), len(bad)) < sets:
        raise LensError(
            f"lens {lens.name!r} has {len(good)} contrast exemplars at or above {lens.positive_at} and {len(bad)} "
            f"below; an exemplar contrast needs at least {sets} of each in its exemplars.yaml"
        )
    return Contexts(
        good=tuple(tuple(good[part::sets]) for part in range(sets)),
        bad=tuple(tuple(bad[part::sets]) for part in range(sets)),
    )


def contrast(good: ArrayLike, bad: ArrayLike, tokens: int) -> float:
    """Mean log-likelihood a token after the good contexts minus after the bad ones, in nats.

    `good` and `bad` hold one summed log-likelihood of the document's `tokens` tokens for each context.
    """
    return float(np.mean(np.asarray(good)) - np.mean(np.asarray(bad))) / tokens


def calibrate(contrasts: Sequence[float], lens: Lens) -> Calibration:
    """Fit the line from the contrasts of the lens's `calibrate` exemplars, in their order, by least squares.

    Least squares draws uncertain scores towards the middle: the weaker the relation, the flatter the line. Raises
    LensError where there are too few exemplars, their scores are all the same, or the line does not rise.
    """
    known = np.array([e.score for e in lens.used_for("calibrate")])
    if len(known) < FEWEST_TO_CALIBRATE or np.ptp(known) == 0:
        raise LensError(
            f"lens {lens.name!r} has {len(known)} calibrate exemplars with {len(set(known))} different scores; "
            f"an exemplar contrast needs at least {FEWEST_TO_CALIBRATE}, spread over the scale"
        )
    measured = np.asarray(contrasts, dtype=np.float64)
    if np.ptp(measured) == 0 or np.corrcoef(measured, known)[0, 1] <= 0:
        raise LensError(
            f"lens {lens.name!r}: this model's exemplar contrast does not rise with the scores of the calibrate "
            f"exemplars (contrasts {np.round(measured, 3).tolist()} for scores {known.tolist()}), so it cannot rate "
            "through this lens; make the contrast exemplars differ in what the lens rates and in nothing else, or "
            "choose a larger or a served model"
        )
    slope, intercept = np.polyfit(measured, known, 1)
    return Calibration(float(slope), float(intercept), float(lens.low), float(lens.high))


def agreement(scores: ArrayLike, known: ArrayLike) -> Agreement:
    """How the scores of texts follow their known scores. Raises ValueError without two different known scores."""
    given, wanted = np.asarray(scores, dtype=np.float64), np.asarray(known, dtype=np.float64)
    first, second = np.triu_indices(len(wanted), k=1)
    differing = wanted[first] != wanted[second]
    if not differing.any():
        raise ValueError(f"agreement needs texts with different known scores; got {wanted.tolist()}")
    first, second = first[differing], second[differing]
    order = np.sign(given[first] - given[second]) * np.sign(wanted[first] - wanted[second])
    ranks = pl.DataFrame({"given": given, "wanted": wanted}).select(pl.all().rank())
    spearman = 0.0 if np.ptp(given) == 0 else float(np.corrcoef(ranks["given"], ranks["wanted"])[0, 1])
    return Agreement(
        n=len(wanted),
        pairs=len(order),
        ordered=float(np.mean((order + 1) / 2)),
        spearman=spearman,
        mean_error=float(np.mean(np.abs(given - wanted))),
    )
