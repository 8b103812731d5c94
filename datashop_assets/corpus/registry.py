"""The registered shards: which crawl files belong to which shard, for ever.

What belongs here: reading and extending the `shards` table. What does not: listing files (`resources/landing.py`),
choosing bundles (`bundling.py`), Dagster's partitions (`automation/sensors.py` adds a key for every registered shard).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from datashop_assets.records import SHARDS, CrawlFile, Shard
from datashop_assets.seams import Lake


class UnknownShardError(LookupError):
    """A partition key that no registered shard has."""


def registered_shards(lake: Lake) -> list[Shard]:
    """All shards in crawl order (dataset, then sequence).

    Two registrars at once may both append a key; the first one counts. Files that only the other bundle had are in
    no shard then, so that the next registration finds them again: nothing is lost or read twice.
    """
    rows = lake.scan(SHARDS).sort("registered_at", maintain_order=True).unique("shard", keep="first").collect()
    return [
        Shard(
            row["dataset"],
            row["shard"],
            row["sequence"],
            tuple(CrawlFile(f["path"], f["bytes"], f["etag"]) for f in row["files"]),
            row["pool_only"],
        )
        for row in rows.sort("dataset", "sequence").to_dicts()
    ]


def shards_by_key(lake: Lake) -> dict[str, Shard]:
    return {shard.shard: shard for shard in registered_shards(lake)}


def find_shard(shards: Mapping[str, Shard], key: str) -> Shard:
    """Raises UnknownShardError saying how shards come to be."""
    if key not in shards:
        raise UnknownShardError(
            f"shard {key!r} is a partition but not in the table `shards` of this lake. Shards are registered by the "
            "landing sensor; was the lake emptied, or does the instance belong to another one?"
        )
    return shards[key]


def register(lake: Lake, shards: Sequence[Shard], lineage: Mapping[str, Any]) -> None:
    """Append new shards. They are immutable from here on."""
    if not shards:
        return
    now = datetime.now(UTC)
    rows = [
        {
            "dataset": shard.dataset,
            "shard": shard.shard,
            "sequence": shard.sequence,
            "bytes": shard.bytes,
            "pool_only": shard.pool_only,
            "files": [{"path": f.path, "bytes": f.bytes, "etag": f.etag} for f in shard.files],
            "registered_at": now,
        }
        for shard in shards
    ]
    lake.commit(SHARDS, pl.DataFrame(rows, schema=SHARDS.schema), None, lineage)
