"""One evaluation report, from the two models to the record: a pair that was compared on the same tasks is not again.

What belongs here: the steps around the harness. What does not: tasks (`tasks.py`), the comparison (`compare.py`).
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.annealing.packing import DocumentEncoder
from datashop_assets.annealing.produce import AnnealedModel, Workshop
from datashop_assets.evaluation.compare import RECIPE, Comparison, compare
from datashop_assets.evaluation.results import ModelResults
from datashop_assets.evaluation.slices import build_slices
from datashop_assets.evaluation.tasks import tasks_id, write_tasks
from datashop_assets.lineage import content_id
from datashop_assets.mmlu import mmlu_questions
from datashop_assets.project import EvaluationSettings
from datashop_assets.records import EVAL_REPORTS
from datashop_assets.seams import Lake


class ContaminatedError(ValueError):
    """A model that was trained on what it would be evaluated on."""


@dataclass(frozen=True)
class EvalReport:
    """A row of `eval_reports`, its results parsed; `reused` says that nothing was evaluated now."""

    lens: str
    report: str
    comparison: Comparison
    created_at: datetime
    reused: bool = False


def reports(lake: Lake, lens: str) -> list[EvalReport]:
    """The lens's reports, oldest first."""
    rows = lake.scan(EVAL_REPORTS).filter(pl.col("lens") == lens).sort("created_at").collect().to_dicts()
    return [
        EvalReport(row["lens"], row["report"], Comparison.from_json(row["results"]), row["created_at"]) for row in rows
    ]


def prepare_tasks(folder: Path, documents: pl.DataFrame, settings: EvaluationSettings, model: Path | str) -> str:
    """Write the tasks afresh into the folder; returns their content id. Raises SliceError for an empty slice."""
    shutil.rmtree(folder, ignore_errors=True)
    cutter = DocumentEncoder(model, settings.document_tokens)
    questions = mmlu_questions(settings.mmlu_questions, settings.seed)
    write_tasks(folder, questions, build_slices(documents, settings, cutter.cut))
    return tasks_id(folder)


def produce_report(
    lake: Lake,
    workshop: Workshop,
    context: Any,
    *,
    lens: str,
    control: AnnealedModel,
    candidate: AnnealedModel,
    documents: pl.DataFrame,
    settings: EvaluationSettings,
    lineage: Mapping[str, Any],
) -> EvalReport:
    """Evaluate both models in a worker, compare, and record; or return the record that is there.

    `documents` (text, text_sha, source) are what the slices are drawn from. The worker's result files stay in the
    work folder, so that a control is evaluated once for all candidates on the same tasks.
    Raises ContaminatedError where fewer texts were held out at training than are now.
    """
    for model in (control, candidate):
        reserved = model.mixture.get("held_out_share", 0.0)
        if settings.held_out_share > reserved:
            raise ContaminatedError(
                f"evaluation.held_out_share is {settings.held_out_share}, but the {model.role} model was trained when "
                f"it was {reserved}, on texts that would now be evaluated on; materialize `{model.role}_model` again"
            )
    place = workshop.work / "evaluation" / lens
    tasks = prepare_tasks(place / "tasks", documents, settings, workshop.base_model()[1])
    report = content_id("report", RECIPE, control.model, candidate.model, tasks)
    known = reports(lake, lens)
    for made in reversed(known):
        if made.report == report:
            if made is not known[-1]:  # the models went back to what they were: this one is the newest again
                made = replace(made, created_at=datetime.now(UTC))
                _record(lake, made, lineage)
            return replace(made, reused=True)
    result = workshop.launcher.run(
        "evaluate",
        {
            "models": {model.model: str(workshop.models.fetch(model.uri)) for model in (control, candidate)},
            "tasks": str(place / "tasks"),
            "output": str(workshop.work / "evaluation" / "results"),
        },
        context,
    )
    measured = {
        name: ModelResults.from_json(Path(file).read_text(encoding="utf-8")) for name, file in result["results"].items()
    }
    comparison = compare(measured[control.model], measured[candidate.model])
    made = EvalReport(lens, report, comparison, datetime.now(UTC))
    _record(lake, made, lineage)
    return made


def _record(lake: Lake, made: EvalReport, lineage: Mapping[str, Any]) -> None:
    row = {
        "lens": made.lens,
        "report": made.report,
        "control": made.comparison.control,
        "candidate": made.comparison.candidate,
        "verdict": made.comparison.verdict,
        "results": made.comparison.to_json(),
        "created_at": made.created_at,
    }
    lake.commit(EVAL_REPORTS, pl.DataFrame([row], schema=EVAL_REPORTS.schema), None, lineage)
