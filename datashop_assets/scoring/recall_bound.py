"""How low a cheap score may be skipped, so that a share of the good documents is promised to pass. Pure.

What belongs here: the order statistic and its exact bound. What does not: the cheap score (`first_stage.py`).

The number of good documents below the k-th smallest of n drawn ones does not depend on their distribution: "at most
1 - recall of all good ones lie below it" holds with the probability that a binomial of n draws at 1 - recall has k or
more below (Wilks 1941, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical Statistics
12; the bound of Clopper and Pearson 1934 read the other way round).
"""

import math

import numpy as np
from numpy.typing import NDArray


def least_positives(recall: float, confidence: float) -> int:
    """How many good documents a promise needs, with none of them below: 299 for 99 % at 95 % confidence."""
    return math.ceil(math.log(1 - confidence) / math.log(recall))


def allowed_misses(positives: int, recall: float, confidence: float) -> int | None:
    """How many of so many good documents may lie below the threshold; None where they are too few to promise it."""
    from scipy.stats import binom

    if positives < least_positives(recall, confidence):
        return None
    # The largest k with P(Binomial(n, 1 - recall) <= k) <= 1 - confidence.
    quantile = int(binom.ppf(1 - confidence, positives, 1 - recall))
    return quantile if binom.cdf(quantile, positives, 1 - recall) <= 1 - confidence else quantile - 1


def pass_threshold(estimates: NDArray[np.float64], recall: float, confidence: float) -> float | None:
    """The largest threshold below which at most 1 - `recall` of good documents lie, at this confidence.

    `estimates` are the cheap scores of good documents that the cheap stage has not learnt from; a document passes at or
    above the threshold. None where there are too few of them.
    """
    misses = allowed_misses(len(estimates), recall, confidence)
    return None if misses is None else float(np.sort(estimates)[misses])


def recall_interval(passed: int, positives: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a recall (Clopper and Pearson 1934). Raises ValueError without positives."""
    from scipy.stats import beta

    if positives < 1:
        raise ValueError("the recall of no documents is not known")
    tail = (1 - confidence) / 2
    low = 0.0 if passed == 0 else float(beta.ppf(tail, passed, positives - passed + 1))
    high = 1.0 if passed == positives else float(beta.ppf(1 - tail, passed + 1, positives - passed))
    return low, high
