"""Shares and means of rated documents with their 95 % intervals.

What belongs here: the two intervals that reports on ratings show. What does not: which rows are counted (`labels.py`,
`summary.py`). Both hold for documents drawn at random from what the figure speaks of.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev

from datashop_assets.estimate import Estimate

LEVEL = 0.95


def share(count: int, n: int) -> Estimate:
    """The share `count / n` with Wilson's score interval (E. B. Wilson, JASA 22, 1927), which holds for few and for no
    successes. Raises ValueError where n is 0: there is no share of nothing."""
    if not 0 <= count <= n or n == 0:
        raise ValueError(f"{count} of {n} is no share")
    from scipy.stats import binomtest

    interval = binomtest(count, n).proportion_ci(LEVEL, method="wilson")
    return Estimate(count / n, float(interval.low), float(interval.high), n)


def mean_interval(scores: Sequence[float], low: float, high: float) -> tuple[float, float | None, float | None]:
    """The mean of at least one score on a scale from `low` to `high`, and the bounds of Student's t interval, cut to
    the scale. The bounds are null where all scores are equal: they show no spread to estimate an error from."""
    middle = fmean(scores)
    if len(scores) < 2 or min(scores) == max(scores):
        return middle, None, None
    from scipy.stats import t

    reach = float(t.ppf((1 + LEVEL) / 2, len(scores) - 1)) * stdev(scores) / sqrt(len(scores))
    return middle, max(low, middle - reach), min(high, middle + reach)
