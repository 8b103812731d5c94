"""Filtered documents: every document of a shard with the verdict of a cut-off, and the reason.

What belongs here: applying a cut-off record to scores, and counting reasons. What does not: deciding the cut-off and
the reason codes (`cutoff.py`), the version of a filtered cell (`lineage.py`), copying text (`release.py`).
"""

import polars as pl

from datashop_assets.filtering.cutoff import CutoffRecord, Reason, reason_of


def apply(scores: pl.DataFrame, cutoff: CutoffRecord, pool_only: bool) -> pl.DataFrame:
    """One row [id, kept, reason] for each row of `scores` [id, score float32], in the same order.

    No row is left out, so that a shard where nothing is kept still counts as filtered. `reason` is a
    `cutoff.Reason`; `kept` is true where it is `kept`, and nowhere in a shard that is annotation pool only.
    """
    reason = (
        pl.lit(Reason.ANNOTATION_POOL_ONLY.value)
        if pool_only
        else reason_of(cutoff.lower, cutoff.upper, cutoff.reverse)
    )
    return scores.select("id", reason=reason).select("id", kept=pl.col("reason") == Reason.KEPT.value, reason="reason")


def reason_counts(filtered: pl.DataFrame) -> dict[str, int]:
    """Documents by reason code, every code named, in the order of `cutoff.Reason`."""
    counted = dict(filtered["reason"].value_counts().iter_rows())
    return {reason.value: counted.get(reason.value, 0) for reason in Reason}
