"""Drift as rows for people.

What belongs here: which figures are shown, and what they are called. What does not: making them.
"""

from collections.abc import Sequence
from statistics import median

import polars as pl

from datashop_assets.drift.failures import FailureDrift
from datashop_assets.drift.languages import LanguageDrift
from datashop_assets.drift.scores import ScoreDrift
from datashop_assets.drift_settings import DriftSettings


def score_rows(drifts: Sequence[ScoreDrift], settings: DriftSettings) -> list[dict[str, object]]:
    """One row a lens. `reference shards` says how far shards of the reference are from it, in the middle and at most:
    a new crawl of a few shards that is as far as they are need not be another crawl."""
    rows = []
    for drift in drifts:
        apart = drift.by_shard.filter(pl.col("part") == "reference")["index"].to_list()
        rows.append(
            {
                "lens": drift.lens,
                "stability index": drift.shift.index,
                "by chance up to": drift.shift.chance,
                "drifted": drift.shift.exceeds(settings.most_stability_index),
                "largest difference in a share": drift.distance,
                "new documents": drift.shift.new,
                "new shards": f"{len(drift.crawl.new)} of {drift.crawl.all_new}",
                "reference documents": drift.shift.reference,
                "reference shards": f"{len(drift.crawl.reference)} of {drift.crawl.all_reference}",
                "index of a reference shard": f"median {median(apart):.3f}, at most {max(apart):.3f}",
            }
        )
    return rows


def language_row(drift: LanguageDrift) -> dict[str, object]:
    """The comparison of the samples."""
    return {
        "stability index": drift.shift.index,
        "by chance up to": drift.shift.chance,
        "Jensen-Shannon divergence": drift.shift.divergence,
        "new documents": drift.shift.new,
        "new shards": f"{len(drift.crawl.new)} of {drift.crawl.all_new}",
        "reference documents": drift.shift.reference,
        "reference shards": f"{len(drift.crawl.reference)} of {drift.crawl.all_reference}",
    }


def failure_rows(drifts: Sequence[FailureDrift]) -> list[dict[str, object]]:
    """One row a lens and rater."""
    return [
        {
            "lens": drift.lens,
            "rater": drift.rater,
            "failed until training": f"{drift.before[0]} of {drift.before[1]}",
            "failed since": f"{drift.since[0]} of {drift.since[1]}",
            "increase": str(drift.increase),
            "reasons since": ", ".join(f"{n} {reason}" for reason, n in drift.reasons.items()),
        }
        for drift in drifts
    ]
