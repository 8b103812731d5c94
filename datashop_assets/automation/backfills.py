"""Backfills that people launched in the UI: the cells that they will ask for, and have no runs of yet.

What belongs here: reading them from Dagster. What does not: runs (`runs.py`), the project's own scheduled backfill,
which is none of Dagster's (`schedules.py`).

Dagster's daemon submits a backfill's runs bit by bit; until a cell's run is there, the list of runs says nothing of
it, and the sensor would make it a second time. The classes are Dagster's own: it has no public name for them.
"""

from collections.abc import Iterator, Mapping

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill

# By asset or job, and lens (empty: of none): shards or, of what is partitioned by lens alone, lenses.
Awaited = Mapping[tuple[str, str], frozenset[str]]


def awaited_cells(instance: dg.DagsterInstance) -> Awaited:
    """What backfills under way have still to ask for. One that was cancelled, or is being so, asks for no more."""
    found: dict[tuple[str, str], set[str]] = {}
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        for backfill in instance.get_backfills(BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])):
            for name, key in _to_submit(backfill):
                lens, _, last = key.rpartition("|")
                found.setdefault((name, lens), set()).add(last)
    return {place: frozenset(keys) for place, keys in found.items()}


def _to_submit(backfill: PartitionBackfill) -> Iterator[tuple[str, str]]:
    """Asset or job, and partition, of each cell without a run; what a failure before it keeps from ever having one is
    none. Of assets, those without partitions are left out."""
    if backfill.asset_backfill_data is not None:
        data = backfill.asset_backfill_data
        left = data.target_subset - data.requested_subset - data.failed_and_downstream_subset
        for asset in left.iterate_asset_partitions():
            if asset.partition_key is not None:
                yield asset.asset_key.to_user_string(), asset.partition_key
    elif backfill.job_name is not None and backfill.partition_names is not None:
        names, last = list(backfill.partition_names), backfill.last_submitted_partition_name
        start = names.index(last) + 1 if last in names else 0
        yield from ((backfill.job_name, name) for name in names[start:])
