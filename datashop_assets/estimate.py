"""A measured figure with its interval, and how it reads.

What belongs here: the one type that every report speaks in. What does not: how an interval is made (`estimates.py` of
the rating stage, `metrics.py` of the classifier, `intervals.py` of the evaluation).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A measured figure with the bounds of its 95 % interval and the number of rows behind it.

    Bounds that are equal say that the rows do not tell how sure the figure is: it was the same on every resample.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def interval(self) -> str:
        """For people: `0.535 to 0.808`, or `not known` where the rows give none."""
        return "not known" if self.low == self.high else f"{self.low:.3f} to {self.high:.3f}"

    def __str__(self) -> str:
        bounds = "[interval not known]" if self.low == self.high else f"[{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f} {bounds} (n={self.n})"
