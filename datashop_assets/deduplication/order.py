"""Which shards count as earlier than which, and so which of two like documents is kept.

What belongs here: the order of shards, and positions of documents in it. What does not: comparing documents.

Shards stand in the order in which they were registered: one that is added later stands behind all others, of its own
and of other datasets, so that no earlier verdict changes. (In crawl order a new shard of the dataset `a` would stand
before all of `b`.) Documents of pool-only shards are never released: they reject nothing, and are not judged.
"""

from collections.abc import Sequence

import polars as pl

from datashop_assets.corpus.registry import active_shards
from datashop_assets.project import Project
from datashop_assets.records import SHARDS, Shard
from datashop_assets.seams import Lake

# A position is the shard's place in the order, and the document's row in the shard in the lower 32 bits.
ROW_BITS = 32


def judging_order(lake: Lake, project: Project) -> list[Shard]:
    """The shards that the project works on and that can be released, the earliest registered first."""
    registered = dict(lake.scan(SHARDS).group_by("shard").agg(pl.col("registered_at").min()).collect().iter_rows())
    shards = [shard for shard in active_shards(lake, project) if not shard.pool_only]
    return sorted(shards, key=lambda shard: (registered[shard.shard], shard.dataset, shard.sequence))


def with_positions(rows: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """The rows [shard, row, ...] with the `position` of each document: int64, ascending in the order of the shards."""
    places = pl.DataFrame({"shard": list(order), "place": range(len(order))}, schema_overrides={"place": pl.Int64})
    position = (pl.col("place") * 2**ROW_BITS + pl.col("row").cast(pl.Int64)).alias("position")
    return rows.join(places, on="shard", maintain_order="left").with_columns(position).drop("place", "row")


def shards_at(positions: pl.Series, order: Sequence[str]) -> list[str]:
    """The shards of the documents at the positions, each once, in order."""
    return [order[place] for place in (positions // 2**ROW_BITS).unique().sort()]
