"""What the ratings of the lenses look like: the figures behind the checks.

What belongs here: counts over the `annotations` tables. What does not: rating (`annotate.py`).
"""

from collections.abc import Collection, Mapping
from datetime import datetime

import polars as pl

from datashop_assets.cellwork import Target
from datashop_assets.rating.annotate import FAILED, LEFT_OUT
from datashop_assets.rating.lens import Lens
from datashop_assets.records import ANNOTATIONS
from datashop_assets.seams import Lake

# How the version of a cell begins that was committed before all of its sample was rated: never the wanted one, so that
# the cell stays stale.
PARTIAL = "partial-"


def rating_quality(lake: Lake, lenses: Collection[Lens]) -> pl.DataFrame:
    """One row a lens (as it is now) and rater: judgements, failures, their share and reasons, the scores' mean.

    Documents that were `skipped`, because there was nothing to judge, are no failures, and the share is of the others.
    """
    skipped = LEFT_OUT.sum()
    return pl.concat(
        [
            lake.scan(ANNOTATIONS.of(lens.name))
            .filter(pl.col("lens_version") == lens.version)
            .group_by("rater")
            .agg(
                pl.len().alias("judgements"),
                skipped.alias("skipped"),
                FAILED.sum().alias("failed"),
                (FAILED.sum() / pl.max_horizontal(pl.len() - skipped, 1)).alias("failed share"),
                pl.col("reason").filter(FAILED).unique().sort().str.join(", ").alias("reasons"),
                pl.col("score").mean().alias("mean score"),
                pl.col("score").drop_nulls().n_unique().alias("distinct scores"),
            )
            .select(pl.lit(lens.name).alias("lens"), pl.all())
            .sort("rater")
            .collect()
            for lens in lenses
        ]
    )


def with_limits(quality: pl.DataFrame, limits: Mapping[str, float]) -> pl.DataFrame:
    """`rating_quality` with the failed share that each lens allows, `may fail`, and whether it is `exceeded`."""
    allowed = pl.col("lens").replace_strict(limits, return_dtype=pl.Float64)
    return quality.with_columns(allowed.alias("may fail"), (pl.col("failed share") > allowed).alias("exceeded"))


def in_force(quality: pl.DataFrame, raters: Mapping[str, Collection[str]]) -> pl.DataFrame:
    """`rating_quality` with `in force`: whether the rater's id is among those that its lens names now.

    A rater that was tried once, or was replaced, is shown and condemns nothing: nobody trains on its judgements.
    """
    now = [rater in raters.get(lens, ()) for lens, rater in quality.select("lens", "rater").iter_rows()]
    return quality.with_columns(pl.Series("in force", now, pl.Boolean))


def cut_short(lake: Lake, lenses: Collection[Lens]) -> pl.DataFrame:
    """Lens, shard, rater and rows of every cell that a budget's end left half rated; no rows are scanned."""
    return pl.concat(
        [
            lake.cells(ANNOTATIONS.of(lens.name))
            .filter(pl.col("version").str.starts_with(PARTIAL))
            .select(pl.lit(lens.name).alias("lens"), "shard", "rater", "rows")
            for lens in lenses
        ]
    )


def failed_shards(lake: Lake, lens: Lens, rater: str, before: datetime) -> dict[str, datetime]:
    """The shards in which judgements by the rater through the lens as it is now failed before that moment, each with
    the time of its oldest failure."""
    rows = lake.scan(ANNOTATIONS.of(lens.name), {"rater": [rater]}).filter(
        pl.col("lens_version") == lens.version, FAILED, pl.col("rated_at") < before
    )
    return dict(rows.group_by("shard").agg(pl.col("rated_at").min()).collect().iter_rows())


def labelled(lake: Lake, lens: Lens, rater: str, shards: Collection[str] | None = None) -> pl.DataFrame:
    """The judgements to train on: shard, id, text_sha, score, by one rater through the lens as it is now, of
    `shards` (None: of all).

    Failed judgements (null scores) are included, so that whoever trains can count them.
    """
    return (
        lake.scan(ANNOTATIONS.of(lens.name), {"rater": [rater]} | ({} if shards is None else {"shard": shards}))
        .filter(pl.col("lens_version") == lens.version)
        .select("shard", "id", "text_sha", "score")
        .sort("shard", "id")
        .collect()
    )


def annotations_target(lens: str, rater: str) -> Target:
    """Where a rater's annotations through a lens stand."""
    return Target(ANNOTATIONS.of(lens), lambda cell: {"shard": cell.shard, "rater": rater})


def annotation_versions(lake: Lake, lens: str, rater: str) -> dict[str, str]:
    """Shard -> version of the rater's annotations there: the identity of the labels."""
    cells = lake.cells(ANNOTATIONS.of(lens)).filter(pl.col("rater") == rater, pl.col("version").is_not_null())
    return dict(cells.select("shard", "version").iter_rows())
