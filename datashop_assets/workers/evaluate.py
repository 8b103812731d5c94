"""Worker: evaluate models in one process. Run as `python -m datashop_assets.workers.evaluate` through Dagster Pipes.

What belongs here: reading the inputs that the asset left in files, reporting progress and where the results lie.
What does not: the harness (`evaluation/harness.py`), the comparison (`evaluation/compare.py`).

Extras: `models` (name -> model folder; the name is the model's content id), `tasks` (folder written by
`evaluation.tasks.write_tasks`), `output` (folder for one result file a model), and optionally `threads` and
`batch_size`. Reports `results` (name -> file of `evaluation.results.ModelResults`) and `seconds`.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from datashop_assets.evaluation.harness import evaluate
from datashop_assets.evaluation.results import ModelResults, TaskResult
from datashop_assets.evaluation.tasks import tasks_id
from datashop_assets.workers.parent import run_worker


def work(extras: Mapping[str, Any], say: Callable[[str], None]) -> Mapping[str, Any]:
    """Evaluate each model on every task. A result file that is there for the same model and tasks is kept."""
    started = time.monotonic()
    tasks, output = Path(extras["tasks"]), Path(extras["output"])
    identity = tasks_id(tasks)
    output.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    for name, model in extras["models"].items():
        file = output / f"{name}-{identity}.json"
        files[name] = str(file)
        if file.exists():
            say(f"{name}: already evaluated, {file}")
            continue

        def progress(task: TaskResult, seconds: float, model_name: str = name) -> None:
            say(f"{model_name}: {task.task} {task.metric} {task.score:.4f} (n={len(task.ids)}, {seconds:.0f} s)")

        say(f"{name}: loading {model}")
        results = evaluate(
            name, model, tasks, progress, threads=extras.get("threads"), batch_size=extras.get("batch_size", 8)
        )
        _write(results, file)
    return {"results": files, "seconds": time.monotonic() - started}


def _write(results: ModelResults, file: Path) -> None:
    """Whole or not at all: a killed worker leaves no result that would be taken for finished, and two that evaluate
    the same control at once do not write into one stage."""
    stage = file.with_suffix(f".{uuid.uuid4().hex}.writing")
    stage.write_text(results.to_json(), encoding="utf-8")
    stage.rename(file)


if __name__ == "__main__":
    run_worker(work)
