"""The cut-off of a lens: the record of which scores are kept, made once and never changed, and the reason codes.

What belongs here: records and their bounds. What does not: deciding one (`decide.py`), applying it to a shard
(`filter.py`).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.records import CUTOFFS
from datashop_assets.scoring.sketch import ScoreSketch


class Reason(StrEnum):
    """Why a document is kept or dropped: one code for every document, in the `reason` column. Beside these there are
    the reasons of `deduplication.tables.Rejection`.

    KEPT: its score is where the cut-off keeps. BELOW_LOWER, ABOVE_UPPER: outside the bounds.
    INSIDE_EXCLUDED_RANGE: inside the bounds of a reversed cut-off. NOT_DRAWN: others were drawn. UNSCORED: a score that
    the filter asks about is missing or not a finite number. CONDITION: the condition is not true of it.
    NOT_IN_POPULATION: the lens that gives the population does not keep it. ANNOTATION_POOL_ONLY: its whole shard serves
    training labels alone, whatever the score.
    """

    KEPT = "kept"
    BELOW_LOWER = "below_lower"
    ABOVE_UPPER = "above_upper"
    INSIDE_EXCLUDED_RANGE = "inside_excluded_range"
    NOT_DRAWN = "not_drawn"
    UNSCORED = "unscored"
    CONDITION = "condition"
    NOT_IN_POPULATION = "not_in_population"
    ANNOTATION_POOL_ONLY = "annotation_pool_only"


@dataclass(frozen=True)
class CutoffRecord:
    """One row of `records.CUTOFFS`, never changed once written.

    The bounds are float32 values held as floats: a score compares with them alike in single and in double precision,
    so that "at least 0.7" keeps the score 0.7. `kept_share` and `documents` (those with a score) are as of the day it
    was made, over `shards`; the share is known to within `share_error`. With quotas, `lower_by_source` has the bound of
    each source (infinite: nothing is kept of it) instead of `lower`.
    """

    lens: str
    cutoff: str
    classifier: str
    policy: str
    lower: float | None
    upper: float | None
    reverse: bool
    kept_share: float
    documents: int
    shards: tuple[str, ...]
    created_at: datetime
    share_error: float = 0.0
    lower_by_source: Mapping[str, float] = field(default_factory=dict)

    @property
    def ranking(self) -> Ranking:
        """What its bounds are asked of."""
        return Ranking(self.lens, self.classifier, Rule.from_text(self.policy))

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "CutoffRecord":
        """The record out of a row of the cutoffs table; rows of before there was a column say nothing of it."""
        later = {
            "shards": tuple(row["shards"]),
            "share_error": row["share_error"] or 0.0,
            "lower_by_source": {each["source"]: each["lower"] for each in row["lower_by_source"] or ()},
        }
        return cls(**{name: row[name] for name in CUTOFFS.columns} | later)

    def to_row(self) -> dict[str, Any]:
        """One row of the cutoffs table."""
        bounds = [{"source": source, "lower": lower} for source, lower in self.lower_by_source.items()]
        return asdict(self) | {"shards": list(self.shards), "lower_by_source": bounds}


@dataclass(frozen=True)
class Bounds:
    """What is kept of one group: scores in [lower, upper] or, reversed, those outside."""

    lower: float | None
    upper: float | None = None
    reverse: bool = False

    def kept(self, ranked: ScoreSketch) -> int:
        """How many of the scores are kept, to within `error`."""
        below = 0 if self.lower is None else ranked.below(self.lower)
        above = 0 if self.upper is None else ranked.above(self.upper)
        return below + above if self.reverse else ranked.n - below - above

    def error(self, ranked: ScoreSketch) -> int:
        """Each bound is known to within the summary's error."""
        return ranked.uncertain * ((self.lower is not None) + (self.upper is not None))


def bounds_of(record: CutoffRecord, group: str) -> Bounds:
    """What the record keeps of a group; nothing of one that it has no bound for."""
    lower = record.lower_by_source.get(group, math.inf) if record.lower_by_source else record.lower
    return Bounds(lower, record.upper, record.reverse)
