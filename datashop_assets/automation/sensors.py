"""Sensors: new crawl files become shards; stale cells become runs.

What belongs here: the translation of work into run requests, and what counts as already asked for. What does not:
finding files (`corpus/registration.py`), finding work (`reconcile.py`).
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from datashop_assets.automation.reconcile import RECONCILED_JOBS, Work, stale_work
from datashop_assets.corpus.registration import register_new_shards
from datashop_assets.graph import Graph
from datashop_assets.partitions import RANGE_TAGS, SHARDS, range_tags
from datashop_assets.seams import Encoder, Lake
from resources.landing import LandingArea

WORK_TAG = "datashop/work"
PARTITION_TAG = "dagster/partition"
# At most this many runs are outstanding; the rest waits for the next tick.
RUNS_OUTSTANDING = 8
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


def our_runs(instance: dg.DagsterInstance, wanted: dg.RunsFilter) -> list[dg.DagsterRun]:
    """The runs that the reconcile sensor asked for."""
    return [run for run in instance.get_runs(wanted) if WORK_TAG in run.tags]


def register_and_add_partitions(
    instance: dg.DagsterInstance, lake: Lake, graph: Graph, landing: LandingArea, lineage: dict[str, str]
) -> tuple[dict[str, object], list[str]]:
    """Register new shards; return facts about the landings and the keys that Dagster does not know yet, in order.

    A crash between registering and adding the keys is healed here: every registered shard becomes a partition.
    """
    found = register_new_shards(lake, graph.project, landing.list_files, time.time(), lineage)
    known = set(instance.get_dynamic_partitions(str(SHARDS.name)))
    missing = [shard.shard for shard in found.shards if shard.shard not in known]
    if found.new:
        instance.report_runless_asset_event(dg.AssetMaterialization("landing_files", metadata=found.facts))
    return found.facts, missing


def run_request(work: Work, bucket: int) -> dg.RunRequest:
    """The run that does the work; the same work within a bucket of time has the same run key."""
    stretch = work.stretch
    tags = {} if work.partition_key else range_tags(stretch.lens, stretch.first, stretch.last)
    return dg.RunRequest(
        run_key=f"{work.key}:{bucket}",
        job_name=work.job,
        partition_key=work.partition_key,
        tags={**tags, WORK_TAG: work.target},
    )


def is_same_work(work: Work, run: dg.DagsterRun, shards: Sequence[str]) -> bool:
    """Whether the run does the same job for the same lens on any shard of the work's stretch.

    Not by the work's target: a run's stretch shrinks with every batch that it commits, and grows when shards land.
    """
    stretch = work.stretch
    if work.partition_key:
        return (run.job_name, run.tags.get(PARTITION_TAG)) == (work.job, work.partition_key)
    (lens, first), (_, last) = (run.tags.get(tag, "").rpartition("|")[::2] for tag in RANGE_TAGS)
    if (run.job_name, lens) != (work.job, stretch.lens or "") or not {first, last} <= set(shards):
        return False
    position = shards.index
    return position(first) <= position(stretch.last) and position(stretch.first) <= position(last)


def build_sensors(graph: Graph, jobs: Sequence[Any]) -> Sequence[dg.SensorDefinition]:
    """The sensors of a project."""

    @dg.sensor(
        name="landing_sensor",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Bundles new crawl files, in crawl order, into shards and adds them as partitions.",
    )
    def landing_sensor(
        context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake], landing: dg.ResourceParam[LandingArea]
    ) -> dg.SensorResult | dg.SkipReason:
        facts, missing = register_and_add_partitions(
            context.instance, lake, graph, landing, {"asset": "landing_files", "run_id": "landing_sensor"}
        )
        if facts["changed or vanished files"]:
            context.log.warning("files changed or vanished after registration: %s", facts["changed or vanished files"])
        if not missing:
            return dg.SkipReason(f"no new shards; {facts['shards']} are registered")
        return dg.SensorResult(dynamic_partitions_requests=[SHARDS.build_add_request(missing)])

    @dg.sensor(
        name="reconcile_sensor",
        jobs=[job for job in jobs if job.name in RECONCILED_JOBS],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Compares what is wanted (registered shards, promoted classifiers, cut-offs) with what the tables have, "
            "and asks for runs over the stale stretches. Never spends on raters."
        ),
    )
    def reconcile_sensor(
        context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake], encoder: dg.ResourceParam[Encoder]
    ) -> dg.SensorResult | dg.SkipReason:
        shards = list(context.instance.get_dynamic_partitions(str(SHARDS.name)))
        work = stale_work(lake, graph, encoder.id, shards)
        ours = our_runs(context.instance, dg.RunsFilter(statuses=OUTSTANDING))
        since = datetime.now(UTC) - timedelta(seconds=COOL_DOWN_S)
        cooling = our_runs(context.instance, dg.RunsFilter(statuses=ENDED_BADLY, updated_after=since))
        due = [item for item in work if not any(is_same_work(item, run, shards) for run in (*ours, *cooling))]
        due = due[: max(0, RUNS_OUTSTANDING - len(ours))]
        if not due:
            return dg.SkipReason(
                f"{len(work)} stretches are stale, {len(ours)} runs are under way, {len(cooling)} failed or were "
                f"cancelled in the last {COOL_DOWN_S // 60} minutes and are not repeated yet"
            )
        bucket = int(time.time() // COOL_DOWN_S)
        return dg.SensorResult(run_requests=[run_request(item, bucket) for item in due])

    return [landing_sensor, reconcile_sensor]
