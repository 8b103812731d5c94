"""What each rating most probably should have been.

What belongs here: the probabilities of a text's true score, the suggestion, how sure it is, and what is changed. What
does not: the rater's errors (`transition.py`), neighbours (`neighbours.py`).

By Bayes' rule from the prior p, the rater's T with the text's own rating, and the neighbours' emission with theirs. Ten
neighbours are not ten independent witnesses, so what they say together is raised to a power between 0 and 1: the one
with which the neighbours alone, without the text's own rating, predict that rating best (a tempered likelihood, as in
Grünwald and van Ommen, "Inconsistency of Bayesian Inference for Misspecified Linear Models", Bayesian Analysis 2017,
chosen by prediction). Nothing is drawn, so that neither the size of the pool nor the order of its rows decides
anything but the precision of T.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.curation.transition import Matrix, Transition


@dataclass(frozen=True)
class Correction:
    """Of each row, in levels from the lowest of the scale.

    `wrong`: the probability that the rating is not the true score. `suggested`: the most probable score, on a tie the
    rating, else the one nearest to it. `confidence`: its probability. `changed`: whether it differs from the rating
    and is sure enough. `power` is that of the neighbours' likelihood.
    """

    wrong: Matrix
    suggested: NDArray[np.int64]
    confidence: Matrix
    changed: NDArray[np.bool_]
    power: float

    def curated(self, rated: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ratings, with what is changed replaced by the suggestion."""
        return np.where(self.changed, self.suggested, rated)


def level_shares(rated: NDArray[np.int64], group: NDArray[np.int64], levels: int) -> Matrix:
    """Of each group the share of its rows with each level: twins have one vote together. Shape [groups, levels]."""
    counts = np.zeros((int(group.max()) + 1, levels))
    np.add.at(counts, (group, rated), 1.0)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def correct(
    rated: NDArray[np.int64],
    group: NDArray[np.int64],
    nearest: NDArray[np.int64],
    transition: Transition,
    least_confidence: float,
) -> Correction:
    """The correction of each row: `rated` in levels from 0, `group` and `nearest` as of a Neighbourhood.

    A suggestion replaces the rating where it is at least as probable as `least_confidence`.
    """
    levels = len(transition.prior)
    shares = level_shares(rated, group, levels)
    votes = shares[nearest].sum(axis=1)
    # A score that no neighbour could have been rated is ruled out by nobody: the lowest share is a rounding error.
    neighbours = votes @ np.log(np.maximum(transition.neighbour, 1e-12)).T
    prior = np.log(np.maximum(transition.prior, 1e-12))
    power = _power(neighbours, prior, shares, transition.rater)
    own = np.log(np.maximum(transition.rater, 1e-12)).T[rated]
    probable = _normalised(prior + power * neighbours[group] + own)
    distance = np.abs(np.arange(levels)[None, :] - rated[:, None])
    best = probable.max(axis=1)
    tied = np.isclose(probable, best[:, None], rtol=1e-9, atol=0)
    suggested = np.where(tied, distance, levels).argmin(axis=1)
    rows = np.arange(len(rated))
    confidence = probable[rows, suggested]
    return Correction(
        wrong=1 - probable[rows, rated],
        suggested=suggested,
        confidence=confidence,
        changed=(suggested != rated) & (confidence >= least_confidence),
        power=power,
    )


def _normalised(logs: Matrix) -> Matrix:
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _power(neighbours: Matrix, prior: Matrix, shares: Matrix, rater: Matrix) -> float:
    """The power of the neighbours' likelihood with which they predict the groups' own ratings best."""
    from scipy.optimize import minimize_scalar

    def surprise(power: float) -> float:
        predicted = _normalised(prior + power * neighbours) @ rater
        return -float((shares * np.log(np.maximum(predicted, 1e-12))).sum() / len(shares))

    return float(minimize_scalar(surprise, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-3}).x)
