"""How much is rejected, by dataset: the figures behind the checks.

What belongs here: counts over a whole table. What does not: thresholds (`checks.py`).
"""

import polars as pl

from datashop_assets.corpus.registry import registered_shards
from datashop_assets.records import TableSpec
from datashop_assets.seams import Lake


def rejected_shares(lake: Lake, table: TableSpec) -> pl.DataFrame:
    """One row [dataset, documents, rejected, rejected share] a dataset, of the shards that stand."""
    datasets = pl.DataFrame(
        [(shard.shard, shard.dataset) for shard in registered_shards(lake)],
        schema={"shard": pl.String, "dataset": pl.String},
        orient="row",
    )
    return (
        lake.scan(table)
        .join(datasets.lazy(), on="shard")
        .group_by("dataset")
        .agg(pl.len().alias("documents"), pl.col("reason").count().alias("rejected"))
        .with_columns((pl.col("rejected") / pl.col("documents")).alias("rejected share"))
        .sort("dataset")
        .collect()
    )
