"""Alerts: people are told of every run that failed, by the project's webhook.

What belongs here: which runs are told of, and what is said. What does not: how far they were told of (`telling.py`),
checks that failed in runs that went on (`check_alerts.py`), sending (`resources/webhooks.py`), what rests after a
failure (`cooling.py`, shown at the asset `resting_work`).

A message that the webhook will never take is an error in the tick's log, and does not hold up the others.
"""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from datashop_assets.automation.check_alerts import check_alert_sensor
from datashop_assets.automation.requests import ASKED_BY_TAG, LENS_TAG, PURPOSE_TAG, WORK_TAG
from datashop_assets.automation.runs import Runs, runs_to_respect
from datashop_assets.automation.telling import Told, ended_since, in_words, time_is_up
from datashop_assets.graph import Graph
from datashop_assets.partitions import PARTITION_TAG, RANGE_TAGS, SHARDS
from resources.webhooks import MessageRefusedError, Webhook, WebhookError

ERROR_CHARACTERS = 2000
FAILURES = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}


def message(instance: dg.DagsterInstance, graph: Graph, run: dg.DagsterRun, at: float, runs: Runs) -> dict[str, Any]:
    """What is told of a run that failed: `text` for people (chat services show it), the rest for programs. `runs` are
    those that count its shards' failures."""
    settings = graph.project.automation
    first, last = (run.tags.get(tag, run.tags.get(PARTITION_TAG, "")) for tag in RANGE_TAGS)
    lens = run.tags.get(LENS_TAG) or first.rpartition("|")[0] or None
    shards = [part.rpartition("|")[2] for part in (first, last) if part]
    failures = _failures(instance, run, runs)
    where = f" of {lens}" if lens else ""
    where += f", {' to '.join(dict.fromkeys(shards))}" if shards else ""
    often = f" (its shards failed {failures} times; they rest)" if failures >= settings.attempts else ""
    url = f"{settings.ui_url.rstrip('/')}/runs/{run.run_id}"
    return {
        "event": "run_failed",
        "project": graph.project.name,
        "text": f"datashop, {graph.project.name}: {run.job_name}{where} failed{often}. {url}",
        "run_id": run.run_id,
        "job": run.job_name,
        "lens": lens,
        "shards": shards,
        "failures": failures,
        "asked_by": run.tags.get(ASKED_BY_TAG),
        "ended_at": datetime.fromtimestamp(at, UTC).isoformat(),
        "error": _readable_error(instance, run),
        "url": url,
    }


def _readable_error(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The run's error or why it cannot be read: that a run failed is told in any case."""
    try:
        return error_of(instance, run)
    except Exception as error:  # noqa: BLE001 - a log that another release wrote, or that was damaged, has any fault
        return f"the run's log cannot be read ({type(error).__name__}: {error})"


def error_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The messages of the errors that the run's steps failed with or, where no step did, of the run's own."""
    records = instance.get_records_for_run(run.run_id, of_type=FAILURES).records
    events = [event for record in records if (event := record.event_log_entry.dagster_event) is not None]
    steps = [event for event in events if event.is_step_failure]
    found = [_text(event.step_failure_data) for event in steps]
    found = found or [_text(event.job_failure_data) or event.message or "" for event in events]
    return "\n".join(found)[:ERROR_CHARACTERS] or "the run's log names no error"


def _text(failure: Any) -> str:  # what a failure event holds has no public type
    """What was raised first: Dagster wraps it in errors of its own. A run that was reported as failed from outside has
    no data."""
    error = failure.error if failure is not None else None
    while error is not None and error.cause is not None:
        error = error.cause
    return "" if error is None else str(error.message).strip()


def _failures(instance: dg.DagsterInstance, run: dg.DagsterRun, runs: Runs) -> int:
    """How often the shard of the run that failed most often has failed for the same; 0 for what a person launched."""
    if WORK_TAG not in run.tags:
        return 0
    shards = list(instance.get_dynamic_partitions(str(SHARDS.name)))
    respected = runs.over(shards, lambda job, lens: run.tags.get(PURPOSE_TAG, ""))  # noqa: ARG005 - signature of Purpose
    lens = run.tags.get(LENS_TAG)
    rests = respected.rests(run.job_name, lens)
    return max((rests[shard].failures for shard in respected.covered(run, lens) if shard in rests), default=1)


def build_alert_sensors(graph: Graph) -> Sequence[dg.SensorDefinition]:
    """The sensors that tell of failures and of failed checks; none where the project file names no webhook."""
    if graph.project.automation.webhook_url_env is None:
        return []

    @dg.sensor(
        name="failure_alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells the webhook of `automation.webhook_url_env` of every run that failed, whoever launched it: job, "
            "lens, shards, error and a link. What the webhook does not take is sent again at the next tick; what it "
            "refuses for good is an error in the tick's log."
        ),
    )
    def failure_alerts(context: dg.SensorEvaluationContext, webhook: dg.ResourceParam[Webhook]) -> dg.SkipReason:
        if not context.cursor:
            context.update_cursor(Told(time.time()).cursor)
            return dg.SkipReason("runs that fail from now on are told of")
        told = Told(**json.loads(context.cursor))
        failed = ended_since(context.instance, told, dg.DagsterRunStatus.FAILURE)
        if not failed:
            return dg.SkipReason("no run failed")
        runs = runs_to_respect(context.instance, graph.project.automation)
        started, sent, refused = time.monotonic(), 0, 0
        for run, at in failed:
            if time_is_up(started):
                break
            try:
                webhook.post(message(context.instance, graph, run, at, runs))
                sent += 1
            except MessageRefusedError as error:
                context.log.error("nobody was told that run %s (%s) failed: %s", run.run_id, run.job_name, error)
                refused += 1
            except WebhookError as error:
                if not sent + refused:
                    raise  # the tick is red, and its cursor stays: the next tick tells of the same runs
                context.log.error("%s", error)
                break
            told = told.of(run.run_id, at)
            context.update_cursor(told.cursor)
        return dg.SkipReason(in_words(sent, "failed runs", refused, len(failed) - sent - refused))

    return [failure_alerts, check_alert_sensor(graph)]
