"""Documents that a cut-off keeps and drops, side by side: the last on either side of it, and the far ends.

What belongs here: choosing and reading a few of them. What does not: the cut-off itself (`cutoff.py`), counts
(`overview.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from datashop_assets.example_texts import EXAMPLES, beginnings
from datashop_assets.filtering.candidates import candidates
from datashop_assets.filtering.cutoff import CutoffRecord, Reason, bounds_of
from datashop_assets.filtering.filter import reason_of
from datashop_assets.project import Project
from datashop_assets.seams import Lake

# Shards that examples are taken from, spread over the crawl: their scores are read, and the texts that are shown.
EXAMPLE_SHARDS = 8


@dataclass(frozen=True)
class Examples:
    """Two frames of at most EXAMPLES rows [score, kept, score of the dropped, dropped]: texts `around` the cut-off,
    those nearest to it first, and at the `ends`, those farthest from it first."""

    around: pl.DataFrame
    ends: pl.DataFrame


def kept_and_dropped(lake: Lake, record: CutoffRecord, project: Project, shards: Sequence[str]) -> Examples:
    """Examples of what the record keeps and of what it drops by score, out of a few of the shards."""
    ranked = ranked_documents(lake, record, project, spread(shards, EXAMPLE_SHARDS))
    sides = [ranked.filter(kept) for kept in (pl.col("kept"), ~pl.col("kept"))]
    around = [side.sort("distance", "id").head(EXAMPLES) for side in sides]
    ends = [side.sort("distance", "id", descending=[True, False]).head(EXAMPLES) for side in sides]
    texts = beginnings(lake, pl.concat([*around, *ends]).select("shard", "id").unique())
    return Examples(_side_by_side(around, texts), _side_by_side(ends, texts))


def ranked_documents(lake: Lake, record: CutoffRecord, project: Project, shards: Sequence[str]) -> pl.DataFrame:
    """Each ranked document of the shards: [shard, id, key, kept, distance]; `distance` from the nearest finite bound
    of its source, null where its source has none."""
    found = candidates(lake, record.ranking, project, shards)
    rows = pl.concat([frame.with_columns(shard=pl.lit(shard)) for shard, frame in found.items()]).drop_nulls("key")
    groups = [
        group.with_columns(distance=_distance(record, str(source))) for (source,), group in rows.group_by("source")
    ]
    judged = pl.concat(groups) if groups else rows.with_columns(distance=pl.lit(None, pl.Float32))
    return judged.select("shard", "id", "key", "distance", kept=reason_of(record) == Reason.KEPT.value)


def spread(items: Sequence[str], count: int) -> list[str]:
    """At most `count` of the items, equally far from each other, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(place * (len(items) - 1) / (count - 1))] for place in range(count)]


def _distance(record: CutoffRecord, source: str) -> pl.Expr:
    bounds = bounds_of(record, source)
    distances = [(pl.col("key") - bound).abs() for bound in (bounds.lower, bounds.upper) if bound is not None]
    nearest = pl.min_horizontal(distances) if distances else pl.lit(None, pl.Float64)
    return pl.when(nearest.is_finite()).then(nearest).cast(pl.Float32)


def _side_by_side(sides: Sequence[pl.DataFrame], texts: pl.DataFrame) -> pl.DataFrame:
    """The kept at the left, the dropped at the right; where there are fewer of one, its places are empty."""
    parts = []
    for side, names in zip(sides, (("score", "kept"), ("score ", "dropped")), strict=True):
        shown = side.join(texts, on=["shard", "id"], how="left", maintain_order="left")
        score = pl.col("key").round(3).cast(pl.String)
        parts.append(shown.select(score.alias(names[0]), pl.col("text").alias(names[1])))
    return pl.concat(parts, how="horizontal_extend").with_columns(pl.all().fill_null(""))
