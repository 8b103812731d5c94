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

    Two registrars at once may both append, and bundle differently where one saw more files. What was registered first
    counts; a later shard with the same key, or with a file that an earlier one has, does not. Its other files are in no
    shard then, so that the next registration finds them again: nothing is lost or read twice.
    """
    rows = lake.scan(SHARDS).sort("registered_at", "sequence", maintain_order=True).collect()
    counted: dict[str, Shard] = {}
    taken: set[tuple[str, str]] = set()
    for row in rows.to_dicts():
        files = tuple(CrawlFile(f["path"], f["bytes"], f["etag"]) for f in row["files"])
        paths = {(row["dataset"], file.path) for file in files}
        if row["shard"] not in counted and not paths & taken:
            counted[row["shard"]] = Shard(row["dataset"], row["shard"], row["sequence"], files, row["pool_only"])
            taken |= paths
    return sorted(counted.values(), key=lambda shard: (shard.dataset, shard.sequence))


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
