"""Which cells runs work on: so that no sensor asks for what is under way, or has just failed.

What belongs here: reading runs' jobs, assets and partition tags. What does not: what is stale (`reconcile.py`), asking
for runs (`sensors.py`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from datashop_assets.automation.jobs import assets_of
from datashop_assets.automation.reconcile import RATING_JOBS
from datashop_assets.partitions import PARTITION_TAG, RANGE_TAGS

WORK_TAG = "datashop/work"
# The same work is asked for again at the earliest after this long, so that a cell that fails does not fail for ever.
COOL_DOWN_S = 3600
OUTSTANDING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
ENDED_BADLY = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True)
class Runs:
    """The runs that a sensor has to respect.

    `under_way`: all, whoever launched them. `ours`: those of them that the sensor asked for. `cooling`: what the
    sensor asked for and what failed or was cancelled of late. `rated`: what it asked for and what went well of late,
    of jobs that spend on raters: a budget bounds a run, so that runs without a pause would have no bound.
    """

    under_way: Sequence[dg.DagsterRun]
    ours: Sequence[dg.DagsterRun]
    cooling: Sequence[dg.DagsterRun]
    rated: Sequence[dg.DagsterRun]

    def busy(self, shards: Sequence[str]) -> "BusyShards":
        return BusyShards((*self.under_way, *self.cooling, *self.rated), shards)


class BusyShards:
    """The shards, of all in Dagster's order, that some of the runs cover; callable as `reconcile.Busy`."""

    def __init__(self, runs: Sequence[dg.DagsterRun], shards: Sequence[str]) -> None:
        self.runs = runs
        self.shards = shards
        self.position = {shard: index for index, shard in enumerate(shards)}

    def __call__(self, job: str, lens: str | None) -> Collection[str]:
        return {shard for run in self.runs if makes(run, job) for shard in self.covered(run, lens)}

    def covered(self, run: dg.DagsterRun, lens: str | None) -> Sequence[str]:
        """The shards of the lens inside the run's partition or range; all of them where it has the lens alone."""
        first, last = (run.tags.get(tag, run.tags.get(PARTITION_TAG, "")) for tag in RANGE_TAGS)
        (first_lens, _, start), (last_lens, _, end) = first.rpartition("|"), last.rpartition("|")
        if start in self.position and end in self.position:
            inside = first_lens <= (lens or "") <= last_lens
            return self.shards[self.position[start] : self.position[end] + 1] if inside else []
        return self.shards if lens is not None and not first_lens and start <= lens <= end else []


def makes(run: dg.DagsterRun, job: str) -> bool:
    """Whether the run is one of the job, or of any of its assets by whatever name: a backfill, or by hand."""
    selected = {key.to_user_string() for key in run.asset_selection or ()}
    return run.job_name == job or bool(selected & set(assets_of(job)))


def runs_to_respect(instance: dg.DagsterInstance) -> Runs:
    """Read the runs as they are now."""
    since = datetime.now(UTC) - timedelta(seconds=COOL_DOWN_S)
    under_way = instance.get_runs(dg.RunsFilter(statuses=OUTSTANDING))
    cooling = instance.get_runs(dg.RunsFilter(statuses=ENDED_BADLY, updated_after=since))
    well = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=since))
    return Runs(
        under_way,
        [run for run in under_way if WORK_TAG in run.tags],
        [run for run in cooling if WORK_TAG in run.tags],
        [run for run in well if WORK_TAG in run.tags and run.job_name in RATING_JOBS.values()],
    )
