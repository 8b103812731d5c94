"""How a rater errs, estimated without any true score: from how neighbours' ratings agree.

What belongs here: the score transition matrix T, the prior p of true scores, and how far neighbours share a score. What
does not: finding neighbours (`neighbours.py`), correcting ratings (`correction.py`).

The assumption is that of 2-NN label clusterability (Zhu, Song and Liu, "Clusterability as an Alternative to Anchor
Points When Learning with Noisy Labels", ICML 2021, section 3): a text and two near ones mostly have one true score,
and are rated independently given that. The patterns of three ratings, whose marginals are the consensuses of first and
second order, then are a latent class model (Lazarsfeld and Henry, 1968) with the true score as its class. It is fitted
by expectation maximisation (Dempster, Laird and Rubin, 1977), which climbs the likelihood to its top instead of
matching moments, and needs no learning rate and no draws. The neighbours have an emission of their own: where they do
not share the true score, that is theirs and not the rater's error.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
MOST_STEPS = 5000
# Of the mean logarithm of the likelihood in a step: far below what another thousand rows would change.
TOLERANCE = 1e-10
# Counts that are added to T, one row's worth in all for each class: a class that has no rows keeps its own score.
PRIOR_ROWS = 1.0
# How often a rater is right before anything is known. Where EM begins decides which class is called which score, and it
# stands for a diagonal that dominates.
RIGHT_AT_FIRST = 0.7
# Every two of so many nearest make a pattern with the text. On 1,600 real texts of seven kinds, four in ten of them
# mislabelled evenly, the mean error of T's entries was .032 with two, .021 with four, .017 with six and .016 with ten
# (five draws), though the tenth is of the same kind less often than the second.
WITNESSES = 6
# Independent texts for each free parameter, below which an estimate is not worth its noise. With as many as this (270
# for four classes) and three ratings in ten wrong, the mean error of T's entries was .039 (largest .050) and every
# correction made .15 or more of the ratings right; with half as many it was .058, and one correction in twelve did
# harm (clusters that overlap, twelve draws).
LEAST_FOR_EACH = 10


class PoolTooSmallError(ValueError):
    """Too few rated texts for an estimate; the message says how many are needed."""


@dataclass(frozen=True)
class Transition:
    """`rater[k, j]`: how probably a text of true score k is rated j. `neighbour[k, j]`: how probably a near one is.

    `prior[k]`: the share of texts with true score k. `rated[j]`: that of the ratings. Scores are counted from the
    lowest of the scale. `log_likelihood` is the mean of a text's pattern.
    """

    rater: Matrix
    neighbour: Matrix
    prior: Matrix
    rated: Matrix
    texts: int
    steps: int
    converged: bool
    log_likelihood: float

    @property
    def dominant(self) -> bool:
        """Whether every score that occurs is rated as itself more often than as any other: what T rests on."""
        there = self.prior > 1 / max(1, self.texts)
        return bool((self.rater.argmax(axis=1) == np.arange(len(self.prior)))[there].all())


def least_texts(levels: int) -> int:
    """How many independent texts an estimate with so many levels that occur needs."""
    return LEAST_FOR_EACH * max(1, 2 * levels * (levels - 1) + levels - 1)


def consensus(shares: Matrix, nearest: NDArray[np.int64]) -> Matrix:
    """Patterns of a text's rating and those of two of its WITNESSES nearest, of shape [levels, levels, levels], summing
    to the number of texts.

    `shares[g, j]`: the share of the group's ratings that are j; `nearest`: of shape [groups, 2 or more]. All pairs
    count alike, and in both orders.
    """
    levels = shares.shape[1]
    pairs = list(combinations(range(min(WITNESSES, nearest.shape[1])), 2))
    patterns = np.zeros((levels * levels, levels))
    for first, second in pairs:
        own_first = (shares[:, :, None] * shares[nearest[:, first]][:, None, :]).reshape(len(shares), -1)
        patterns += own_first.T @ shares[nearest[:, second]]
    cube = patterns.reshape(levels, levels, levels) / len(pairs)
    return np.asarray((cube + cube.transpose(0, 2, 1)) / 2)


def counted_texts(patterns: Matrix) -> float:
    """How many texts the patterns are of. Rounded: a sum of many shares is a whole number but for its last digits."""
    return round(float(patterns.sum()), 6)


def fit(patterns: Matrix, *, however_few: bool = False) -> Transition:
    """T, p and the neighbours' emission that make the patterns most likely.

    Raises PoolTooSmallError naming the number of texts that the levels which occur need, unless `however_few` texts are
    asked for, of which there must be some.
    """
    levels, texts = len(patterns), counted_texts(patterns)
    rated = patterns.sum(axis=(1, 2)) / max(texts, 1)
    occurring = int((rated > 0).sum())
    needed = least_texts(occurring)
    if texts < (1 if however_few else needed):
        raise PoolTooSmallError(
            f"{texts:.0f} independent rated texts are too few to tell a rater's errors by: {occurring} levels need "
            f"{needed}. Rate more documents; until then the ratings stay as they are"
        )
    rater = np.full((levels, levels), (1 - RIGHT_AT_FIRST) / max(1, levels - 1))
    np.fill_diagonal(rater, RIGHT_AT_FIRST if levels > 1 else 1.0)
    neighbour, prior = rater.copy(), rated.copy()
    before = -np.inf
    for step in range(1, MOST_STEPS + 1):
        joint = np.einsum("k,ka,kb,kc->kabc", prior, rater, neighbour, neighbour)
        likelihood = joint.sum(axis=0)
        there = patterns > 0
        fitting = float((patterns[there] * np.log(likelihood[there])).sum() / texts)
        # What each step climbs, by the rows that `_emission` adds.
        reached = fitting + PRIOR_ROWS * float(np.log(np.diag(rater) * np.diag(neighbour)).sum()) / texts
        if reached - before < TOLERANCE:
            return Transition(rater, neighbour, prior, rated, int(texts), step, True, fitting)
        before = reached
        expected = joint * np.divide(patterns, likelihood, out=np.zeros_like(patterns), where=there)
        prior = expected.sum(axis=(1, 2, 3)) / texts
        rater = _emission(expected.sum(axis=(2, 3)))
        neighbour = _emission(expected.sum(axis=(1, 2)) + expected.sum(axis=(1, 3)))
    return Transition(rater, neighbour, prior, rated, int(texts), MOST_STEPS, False, fitting)


def _emission(expected: Matrix) -> Matrix:
    """Shares of each line, with PRIOR_ROWS of a rater that is right added."""
    counted = expected + PRIOR_ROWS * np.eye(len(expected))
    return np.asarray(counted / counted.sum(axis=1, keepdims=True))
