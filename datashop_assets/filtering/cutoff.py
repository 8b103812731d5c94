"""The cut-off of a lens: which scores are kept, decided over all scored documents and recorded once and for all.

What belongs here: making a cut-off record from scores and a policy, the reason codes, and the one predicate that
compares a score with a record. What does not: applying it to a shard (`filter.py`), reading scores (`assets.py`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.filter_settings import KeepFraction, Threshold
from datashop_assets.lineage import content_id
from datashop_assets.records import CUTOFFS

Policy = KeepFraction | Threshold


class CutoffError(ValueError):
    """A cut-off that cannot be decided; the message says for which lens and what to do first."""


class Reason(StrEnum):
    """Why a document is kept or dropped: one code for every document, in the `reason` column.

    KEPT: its score is where the cut-off keeps. BELOW_LOWER, ABOVE_UPPER: outside the bounds.
    INSIDE_EXCLUDED_RANGE: inside the bounds of a reversed cut-off. UNSCORED: the score is missing or not a finite
    number. ANNOTATION_POOL_ONLY: its whole shard serves training labels alone, whatever the score.
    """

    KEPT = "kept"
    BELOW_LOWER = "below_lower"
    ABOVE_UPPER = "above_upper"
    INSIDE_EXCLUDED_RANGE = "inside_excluded_range"
    UNSCORED = "unscored"
    ANNOTATION_POOL_ONLY = "annotation_pool_only"


@dataclass(frozen=True)
class CutoffRecord:
    """One row of `records.CUTOFFS`, never changed once written.

    The bounds are float32 values held as floats: a score compares with them alike in single and in double precision,
    so that "at least 0.7" keeps the score 0.7. `kept_share` and `documents` (those with a score) are as of the day it
    was made, over `shards`.
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

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "CutoffRecord":
        """The record out of a row of the cutoffs table."""
        return cls(**{name: row[name] for name in CUTOFFS.columns if name != "shards"}, shards=tuple(row["shards"]))

    def to_row(self) -> dict[str, Any]:
        """One row of the cutoffs table."""
        return asdict(self) | {"shards": list(self.shards)}


@dataclass(frozen=True)
class Decision:
    """The record in force, whether it was made now, why, and what it does to today's scores.

    `kept_share` is the share of the `documents` with a score that the record keeps; `unscored` rows have none.
    """

    record: CutoffRecord
    is_new: bool
    why: str
    kept_share: float
    documents: int
    unscored: int


def reason_of(lower: float | None, upper: float | None, reverse: bool, score: str = "score") -> pl.Expr:
    """The reason code of each row, from its float32 score."""
    value = pl.col(score)
    scored = value.is_finite().fill_null(False)
    below = pl.lit(False) if lower is None else value < pl.lit(lower, pl.Float32)
    above = pl.lit(False) if upper is None else value > pl.lit(upper, pl.Float32)
    kept = pl.lit(Reason.KEPT.value)
    unless_unscored = pl.when(~scored).then(pl.lit(Reason.UNSCORED.value))
    if reverse:
        return unless_unscored.when(below | above).then(kept).otherwise(pl.lit(Reason.INSIDE_EXCLUDED_RANGE.value))
    return (
        unless_unscored.when(below)
        .then(pl.lit(Reason.BELOW_LOWER.value))
        .when(above)
        .then(pl.lit(Reason.ABOVE_UPPER.value))
        .otherwise(kept)
    )


def policy_text(policy: Policy) -> str:
    """The policy as a record keeps it: JSON of what decides the bounds, so not the tolerance."""
    return json.dumps(policy.model_dump(mode="json", exclude={"tolerance"}), sort_keys=True)


def decide(
    scores: pl.DataFrame,
    policy: Policy,
    lens_name: str,
    classifier: str,
    previous: CutoffRecord | None,
    *,
    now: datetime | None = None,
) -> Decision:
    """The cut-off of a lens over `scores` [shard, score float32]: all rows that `classifier` has scored.

    A keep-fraction keeps the k = max(1, round(share x documents)) best scores, by the exact k-th largest; what ties
    with it is kept as well, so that the realised share can be above the one asked for, and is reported. A record is
    made only on a new classifier, on a changed policy, or when the previous record keeps a share of today's scores
    that is off by more than the policy's tolerance and another bound would mend it; else `previous` stands.
    Raises CutoffError where no document has a score.
    """
    scored = scores.filter(pl.col("score").is_finite())
    unscored = scores.height - scored.height
    if scored.is_empty():
        raise CutoffError(
            f"lens {lens_name!r}: none of {scores.height} documents has a score by classifier {classifier!r}, so there "
            "is nothing to cut; materialize scores for some shards first"
        )
    asked = policy_text(policy)

    def decision(record: CutoffRecord, is_new: bool, why: str, kept: float) -> Decision:
        return Decision(record, is_new, why, kept, scored.height, unscored)

    if previous is None:
        why = "the lens had no cut-off"
    elif previous.classifier != classifier:
        why = f"the classifier is {classifier}, the cut-off was made for {previous.classifier}"
    elif previous.policy != asked:
        why = f"the policy is {asked}, was {previous.policy}"
    else:
        share = _kept_share(scored, previous.lower, previous.upper, previous.reverse)
        if isinstance(policy, Threshold):
            return decision(previous, False, "unchanged: same classifier and bounds", share)
        off = abs(share - policy.keep_fraction)
        about = f"it keeps {share:.4f} of {scored.height} documents where {policy.keep_fraction} is asked"
        if off <= policy.tolerance:
            return decision(previous, False, f"unchanged: {about}, within {policy.tolerance}", share)
        if _bounds(scored, policy)[0] == previous.lower:
            return decision(previous, False, f"unchanged: {about}, but equal scores leave no better bound", share)
        why = about
    lower, upper, reverse = _bounds(scored, policy)
    kept_share = _kept_share(scored, lower, upper, reverse)
    shards = tuple(scores["shard"].unique().sort())
    record = CutoffRecord(
        lens=lens_name,
        cutoff=content_id("cutoff", lens_name, classifier, asked, lower, upper, reverse, shards),
        classifier=classifier,
        policy=asked,
        lower=lower,
        upper=upper,
        reverse=reverse,
        kept_share=kept_share,
        documents=scored.height,
        shards=shards,
        created_at=now or datetime.now(UTC),
    )
    return decision(record, True, f"new: {why}", kept_share)


def _bounds(scored: pl.DataFrame, policy: Policy) -> tuple[float | None, float | None, bool]:
    if isinstance(policy, Threshold):
        return _single(policy.lower), _single(policy.upper), policy.reverse
    wanted = max(1, round(policy.keep_fraction * scored.height))
    return float(scored["score"].cast(pl.Float32).top_k(wanted).min()), None, False  # type: ignore[arg-type]


def _single(bound: float | None) -> float | None:
    return None if bound is None else float(np.float32(bound))


def _kept_share(scored: pl.DataFrame, lower: float | None, upper: float | None, reverse: bool) -> float:
    reasons = scored.select(reason_of(lower, upper, reverse).alias("reason"))["reason"]
    return int((reasons == Reason.KEPT.value).sum()) / scored.height
