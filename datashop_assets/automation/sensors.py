"""Sensors: new crawl files become shards; stale cells become runs.

What belongs here: the translation of shards into partitions and of work into run requests. What does not: finding files
(`corpus/registration.py`), finding work (`reconcile.py`), what counts as already asked for (`runs.py`).
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from datashop_assets.automation.reconcile import Work, reconciled_jobs, stale_work
from datashop_assets.automation.runs import COOL_DOWN_S, WORK_TAG, runs_to_respect
from datashop_assets.corpus.registration import Registration, register_new_shards
from datashop_assets.graph import Graph
from datashop_assets.lineage import content_id
from datashop_assets.partitions import SHARDS, range_tags
from datashop_assets.seams import Encoder, Lake, Rater
from resources.landing import LandingArea, LandingError

# At most this many runs are outstanding; the rest waits for the next tick.
RUNS_OUTSTANDING = 8
LINEAGE = {"asset": "landing_files", "run_id": "landing_sensor"}


def register_and_add_partitions(
    instance: dg.DagsterInstance, lake: Lake, graph: Graph, landing: LandingArea, lineage: dict[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Register new shards; return facts about the landings and the keys that Dagster does not know yet, in order.

    A crash between registering and adding the keys is healed here: every active shard becomes a partition.
    """
    found = register_new_shards(lake, graph.project, landing.look, time.time(), lineage)
    if found.new:
        _tell(instance, found)
    return found.facts, _missing(instance, found)


def _tell(instance: dg.DagsterInstance, found: Registration) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization("landing_files", metadata=found.facts))


def _missing(instance: dg.DagsterInstance, found: Registration) -> list[str]:
    known = set(instance.get_dynamic_partitions(str(SHARDS.name)))
    return [shard.shard for shard in found.shards if shard.shard not in known]


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


def build_sensors(graph: Graph, jobs: Sequence[Any]) -> Sequence[dg.SensorDefinition]:
    """The sensors of a project."""
    startable = reconciled_jobs(graph)

    @dg.sensor(
        name="landing_sensor",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Bundles new crawl files, in crawl order, into shards and adds them as partitions; partitions of withdrawn "
            "shards and of landings that left the project go. Tells of files that changed or that nothing reads."
        ),
    )
    def landing_sensor(
        context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake], landing: dg.ResourceParam[LandingArea]
    ) -> dg.SensorResult | dg.SkipReason:
        found = register_new_shards(lake, graph.project, landing.look, time.time(), LINEAGE)
        for kind, troubles in found.troubles.items():
            if troubles:
                context.log.warning("%s: %s", kind, troubles)
        told = content_id(found.troubles)
        if found.new or told != (context.cursor or content_id({kind: [] for kind in found.troubles})):
            _tell(context.instance, found)
            context.update_cursor(told)
        missing = _missing(context.instance, found)
        # Of this lake's own shards alone: keys that it does not know are another project's.
        known = set(context.instance.get_dynamic_partitions(str(SHARDS.name)))
        gone = [key for key in found.resting if key in known]
        if missing or gone:
            return dg.SensorResult(
                dynamic_partitions_requests=[
                    *([SHARDS.build_add_request(missing)] if missing else []),
                    *([SHARDS.build_delete_request(gone)] if gone else []),
                ]
            )
        if found.faults:
            raise LandingError("\n".join(found.faults))
        return dg.SkipReason(f"no new shards; {len(found.shards)} are registered")

    @dg.sensor(
        name="reconcile_sensor",
        jobs=[job for job in jobs if job.name in startable],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Compares what is wanted (registered shards, promoted classifiers, cut-offs) with what the tables have, "
            "and asks for runs over the stale stretches. Spends on raters only for lenses with `auto_annotate`."
        ),
    )
    def reconcile_sensor(
        context: dg.SensorEvaluationContext,
        lake: dg.ResourceParam[Lake],
        encoder: dg.ResourceParam[Encoder],
        raters: dg.ResourceParam[Callable[[str], Rater]],
    ) -> dg.SensorResult | dg.SkipReason:
        shards = list(context.instance.get_dynamic_partitions(str(SHARDS.name)))
        runs = runs_to_respect(context.instance)
        due = stale_work(lake, graph, encoder.id, shards, raters=raters, busy=runs.busy(shards))
        due = due[: max(0, RUNS_OUTSTANDING - len(runs.ours))]
        if not due:
            return dg.SkipReason(
                f"nothing is stale but what runs work on: {len(runs.under_way)} runs are under way, "
                f"{len(runs.cooling)} failed or were cancelled in the last {COOL_DOWN_S // 60} minutes and are not "
                "repeated yet"
            )
        bucket = int(time.time() // COOL_DOWN_S)
        return dg.SensorResult(run_requests=[run_request(item, bucket) for item in due])

    return [landing_sensor, reconcile_sensor]
