"""The report of a curation: what the UI shows of it, and what stands beside its rows.

What belongs here: the frozen types and their JSON. What does not: how they are made (`curate.py`).
"""

from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from datashop_assets.estimate import Estimate

Numbers = tuple[float, ...]


def is_applied(gain: Estimate | None) -> bool:
    """Whether suggestions become scores: where they were tried (`trial.py`), and no loss was shown."""
    return gain is not None and gain.high >= 0


@dataclass(frozen=True)
class RaterFit:
    """How a rater errs: `transition[k][j]` is how probably a text of true class k is rated j.

    `right`: the probability that it gives a text its true class; `distance`: how many classes it is off on average;
    both over the estimated truth. `texts` are the independent ones that it rated.
    """

    rater: str
    texts: int
    transition: tuple[Numbers, ...]
    prior: Numbers
    rated: Numbers
    right: float
    distance: float
    steps: int
    converged: bool
    dominant: bool


@dataclass(frozen=True)
class Neighbour:
    """A text beside a suspicious one; `score` is the plain one."""

    document: str
    score: float
    distance: float
    text: str


@dataclass(frozen=True)
class Suspicious:
    """A row whose score is probably wrong, with the beginning of its text."""

    document: str
    score: float
    suggested: float
    wrong: float
    confidence: float
    text: str
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Report:
    """Everything that is known of a curation.

    `classes` are the names of the classes that were told apart, `levels` the lens's. `before` and `after` count rows
    by rounded score. `outdated` judgements are of documents that are gone or have another text by now. `flagged` rows
    are more probably wrong than right. `texts` are independent ones; `left_out` says of raters why they were not used,
    `fallback` why nothing was estimated. `recall` is that of an approximate neighbour search, null for an exact one,
    `twins_missed` the share of texts that stand beside a twin of theirs. `gain` is what corrected scores are worth by
    `trial.py`; suggestions are not `applied` where that is a loss beyond its interval.
    """

    lens: str
    lens_version: str
    encoder: str
    rows: int
    texts: int
    without_score: int
    outdated: int
    without_direction: int
    neighbours: int
    recall: float | None
    twins_missed: float | None
    levels: tuple[int, ...]
    classes: tuple[str, ...]
    texts_for_every_level: int
    raters: tuple[RaterFit, ...]
    left_out: dict[str, str]
    fallback: str | None
    power: float | None
    gain: Estimate | None
    prior_before: Numbers
    prior_after: Numbers
    before: tuple[int, ...]
    after: tuple[int, ...]
    flagged: int
    changed: int
    suspicious: tuple[Suspicious, ...]

    @property
    def fitted(self) -> bool:
        return self.fallback is None

    @property
    def applied(self) -> bool:
        return self.fitted and is_applied(self.gain)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a person should know before trusting the curated scores; empty where there is nothing."""
        told = [self.fallback] if self.fallback else []
        if self.fitted and self.gain is None:
            told.append("the ratings stay as they are, for the correction could not be tried: there is nothing to rank")
        elif self.fitted and not self.applied:
            told.append(
                "the ratings stay as they are, for the suggestions would do harm: heads trained on them rank held-out "
                f"ratings worse than heads trained on ratings do (Spearman {self.gain}). Near texts do not share a "
                "score here, and that looks like the rater's error"
            )
        told += [f"{rater} was left out: {why}" for rater, why in self.left_out.items()]
        for fit in self.raters:
            if not fit.converged:
                told.append(f"the estimate for {fit.rater} did not converge in {fit.steps} steps")
            if not fit.dominant:
                told.append(
                    f"{fit.rater} gives some class's texts another class more often than their own, or the estimate "
                    "has mixed classes up: look at its matrix"
                )
        return tuple(told)

    def to_json(self) -> str:
        return _adapter().dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Raises pydantic.ValidationError naming every field at fault."""
        return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)
