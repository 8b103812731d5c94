"""Filtered documents: every document of a shard with the verdict of a cut-off, and the reason.

What belongs here: applying a cut-off record to a shard's candidates, and counting reasons. What does not: deciding the
cut-off (`decide.py`), reading candidates (`candidates.py`), the version of a filtered cell (`state.py`), copying text
(`release.py`).
"""

import math

import polars as pl

from datashop_assets.filtering.cutoff import CutoffRecord, Reason


def apply(candidates: pl.DataFrame, cutoff: CutoffRecord, pool_only: bool) -> pl.DataFrame:
    """One row [id, kept, reason, detail] for each row of `candidates` [id, source, key float32, reason, detail], in the
    same order.

    No row is left out, so that a shard where nothing is kept still counts as filtered. `reason` is a `cutoff.Reason`,
    or the one that the candidate came with; `kept` is true where it is `kept`, and nowhere in a shard that is
    annotation pool only.
    """
    if pool_only:
        nothing = {"reason": pl.lit(Reason.ANNOTATION_POOL_ONLY.value), "detail": pl.lit(None, pl.String)}
        rows = candidates.select("id", **nothing)
    else:
        rows = candidates.select("id", reason=pl.coalesce("reason", reason_of(cutoff)), detail="detail")
    return rows.select("id", kept=pl.col("reason") == Reason.KEPT.value, reason="reason", detail="detail")


def reason_of(cutoff: CutoffRecord) -> pl.Expr:
    """The reason code of each row that is ranked, from its float32 `key` and its `source`."""
    key = pl.col("key")
    if cutoff.lower_by_source:
        sources, bounds = list(cutoff.lower_by_source), list(cutoff.lower_by_source.values())
        lower = pl.col("source").replace_strict(sources, bounds, default=math.inf, return_dtype=pl.Float32)
        below = key < lower
    else:
        below = pl.lit(False) if cutoff.lower is None else key < pl.lit(cutoff.lower, pl.Float32)
    above = pl.lit(False) if cutoff.upper is None else key > pl.lit(cutoff.upper, pl.Float32)
    kept = pl.lit(Reason.KEPT.value)
    if cutoff.reverse:
        return pl.when(below | above).then(kept).otherwise(pl.lit(Reason.INSIDE_EXCLUDED_RANGE.value))
    drawn = cutoff.ranking.rule.draw is not None
    lost = Reason.NOT_DRAWN if drawn else Reason.BELOW_LOWER
    return pl.when(below).then(pl.lit(lost.value)).when(above).then(pl.lit(Reason.ABOVE_UPPER.value)).otherwise(kept)


def reason_counts(filtered: pl.DataFrame) -> dict[str, int]:
    """Documents by reason code: every code of `cutoff.Reason`, in its order, and then the others that there are."""
    counted = dict(filtered["reason"].value_counts(sort=True).iter_rows())
    return {reason.value: counted.pop(reason.value, 0) for reason in Reason} | counted
