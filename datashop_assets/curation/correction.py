"""What each rating most probably should have been.

What belongs here: the probabilities of a text's true class, the suggestion, how sure it is, and what is changed. What
does not: a rater's errors (`transition.py`), neighbours (`neighbours.py`), which scores make a class (`classes.py`).

By Bayes' rule from the prior p, each rater's T with its rating of the text, and each rater's neighbour emission with
its ratings of the neighbours. With one rater this is a vote that knows how the rater errs; with several it is their
fusion by the model of Dawid and Skene ("Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm",
Applied Statistics 1979), whose error rates are told by neighbours and so need no third rater. Ten neighbours are not
ten independent witnesses, so what they say together is raised to a power between 0 and 1: the one with which the
neighbours alone, without the text's own ratings, predict those best (a tempered likelihood, as in Grünwald and van
Ommen, "Inconsistency of Bayesian Inference for Misspecified Linear Models", Bayesian Analysis 2017, chosen by
prediction). Nothing is drawn, so that neither the size of the pool nor the order of its rows decides anything but the
precision of T.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.curation.transition import Matrix, Transition

Ratings = NDArray[np.int64]
NOT_RATED = -1
# A class that no neighbour could have been rated is ruled out by nobody: lower shares are rounding errors.
LOWEST_SHARE = 1e-12


@dataclass(frozen=True)
class Correction:
    """Of each row, in classes from 0.

    `rated`: by the first of the raters that rated the row, NOT_RATED where none did. `wrong`: the probability that
    this is not the true class, nan without a rating. `suggested`: the most probable class, on a tie the rating, else
    the one nearest to it. `confidence`: its probability. `changed`: whether it differs from the rating and is sure
    enough; never without a rating. `power` is that of the neighbours' likelihood, `prior` the share of each class in
    the truth.
    """

    rated: Ratings
    wrong: Matrix
    suggested: Ratings
    confidence: Matrix
    changed: NDArray[np.bool_]
    power: float
    prior: Matrix

    @property
    def curated(self) -> Ratings:
        """The ratings, with what is changed replaced by the suggestion."""
        return np.where(self.changed, self.suggested, self.rated)


def class_shares(rated: Ratings, group: NDArray[np.int64], classes: int) -> Matrix:
    """Of each group the share of its rated rows with each class: twins have one vote together. Shape [groups, classes];
    zeros for a group without a rated row."""
    counts = np.zeros((int(group.max()) + 1, classes))
    there = rated != NOT_RATED
    np.add.at(counts, (group[there], rated[there]), 1.0)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def first_rating(ratings: Sequence[Ratings]) -> Ratings:
    """Of each row the first rating that there is."""
    first = ratings[0].copy()
    for other in ratings[1:]:
        first = np.where(first == NOT_RATED, other, first)
    return first


def correct(
    ratings: Sequence[Ratings],
    group: NDArray[np.int64],
    nearest: NDArray[np.int64],
    transitions: Sequence[Transition],
    least_confidence: float,
) -> Correction:
    """The correction of each row: `ratings` in classes from 0 or NOT_RATED, one array a rater, `transitions` in the
    same order, `group` and `nearest` as of a Neighbourhood.

    A suggestion replaces the rating where it is at least as probable as `least_confidence`; with 1, nowhere.
    """
    rated = first_rating(ratings)
    texts = np.array([transition.texts for transition in transitions], np.float64)
    truth = np.average([transition.prior for transition in transitions], axis=0, weights=texts)
    prior = _log(truth)
    classes = len(prior)
    shares = [class_shares(each, group, classes) for each in ratings]
    neighbours = np.zeros((len(nearest), classes))
    own = np.zeros((len(rated), classes))
    for given, share, transition in zip(ratings, shares, transitions, strict=True):
        neighbours += share[nearest].sum(axis=1) @ _log(transition.neighbour).T
        own += np.where((given != NOT_RATED)[:, None], _log(transition.rater).T[given], 0)
    power = _power(neighbours, prior, shares, transitions)
    probable = _normalised(prior + power * neighbours[group] + own)
    distance = np.abs(np.arange(classes)[None, :] - rated[:, None])
    best = probable.max(axis=1)
    tied = np.isclose(probable, best[:, None], rtol=1e-9, atol=0)
    suggested = np.where(tied, distance, classes).argmin(axis=1)
    rows = np.arange(len(rated))
    confidence = probable[rows, suggested]
    return Correction(
        rated=rated,
        wrong=np.where(rated == NOT_RATED, np.nan, 1 - probable[rows, rated]),
        suggested=suggested,
        confidence=confidence,
        changed=(suggested != rated) & (rated != NOT_RATED) & (confidence >= least_confidence) & (least_confidence < 1),
        power=power,
        prior=truth,
    )


def _log(shares: Matrix) -> Matrix:
    return np.asarray(np.log(np.maximum(shares, LOWEST_SHARE)))


def _normalised(logs: Matrix) -> Matrix:
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _power(neighbours: Matrix, prior: Matrix, shares: Sequence[Matrix], transitions: Sequence[Transition]) -> float:
    """The power of the neighbours' likelihood with which they predict the groups' own ratings best."""
    from scipy.optimize import minimize_scalar

    def surprise(power: float) -> float:
        true = _normalised(prior + power * neighbours)
        pairs = zip(shares, transitions, strict=True)
        return -sum(float((share * _log(true @ transition.rater)).sum()) for share, transition in pairs) / len(true)

    return float(minimize_scalar(surprise, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-3}).x)
