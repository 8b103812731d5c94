"""Runs lm-eval on one model and keeps what it measured for every sample.

What belongs here: the call of the harness and reading its samples. What does not: the tasks (`tasks.py`), comparing
models (`compare.py`).
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datashop_assets.annealing.train import available_cpus
from datashop_assets.evaluation.results import ModelResults, TaskResult
from datashop_assets.evaluation.tasks import task_names


def evaluate(
    name: str,
    model: Path | str,
    tasks: Path,
    on_task: Callable[[TaskResult, float], None] = lambda _, __: None,
    threads: int | None = None,
    batch_size: int = 8,
) -> ModelResults:
    """Evaluate a model (folder or hub name) on every task of a folder; `on_task` hears of each with its seconds.

    float32 on CPU or GPU, zero-shot, without chat template. `threads` is for torch on CPU; None: all that the
    process may use. Raises FileNotFoundError where the folder has no task.
    """
    names = task_names(tasks)
    if not names:
        raise FileNotFoundError(f"{tasks} holds no task; write some with evaluation.tasks.write_tasks")
    import torch
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads or available_cpus())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    weights: Any = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    )
    weights.to(device)
    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    lm = HFLM(pretrained=weights, tokenizer=tokenizer, batch_size=batch_size, device=device)
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    results = []
    for task in names:
        started = time.monotonic()
        # lm-eval's own standard errors are of no use here (bootstrap_iters=0): models are compared in pairs
        output = simple_evaluate(lm, tasks=[task], task_manager=manager, bootstrap_iters=0, log_samples=True)
        if output is None:
            raise RuntimeError(f"lm-eval returned nothing for task {task}; evaluate in a single process")
        results.append(read_samples(task, output["samples"][task]))
        on_task(results[-1], time.monotonic() - started)
    return ModelResults(name, tuple(results))


def read_samples(task: str, samples: Sequence[Mapping[str, Any]]) -> TaskResult:
    """The samples of one task as lm-eval logs them: accuracy, or (log-likelihood in nats, bytes) as bits and bytes."""
    ordered = sorted(samples, key=lambda sample: sample["doc_id"])
    ids = tuple(str(sample["doc"]["id"]) for sample in ordered)
    if "acc" in ordered[0]:
        right = tuple(float(sample["acc"]) for sample in ordered)
        return TaskResult(task, "accuracy", True, ids, right, (1.0,) * len(right))
    measured = [sample["bits_per_byte"] for sample in ordered]
    bits = tuple(-float(nats) / math.log(2) for nats, _ in measured)
    return TaskResult(task, "bits_per_byte", False, ids, bits, tuple(float(count) for _, count in measured))
