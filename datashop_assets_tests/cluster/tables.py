"""What the lake of the cluster says after a fault, read from outside of the cluster."""

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from datashop_assets.records import ANNOTATIONS, TableSpec
from datashop_assets_tests.cluster.place import facts, say
from datashop_assets_tests.cluster.steps import StepError
from datashop_assets_tests.slow.small_project import LENS
from resources.lake import DeltaLake

# A failed judgement of the small model itself, whatever happens to its server.
ITS_OWN = "no_score_tokens"


def lake() -> DeltaLake:
    reached = facts()
    return DeltaLake(f"s3://{reached['bucket']}/lake", {k: v for k, v in reached.items() if k.startswith("AWS_")})


def is_committed(table: TableSpec, shard: str) -> bool:
    """Whether the table has that cell."""
    return shard in lake().cells(table)["shard"]


def times_written(table: TableSpec, shards: Sequence[str]) -> dict[str, int]:
    """How many versions of the table brought new files of each shard."""
    reached = lake()
    versions = [reached.open(table, version) for version in range((reached.version(table) or 0) + 1)]
    files = [set() if stored is None else set(stored.file_uris()) for stored in versions]
    new = [now - before for before, now in pairwise([set(), *files])]
    return {shard: sum(any(f"shard={shard}/" in uri for uri in added) for added in new) for shard in shards}


def all_rated_once(shards: Sequence[str], rows: int) -> None:
    """Raises StepError where a rating of these shards is missing, is there twice, or failed by what happened to the
    server."""
    rated = lake().scan(ANNOTATIONS.of(LENS), {"shard": shards}).select("shard", "id", "reason").collect()
    failed = rated.filter(pl.col("reason").is_not_null() & (pl.col("reason") != ITS_OWN))
    if rated.height != rows or rated.select("shard", "id").is_duplicated().any() or failed.height:
        raise StepError(
            f"{rated.height} ratings of {rows}; failed: {failed['reason'].value_counts().rows()}; or some are double"
        )
    say(f"  {rated.height} ratings, none missing, none doubled, none failed but by the model itself")


def all_there_once(table: TableSpec, shards: Sequence[str], rows: int) -> None:
    """Raises StepError where a row of these shards is missing or double, or a cell was written more than once."""
    found = lake().scan(table, {"shard": shards}).select("shard", "id").collect()
    written = times_written(table, shards)
    if found.height != rows or found.is_duplicated().any() or set(written.values()) != {1}:
        raise StepError(f"{table.name}: {found.height} rows of {rows}, cells written {written} times, or some double")
    say(f"  {table.name}: {found.height} rows, none missing, none doubled, each cell written once")
