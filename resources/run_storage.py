"""Dagster's own storage: the runs that ended, those that the UI shows, and taking one away.

What belongs here: reading and deleting runs through Dagster's API. What does not: which of them go, and when
(`datashop_assets/housekeeping/old_runs.py`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
AT_ONCE = 500


@dataclass(frozen=True)
class EndedRun:
    """A run that ended, at `ended` (epoch seconds; null where that was not noted)."""

    run_id: str
    job: str
    status: str
    ended: float | None


@dataclass(frozen=True)
class RunStorage:
    """The runs of an instance."""

    instance: dg.DagsterInstance

    def ended_before(self, moment: datetime) -> Iterator[EndedRun]:
        """The runs that ended, and did not change, since before the moment; a page is read at a time."""
        cursor: str | None = None
        wanted = dg.RunsFilter(statuses=ENDED, updated_before=moment)
        while records := self.instance.get_run_records(wanted, limit=AT_ONCE, cursor=cursor):
            for record in records:
                run = record.dagster_run
                yield EndedRun(run.run_id, run.job_name, run.status.value, record.end_time)
            cursor = records[-1].dagster_run.run_id

    def shown(self, among: Iterable[str]) -> set[str]:
        """The runs whose events are what the UI shows: the latest materialization of every partition of every asset,
        and, of the checks that the runs `among` planned, the latest execution. Without them a partition would look as
        if it had never been made."""
        storage, shown = self.instance.event_log_storage, set[str]()
        for key in self.instance.all_asset_keys():
            latest = self.instance.get_latest_materialization_event(key)
            shown |= {latest.run_id} if latest is not None else set()
            by_partition = storage.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
            ids = list(by_partition.values())
            for start in range(0, len(ids), AT_ONCE):
                some = dg.AssetRecordsFilter(asset_key=key, storage_ids=ids[start : start + AT_ONCE])
                found = self.instance.fetch_materializations(some, limit=AT_ONCE).records
                shown |= {record.run_id for record in found}
        checks = {key for run_id in among for key in self._checks(run_id)}
        if checks:
            shown |= {info.latest_planned_run_id for info in storage.get_asset_check_partition_info(list(checks))}
        return shown

    def _checks(self, run_id: str) -> Iterator[dg.AssetCheckKey]:
        """Those that the run planned, whether it came to them or not."""
        for entry in self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED):
            planned: Any = entry.get_dagster_event().event_specific_data
            yield planned.asset_check_key

    def delete(self, run_id: str) -> None:
        """Take the run away: the captured output of its steps, its events, itself. One that is gone is no error.

        It goes last, so that a kill in between leaves a run that is still listed, for the next pass to end with.
        """
        self.instance.compute_log_manager.delete_logs(prefix=[run_id])
        self.instance.event_log_storage.delete_events(run_id)
        self.instance.delete_run(run_id)
