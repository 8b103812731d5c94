"""The registered shards: which crawl files belong to which shard, until a person withdraws it.

What belongs here: reading and extending the tables `shards` and `withdrawn_shards`. What does not: listing files
(`resources/landing.py`), choosing bundles (`bundling.py`), Dagster's partitions (`automation/sensors.py` keeps them as
`active_shards` says).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import polars as pl

from datashop_assets.one_look import once_a_look
from datashop_assets.project import Project
from datashop_assets.records import DOCUMENTS, SHARDS, WITHDRAWN_SHARDS, CrawlFile, Shard
from datashop_assets.seams import Lake


class UnknownShardError(LookupError):
    """A partition key that no registered shard has."""


class RestingShardError(LookupError):
    """A shard that nothing is made for: it is withdrawn, or its landing is no longer in the project file."""


class WithdrawalError(ValueError):
    """A shard that cannot be withdrawn as asked; the message says why and what would follow."""


@dataclass(frozen=True)
class Registry:
    """`shards` are the registered ones that stand, `withdrawn` those taken back; both in crawl order."""

    shards: tuple[Shard, ...]
    withdrawn: tuple[Shard, ...]

    def active(self, project: Project) -> list[Shard]:
        """Those that stand and whose landing is in the project file: see `active_shards`."""
        datasets = {landing.dataset for landing in project.landings}
        return [shard for shard in self.shards if shard.dataset in datasets]


@once_a_look
def read_registry(lake: Lake) -> Registry:
    """Both tables as they are now, in crawl order (dataset, then sequence).

    Two registrars at once may both append, and bundle differently where one saw more files. What was registered first
    counts; a later shard with the same key, or with a file that an earlier one has, does not. Its other files are in no
    shard then, so that the next registration finds them again: nothing is lost or read twice. The files of a withdrawn
    shard are free for shards that were registered after it was withdrawn, and for no others.
    """
    withdrawn_at = dict(
        lake.scan(WITHDRAWN_SHARDS).group_by("shard").agg(pl.col("withdrawn_at").min()).collect().iter_rows()
    )
    counted: dict[str, Shard] = {}
    holder: dict[tuple[str, str], str] = {}
    for shard, registered_at in _as_registered(lake):
        paths = [(shard.dataset, file.path) for file in shard.files]
        held = {withdrawn_at.get(holder[path]) for path in paths if path in holder}
        free = all(since is not None and since <= registered_at for since in held)
        if shard.shard not in counted and free:
            counted[shard.shard] = shard
            holder |= dict.fromkeys(paths, shard.shard)
    ordered = sorted(counted.values(), key=lambda shard: (shard.dataset, shard.sequence))
    return Registry(
        tuple(shard for shard in ordered if shard.shard not in withdrawn_at),
        tuple(shard for shard in ordered if shard.shard in withdrawn_at),
    )


def _as_registered(lake: Lake) -> Iterator[tuple[Shard, datetime]]:
    """Every row of the table `shards` with its time, the earliest first. Columns are read one by one: as a list of
    rows with lists in them, 10,000 shards of 20 files took twice as long and 150 MB more."""
    rows = lake.scan(SHARDS).sort("registered_at", "sequence", maintain_order=True).collect()
    files = rows.select(pl.col("files").explode()).unnest("files")
    every = map(CrawlFile, files["path"], files["bytes"], files["etag"])
    columns = ("dataset", "shard", "sequence", "pool_only", "registered_at")
    counts = rows["files"].list.len()
    for row, count in zip(rows.select(columns).iter_rows(), counts, strict=True):
        dataset, shard, sequence, pool_only, registered_at = row
        yield Shard(dataset, shard, sequence, tuple(islice(every, count)), pool_only), registered_at


def registered_shards(lake: Lake) -> list[Shard]:
    """All shards that stand, in crawl order, those of landings that left the project included."""
    return list(read_registry(lake).shards)


def active_shards(lake: Lake, project: Project) -> list[Shard]:
    """The shards that the project works on, in crawl order: registered, not withdrawn, of a landing in its file.

    All others rest: nothing is made for them, and nothing that is made leaves with a release. What was made of them
    stays in the tables, and counts again when their landing does.
    """
    return read_registry(lake).active(project)


def shards_by_key(lake: Lake) -> dict[str, Shard]:
    return {shard.shard: shard for shard in registered_shards(lake)}


def find_shard(shards: Mapping[str, Shard], key: str) -> Shard:
    """Raises UnknownShardError saying how shards come to be."""
    if key not in shards:
        raise UnknownShardError(
            f"shard {key!r} is a partition but not in the table `shards` of this lake, or it was withdrawn. Shards are "
            "registered by the landing sensor; was the lake emptied, or does the instance belong to another one?"
        )
    return shards[key]


def find_active_shard(shards: Mapping[str, Shard], key: str, project: Project) -> Shard:
    """Raises UnknownShardError, or RestingShardError where the project file has no landing for it."""
    shard = find_shard(shards, key)
    datasets = sorted(landing.dataset for landing in project.landings)
    if shard.dataset not in datasets:
        raise RestingShardError(
            f"shard {key} rests: the project file has no landing {shard.dataset!r} (it has {datasets}). Leave it out "
            "of the run, or put the landing back"
        )
    return shard


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


def withdraw_shard(lake: Lake, key: str, reason: str, by: str, *, force: bool = False) -> Shard:
    """Take a shard back: its files are free, and what of them still lies in the landing is registered anew.

    The record is appended, the shard's key is never given again. Raises UnknownShardError; WithdrawalError where the
    reason is blank, or where the shard has documents and `force` is not set.
    """
    if not reason.strip():
        raise WithdrawalError("a withdrawal needs its reason, for those who look at the record later")
    shard = find_shard(shards_by_key(lake), key)
    cells = lake.cells(DOCUMENTS).filter(pl.col("shard") == key)
    if cells.height and not force:
        raise WithdrawalError(
            f"shard {key} has {cells['rows'][0]} documents. Withdrawn by force, they and all that was made of them "
            "rest: they stay in the tables, but are not worked on and not released any more. Files that still lie in "
            "the landing become a new shard, whose documents are embedded, scored and, where they are sampled, rated "
            "again. If that is meant, say --force"
        )
    row = {"shard": key, "reason": reason, "by": by, "withdrawn_at": datetime.now(UTC)}
    lineage = {"asset": "landing_files", "run_id": "withdrawal", "cells": [key]}
    lake.commit(WITHDRAWN_SHARDS, pl.DataFrame([row], schema=WITHDRAWN_SHARDS.schema), None, lineage)
    return shard
