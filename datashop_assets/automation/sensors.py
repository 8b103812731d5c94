"""Sensors: new crawl files become shards; stale cells become runs.

What belongs here: the translation of shards into partitions and of work into run requests. What does not: finding files
(`corpus/registration.py`), finding work (`reconcile.py`), what counts as already asked for (`runs.py`), telling people
of failures (`alerts.py`).
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from datashop_assets.automation.cooling import Resting, resting_table
from datashop_assets.automation.lost import report_lost_runs
from datashop_assets.automation.reconcile import outlook, reconciled_jobs
from datashop_assets.automation.requests import purposes, run_request
from datashop_assets.automation.runs import Runs, runs_to_respect
from datashop_assets.automation.work import REASONS, Outlook, faults
from datashop_assets.automation_settings import AutomationSettings
from datashop_assets.corpus.progress import Progress
from datashop_assets.corpus.registration import CANNOT_BE_LISTED, Registration, register_new_shards
from datashop_assets.graph import Graph
from datashop_assets.lineage import content_id
from datashop_assets.one_look import OneLook
from datashop_assets.partitions import SHARDS
from datashop_assets.seams import Encoder, Lake, Rater
from resources.landing import LandingArea

RECONCILE = "reconcile_sensor"
LINEAGE = {"asset": "landing_files", "run_id": "landing_sensor"}
# Of each kind, what a tick's reason names; `resting_work` has all that rests.
NAMED = 3


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


def _looked_at(cursor: str | None) -> tuple[str | None, dict[str, Progress]]:
    """What the landing sensor's cursor says: what it told last, and the landings' progress. One that is not its own
    (of an earlier release) says nothing; the landings are then looked at from their start."""
    if not cursor or not cursor.startswith("{"):
        return None, {}
    values = json.loads(cursor)
    return values["told"], {name: Progress.from_json(each) for name, each in values["landings"].items()}


def why_nothing(found: Outlook, runs: Runs, resting: Sequence[Resting], settings: AutomationSettings) -> str:
    """Why a tick asks for no run, in words for people: what waits, and for what."""
    under_way = f"{len(runs.under_way)} runs are queued or under way"
    reasons = ["nothing can be asked for now" if found.waiting or found.work else "nothing is stale"]
    if found.work and runs.asked_by(RECONCILE) >= settings.max_runs:
        reasons = [
            f"{len(found.work)} runs wait: {settings.max_runs} of this sensor's are outstanding (the most: `max_runs`)"
        ]
    elif found.work:
        reasons = [f"{len(found.work)} runs wait for one that tries their job out"]
    if runs.stuck:
        named = ", ".join(run.run_id for run in runs.stuck[:NAMED])
        under_way += f"; {len(runs.stuck)} more did not start in an hour and do not count (cancel them): {named}"
    if runs.awaited:
        under_way += f"; backfills of the UI are to ask for {sum(map(len, runs.awaited.values()))} cells more"
    reasons += [under_way, *faults(found.waiting)]
    waiting = [each for each in found.waiting if each.reason != "fault"]
    for each in waiting[:NAMED]:
        of = f" of {each.lens}" if each.lens else ""
        reasons.append(f"{each.job}{of}: {each.cells} cells wait, {REASONS[each.reason]}")
    if len(waiting) > NAMED:
        reasons.append(f"and {len(waiting) - NAMED} more jobs wait")
    if runs.broken:
        jobs = ", ".join(sorted(" of ".join(filter(None, key)) for key in runs.broken))
        reasons.append(
            f"{jobs}: all failed of late, over different stretches; one is tried at a time till one goes well"
        )
    if resting:
        named = "; ".join(str(each) for each in resting[:NAMED])
        reasons.append(f"{len(resting)} stretches rest (see the asset resting_work): {named}")
    return ". ".join(reasons)


def _tell_resting(
    context: dg.SensorEvaluationContext, resting: Sequence[Resting], settings: AutomationSettings
) -> None:
    """Show at the asset `resting_work` what rests, when that has changed."""
    told = content_id([(e.job, e.lens, e.first, e.last, e.rest.failures, e.rest.run) for e in resting])
    if told == (context.cursor or content_id([])):
        return
    facts: Mapping[str, Any] = {
        "what rests": dg.MetadataValue.md(resting_table(resting)),
        "resting cells": sum(each.shards for each in resting),
        f"cells that failed {settings.attempts} times or more": sum(e.shards for e in resting if e.needs_somebody),
    }
    context.instance.report_runless_asset_event(dg.AssetMaterialization("resting_work", metadata=facts))
    context.update_cursor(told)


def build_sensors(graph: Graph, jobs: Sequence[Any]) -> Sequence[dg.SensorDefinition]:
    """The sensors of a project."""
    startable = reconciled_jobs(graph)

    @dg.sensor(
        name="landing_sensor",
        minimum_interval_seconds=graph.project.automation.look_every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Bundles new crawl files, in crawl order, into shards and adds them as partitions; partitions of withdrawn "
            "shards and of landings that left the project go. Tells of files that changed or that nothing reads."
        ),
    )
    def landing_sensor(
        context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake], landing: dg.ResourceParam[LandingArea]
    ) -> dg.SensorResult | dg.SkipReason:
        told_before, progress = _looked_at(context.cursor)
        found = register_new_shards(
            lake,
            graph.project,
            landing.look,
            time.time(),
            LINEAGE,
            progress=progress,
            most_shards=graph.project.automation.new_shards_per_tick,
        )
        for kind, troubles in found.troubles.items():
            if troubles and kind != CANNOT_BE_LISTED:
                context.log.warning("%s: %s", kind, troubles)
        for fault in found.faults.values():
            context.log.error(fault)
        # By dataset, not by their words: those of a fault may be others at each look.
        told_of = found.troubles | {CANNOT_BE_LISTED: sorted(found.faults)}
        told = content_id(told_of)
        if found.new or told != (told_before or content_id({kind: [] for kind in told_of})):
            _tell(context.instance, found)
        looked_at = {name: each.as_json() for name, each in found.progress.items()}
        context.update_cursor(json.dumps({"told": told, "landings": looked_at}))
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
        # No error is raised: Dagster drops the cursor of a tick that failed, and with it what the others' looks found.
        waiting = f"; {found.waiting_files} files wait to settle or for their bundle" if found.waiting_files else ""
        empty = f"; no file has come yet: {', '.join(found.empty)}" if found.empty else ""
        said = f"no new shards; {len(found.shards)} are registered{waiting}{empty}"
        return dg.SkipReason("\n".join([said, *found.faults.values()]))

    @dg.sensor(
        name=RECONCILE,
        jobs=[job for job in jobs if job.name in startable],
        minimum_interval_seconds=graph.project.automation.look_every_s,
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
        settings = graph.project.automation
        shards = list(context.instance.get_dynamic_partitions(str(SHARDS.name)))
        once = OneLook(lake)
        purpose = purposes(once, graph)
        for run in report_lost_runs(context.instance):
            context.log.warning("run %s was lost with its code server; its cells are asked for again", run)
        runs = runs_to_respect(context.instance, settings)
        respected = runs.over(shards, purpose)
        found = outlook(once, graph, encoder.id, shards, raters=raters, busy=respected.busy, largest=respected.largest)
        for fault in faults(found.waiting):
            context.log.error(fault)
        resting = respected.resting(found.waiting)
        _tell_resting(context, resting, settings)
        admitted = respected.admit(found.work, RECONCILE, settings.max_runs)
        if not admitted:
            return dg.SkipReason(why_nothing(found, runs, resting, settings))
        return dg.SensorResult(
            run_requests=[
                run_request(
                    work,
                    RECONCILE,
                    runs.bucket,
                    purpose=purpose(work.job, work.stretch.lens or work.partition_key),
                )
                for work in admitted
            ]
        )

    return [landing_sensor, reconcile_sensor]
