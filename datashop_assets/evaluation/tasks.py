"""Tasks for lm-eval from local files alone: multiple-choice questions and held-out perplexity.

What belongs here: task definitions (YAML) and their data (JSON lines) in a work folder. What does not: the
questions themselves (`mmlu.py`), running them (`harness.py`), choosing slice documents (`slices.py`).
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from datashop_assets.mmlu import LETTERS, Question

MMLU_TASK = "mmlu_dev"
SLICE_PREFIX = "slice_"

# The harness's own zero-shot MMLU prompt, subject line included. The answers are single tokens, so that one forward
# pass a question serves all four.
MMLU_PROMPT = (
    "The following are multiple choice questions (with answers) about {{subject}}.\n\n{{question}}\n"
    "A. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:"
)


def write_tasks(folder: Path, questions: tuple[Question, ...], slices: pl.DataFrame) -> None:
    """Write a task for the questions (if any) and one for each slice (SLICE_SCHEMA) into an empty folder.

    Task names: `mmlu_dev` and `slice_<name>`. Raises FileExistsError where the folder holds something.
    """
    folder = folder.resolve()  # the definitions name their data files, and a worker may run elsewhere
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; give the tasks a folder of their own")
    folder.mkdir(parents=True, exist_ok=True)
    if questions:
        _write_task(folder, MMLU_TASK, [asdict(question) for question in questions], _choice_task())
    for (name,), rows in slices.group_by("slice", maintain_order=True):
        _write_task(folder, f"{SLICE_PREFIX}{name}", rows.select("id", "text").to_dicts(), _perplexity_task())


def task_names(folder: Path) -> tuple[str, ...]:
    """The tasks of a folder, in alphabetical order."""
    return tuple(sorted(file.stem for file in folder.glob("*.yaml")))


def tasks_id(folder: Path) -> str:
    """Content id of a task folder's data and definitions: equal ids give comparable results."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.jsonl"), *folder.glob("*.yaml")]):
        content = file.read_text(encoding="utf-8").replace(str(folder.resolve()), "")  # wherever the folder lies
        digest.update(f"{file.name}:{hashlib.sha256(content.encode()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _choice_task() -> dict[str, Any]:
    return {
        "output_type": "multiple_choice",
        "doc_to_text": MMLU_PROMPT,
        "doc_to_choice": list(LETTERS),
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }


def _perplexity_task() -> dict[str, Any]:
    return {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "bits_per_byte", "aggregation": "bits_per_byte", "higher_is_better": False}],
    }


def _write_task(folder: Path, name: str, rows: list[dict[str, Any]], task: dict[str, Any]) -> None:
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    definition = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "num_fewshot": 0,
        "metadata": {"version": 1.0},
        **task,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(definition, sort_keys=False), encoding="utf-8")
