"""How complete each stage's tables are, counted from file statistics: the figures behind the checks.

What belongs here: counts of documents, quarantined rows, unreadable shards and covered cells. What does not:
thresholds (each stage's `checks.py`).
"""

import polars as pl

from datashop_assets.corpus.readers import UNREADABLE
from datashop_assets.corpus.registry import registered_shards
from datashop_assets.records import DOCUMENTS, QUARANTINE, TableSpec
from datashop_assets.seams import Lake


def corpus_quality(lake: Lake) -> pl.DataFrame:
    """One row a dataset: shards parsed, documents, quarantined rows, `quarantined share` and its reasons."""
    datasets = pl.DataFrame(
        [(shard.shard, shard.dataset) for shard in registered_shards(lake)],
        schema={"shard": pl.String, "dataset": pl.String},
        orient="row",
    )
    reasons = (
        lake.scan(QUARANTINE)
        .filter(pl.col("reason") != UNREADABLE)
        .group_by("dataset", "reason")
        .len()
        .sort("len", descending=True)
        .group_by("dataset", maintain_order=True)
        .agg(
            pl.col("len").sum().cast(pl.Int64).alias("quarantined"),
            pl.format("{} {}", "len", "reason").str.join(", ").alias("reasons"),
        )
        .collect()
    )
    return (
        lake.cells(DOCUMENTS)
        .join(datasets, on="shard")
        .group_by("dataset")
        .agg(pl.len().alias("shards"), pl.col("rows").sum().alias("documents"))
        .join(reasons, on="dataset", how="left")
        .with_columns(pl.col("quarantined").fill_null(0))
        .with_columns(
            (pl.col("quarantined") / (pl.col("documents") + pl.col("quarantined")).clip(1)).alias("quarantined share")
        )
        .sort("dataset")
    )


def unreadable_shards(lake: Lake) -> dict[str, str]:
    """Shard -> what is wrong with its file and what to do, of the registered shards that could not be read last."""
    cells = lake.cells(QUARANTINE).filter(pl.col("version").str.starts_with(UNREADABLE))
    standing = {shard.shard for shard in registered_shards(lake)} if cells.height else set()
    shards = [shard for shard in cells["shard"] if shard in standing]
    if not shards:
        return {}
    faults = lake.scan(QUARANTINE, {"shard": shards}).filter(pl.col("reason") == UNREADABLE)
    return dict(faults.select("shard", "detail").sort("shard").collect().iter_rows())


def incomplete_cells(lake: Lake, table: TableSpec, upstream: TableSpec = DOCUMENTS) -> pl.DataFrame:
    """Shards whose row count in `table` differs from that in `upstream`, among the shards that both have."""
    return (
        lake.cells(upstream)
        .select("shard", pl.col("rows").alias("expected"))
        .join(lake.cells(table), on="shard")
        .filter(pl.col("rows") != pl.col("expected"))
        .select(*table.partition_by, "expected", "rows")
    )
