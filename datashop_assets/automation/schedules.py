"""The scheduled backfill: the same stale cells as the sensor's, in larger helpings, after all else in the queue.

What belongs here: when, and how much at once. What does not: what is stale (`reconcile.py`), what may be asked for
(`runs.py`), what a run request is (`requests.py`).

A schedule has one job, so there is one for each job, all at the same times and with one budget: each looks at the whole
graph, chooses what the budget allows, and asks for its own job's part of it. A person can switch each off in the UI.
The first of the work, as many runs as the sensor may have, is left to the sensor while that is on.
"""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from datashop_assets.automation.reconcile import outlook, reconciled_jobs
from datashop_assets.automation.requests import ASKED_BY_TAG, STALE_TAG, purposes, run_request
from datashop_assets.automation.runs import Runs, runs_to_respect
from datashop_assets.automation.sensors import RECONCILE
from datashop_assets.automation.work import told, within_budget
from datashop_assets.graph import Graph
from datashop_assets.one_look import OneLook
from datashop_assets.partitions import SHARDS
from datashop_assets.seams import Encoder, Lake, Rater

# Whom the runs say that they were asked for by, whichever of the schedules it was.
BACKFILL = "backfill_schedule"


def build_schedules(graph: Graph, jobs: Sequence[Any]) -> Sequence[dg.ScheduleDefinition]:
    """The scheduled backfill of a project; none where its project file gives no cron."""
    startable = reconciled_jobs(graph) if graph.project.automation.backfill.cron else []
    return [backfill_schedule(graph, job) for job in jobs if job.name in startable]


def outstanding_cells(runs: Runs) -> int:
    """The stale cells that the backfill's runs under way were asked for: what `within_budget` counts of new ones."""
    mine = (run for run in runs.under_way if run.tags.get(ASKED_BY_TAG) == BACKFILL)
    return sum(int(run.tags.get(STALE_TAG, 0)) for run in mine)


def sensor_asks(instance: dg.DagsterInstance) -> bool:
    """Whether the reconcile sensor is on, as it is until a person switches it off in the UI."""
    states = [state for state in instance.all_instigator_state() if state.instigator_name == RECONCILE]
    return all(state.status.value != "STOPPED" for state in states)


def backfill_schedule(graph: Graph, job: Any) -> dg.ScheduleDefinition:
    """The schedule of one job. Raises DagsterInvalidDefinitionError where the project file's cron is none."""
    settings = graph.project.automation
    budget = settings.backfill

    @dg.schedule(
        name=f"backfill_{job.name}",
        cron_schedule=str(budget.cron),
        job=job,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"{job.description} Asks for runs over what is stale, as the reconcile sensor does, behind all else in the "
            f"queue: {budget.max_runs} runs and {budget.max_cells:,} stale cells at most are outstanding, of all "
            "jobs together (`automation.backfill` in the project file). What the sensor asks for next is left to it, "
            "unless it is switched off."
        ),
    )
    def schedule(
        context: dg.ScheduleEvaluationContext,
        lake: dg.ResourceParam[Lake],
        encoder: dg.ResourceParam[Encoder],
        raters: dg.ResourceParam[Callable[[str], Rater]],
    ) -> dg.SkipReason | list[dg.RunRequest]:
        shards = list(context.instance.get_dynamic_partitions(str(SHARDS.name)))
        look = OneLook(lake)
        purpose = purposes(look, graph)
        runs = runs_to_respect(context.instance, settings)
        respected = runs.over(shards, purpose)
        busy, largest = respected.busy, respected.largest
        seen = outlook(look, graph, encoder.id, shards, raters=raters, busy=busy, largest=largest)
        cells = budget.max_cells - outstanding_cells(runs)
        # What the sensor may ask for at the same moment is its own: the run keys of one say nothing to the other.
        sensors = settings.max_runs if sensor_asks(context.instance) else 0
        admitted = respected.admit(seen.work, BACKFILL, sensors + budget.max_runs)[sensors:]
        chosen = within_budget(admitted, cells=cells, runs=budget.max_runs)
        due = [
            run_request(
                work,
                BACKFILL,
                runs.bucket,
                purpose=purpose(work.job, work.stretch.lens or work.partition_key),
                priority=budget.priority,
            )
            for work in chosen
            if work.job == job.name
        ]
        return due or dg.SkipReason(f"nothing of {job.name} within the budget: {told(seen)}")

    return schedule
