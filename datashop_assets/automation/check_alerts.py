"""Alerts for checks that fail and stop nothing: people are told when one turns, by the project's webhook.

What belongs here: which evaluations are told of, and what is said. What does not: how far people were told
(`telling.py`), checks that block, whose runs fail (`alerts.py`), the checks (the stages).

A drift of a new crawl is seen by every run over it: there is one message when the check turned from passed to failed,
and the next one when it has passed in between. A lens's check and another lens's are told of each by itself.
"""

import json
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from datashop_assets.automation.telling import Told, ended_since, in_words, time_is_up
from datashop_assets.graph import Graph
from resources.webhooks import MessageRefusedError, Webhook, WebhookError

ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
# Of what a check found, as many characters of each text.
FOUND_CHARACTERS = 500


@dataclass(frozen=True)
class Known:
    """How far runs were looked at, and the checks that failed when they were evaluated last."""

    told: Told
    failing: Collection[str] = field(default_factory=frozenset)

    def after(self, evaluation: dg.AssetCheckEvaluation) -> "Known":
        """With what the evaluation says of its check."""
        rest = set(self.failing) - {name_of(evaluation)}
        return replace(self, failing=rest if evaluation.passed else {*rest, name_of(evaluation)})

    @property
    def cursor(self) -> str:
        return json.dumps({"until": self.told.until, "runs": self.told.runs, "failing": sorted(self.failing)})

    @classmethod
    def from_cursor(cls, cursor: str) -> "Known":
        """The inverse of `cursor`."""
        values = json.loads(cursor)
        return cls(Told(values["until"], values["runs"]), frozenset(values["failing"]))


def name_of(evaluation: dg.AssetCheckEvaluation) -> str:
    """The check's asset, name and, where it is evaluated for each lens, lens."""
    parts = (evaluation.asset_key.to_user_string(), evaluation.check_name, evaluation.partition)
    return ":".join(part for part in parts if part)


def warnings_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[dg.AssetCheckEvaluation]:
    """The run's evaluations of checks, passed and failed, but for those that failed and stopped it."""
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    for record in records:
        event = record.event_log_entry.dagster_event
        evaluation = event.asset_check_evaluation_data if event is not None else None
        if evaluation is not None and (evaluation.passed or not _stops(evaluation)):
            yield evaluation


def _stops(evaluation: dg.AssetCheckEvaluation) -> bool:
    return bool(evaluation.blocking) and evaluation.severity == dg.AssetCheckSeverity.ERROR


def message(graph: Graph, run: dg.DagsterRun, at: float, evaluation: dg.AssetCheckEvaluation) -> dict[str, Any]:
    """What is told of a check that failed: `text` for people (chat services show it), the rest for programs."""
    settings = graph.project.automation
    asset, check = evaluation.asset_key.to_user_string(), evaluation.check_name
    where = f" of {evaluation.partition}" if evaluation.partition else ""
    url = f"{settings.ui_url.rstrip('/')}/assets/{asset}?view=checks&checkDetail={check}"
    return {
        "event": "check_failed",
        "project": graph.project.name,
        "text": f"datashop, {graph.project.name}: check {check} at {asset}{where} failed; nothing was stopped. {url}",
        "asset": asset,
        "check": check,
        "lens": evaluation.partition,
        "severity": evaluation.severity.value,
        "found": _found(evaluation),
        "run_id": run.run_id,
        "job": run.job_name,
        "ended_at": datetime.fromtimestamp(at, UTC).isoformat(),
        "url": url,
    }


def _found(evaluation: dg.AssetCheckEvaluation) -> dict[str, str]:
    """What the check says in words, numbers and tables; pictures are at the link."""
    texts = {name: str(value.value) for name, value in evaluation.metadata.items()}
    return {name: text[:FOUND_CHARACTERS] for name, text in texts.items() if "data:image/" not in text}


def check_alert_sensor(graph: Graph) -> dg.SensorDefinition:
    """The sensor that tells of checks."""

    @dg.sensor(
        name="check_alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells the webhook of `automation.webhook_url_env` of every check that turned from passed to failed and "
            "stopped nothing, e.g. a drift of a new crawl; not again while it goes on failing. What the webhook does "
            "not take is sent again at the next tick; what it refuses for good is an error in the tick's log."
        ),
    )
    def check_alerts(context: dg.SensorEvaluationContext, webhook: dg.ResourceParam[Webhook]) -> dg.SkipReason:
        if not context.cursor:
            context.update_cursor(Known(Told(time.time())).cursor)
            return dg.SkipReason("checks that fail from now on are told of")
        known = Known.from_cursor(context.cursor)
        ended = ended_since(context.instance, known.told, *ENDED)
        started, sent, refused, looked_at = time.monotonic(), 0, 0, 0
        try:
            for run, at in ended:
                if time_is_up(started):
                    break
                for evaluation in warnings_of(context.instance, run):
                    if not evaluation.passed and name_of(evaluation) not in known.failing:
                        try:
                            webhook.post(message(graph, run, at, evaluation))
                            sent += 1
                        except MessageRefusedError as error:
                            context.log.error("nobody was told that %s failed: %s", name_of(evaluation), error)
                            refused += 1
                    known = known.after(evaluation)
                known = replace(known, told=known.told.of(run.run_id, at))
                looked_at += 1
        except WebhookError as error:
            if not sent + refused + looked_at:
                raise  # the tick is red, and its cursor stays: the next tick tells of the same checks
            context.log.error("%s", error)
        context.update_cursor(known.cursor)
        return dg.SkipReason(in_words(sent, "failed checks", refused, len(ended) - looked_at))

    return check_alerts
