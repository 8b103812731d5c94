"""Do ratings fail more often than when the classifier in force was trained?

What belongs here: counting failed ratings before and since, and comparing. What does not: rating.
"""

from dataclasses import dataclass

import polars as pl

from datashop_assets.classifier.registry import promoted, trained
from datashop_assets.drift.measures import increase
from datashop_assets.estimate import Estimate
from datashop_assets.rating.annotate import FAILED, LEFT_OUT
from datashop_assets.rating.lens import Lens
from datashop_assets.records import ANNOTATIONS
from datashop_assets.seams import Lake


@dataclass(frozen=True)
class FailureDrift:
    """A rater's failed ratings through a lens: (failed, judged) until the classifier in force was trained, and since.
    `reasons` are the failure codes since, with their counts."""

    lens: str
    rater: str
    before: tuple[int, int]
    since: tuple[int, int]
    increase: Estimate
    reasons: dict[str, int]


def failure_drift(lake: Lake, lens: Lens) -> list[FailureDrift]:
    """One for each rater that judged on both sides; none where no classifier is in force. Documents that were skipped,
    because there was nothing to judge, count on neither side."""
    promotion = promoted(lake, lens.name)
    records = {record.classifier: record for record in trained(lake, lens.name)}
    if promotion is None or promotion.classifier not in records:
        return []
    new = pl.col("rated_at") > records[promotion.classifier].trained_at
    rows = lake.scan(ANNOTATIONS.of(lens.name)).filter(
        pl.col("lens_version") == lens.version, ~LEFT_OUT.fill_null(False)
    )
    counts = rows.group_by("rater", new.alias("new")).agg(pl.len().alias("judged"), FAILED.sum().alias("failed"))
    sides = {(rater, side): (int(failed), int(n)) for rater, side, n, failed in counts.collect().iter_rows()}
    codes = rows.filter(FAILED, new).group_by("rater", "reason").len().sort("len", descending=True).collect()
    found = []
    for rater in sorted(rater for rater, side in sides if side and (rater, False) in sides):
        before, since = sides[rater, False], sides[rater, True]
        reasons = dict(codes.filter(pl.col("rater") == rater).select("reason", "len").iter_rows())
        found.append(FailureDrift(lens.name, rater, before, since, increase(before, since), reasons))
    return found
