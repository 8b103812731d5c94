"""Training all weights of an encoder as a regression: rated texts in, a model folder out; survives kill -9.

What belongs here: the run's identity, its checkpoints on the disk, its completion. Runs in a worker process, on CPU or
GPU. What does not: the training loop (`fine_tune_trainer.py`), the recipe and where it runs (`fine_tune_recipe.py`),
scoring with the result (`sequence_classification.py`).
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.classifier.fine_tune_trainer import (
    COMPLETE_FILE,
    FineTuneError,
    Measured,
    Run,
    load_for_training,
    run_training,
    step_of,
)
from datashop_assets.classifier.sequence_classification import files_digest, is_out_of_memory
from datashop_assets.classifier.text_batches import token_ids
from datashop_assets.durable import new_directory, sole_writer
from datashop_assets.lineage import content_id
from datashop_assets.text_model_settings import FineTuneSettings

RECIPE = 1  # raise when the meaning of this training changes
RESULT_FILE = "fine_tune.json"
# What a training reads: text, target and weight to train on, rated to choose on, validation: true, not trained on.
EXAMPLES = {
    "text": pl.String,
    "target": pl.Float64,
    "weight": pl.Float64,
    "rated": pl.Float64,
    "validation": pl.Boolean,
}


@dataclass(frozen=True)
class FineTuned:
    """A finished run: the checkpoints' figures, the step of the one that was taken.

    `seconds` is the time of the last process alone, `resumed_from` the step of the checkpoint from which it went on
    (0: from the start); `reused` is true where the model was already there and nothing was trained.
    """

    log: tuple[Measured, ...]
    best_step: int
    seconds: float
    resumed_from: int = 0
    reused: bool = False

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> "FineTuned":
        """What `asdict` made of it, also where JSON was in between."""
        return cls(**{**report, "log": tuple(Measured(**measured) for measured in report["log"])})


def run_id(base: Path, examples: pl.DataFrame, settings: FineTuneSettings, scale: tuple[int, int], seed: int) -> str:
    """Content id of the model that a run yields: the base model's files, the rows, the settings and the seed."""
    rows = hashlib.sha256()
    for row in examples.select(list(EXAMPLES)).iter_rows():
        rows.update(json.dumps(row).encode())
    said = settings.model_dump(mode="json", exclude={"model", "revision"})
    return content_id("fine_tune", RECIPE, files_digest(base), rows.hexdigest(), said, list(scale), seed)


def fine_tune(
    base: Path,
    examples: pl.DataFrame,
    settings: FineTuneSettings,
    scale: tuple[int, int],
    seed: int,
    output: Path,
    say: Callable[[str], Any] = lambda _: None,
    threads: int | None = None,
) -> FineTuned:
    """Train the model in the folder `base` on `examples` (schema EXAMPLES); leave the best checkpoint in `output`.

    `output` is a folder for `AutoModelForSequenceClassification` with one output, the score; it appears whole or not at
    all. A run that was killed goes on from its last whole checkpoint (beside `output`, in `<output>.checkpoints`,
    removed at the end) and ends with the weights of an undisturbed run on the same device. Finished output of the same
    run is returned as it is. Where memory does not suffice, fewer documents are held at once and the run goes on.

    Raises TextModelError where the model cannot be loaded, FineTuneError where the loss is not finite, the device
    cannot do it, or `output` holds something else.
    """
    run = run_id(base, examples, settings, scale, seed)
    with sole_writer(output):
        if output.exists():
            return _finished(output, run)
        import torch
        from transformers import set_seed

        if settings.precision == "bfloat16" and not torch.cuda.is_available():
            raise FineTuneError("precision bfloat16 needs a GPU, and there is none here; set precision: float32")
        torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
        checkpoints = output.with_name(output.name + ".checkpoints")
        begun = time.monotonic()
        device_batch, first = settings.device_batch_size or settings.batch_size, _last_checkpoint(checkpoints, run)
        mean = float(examples.filter(~pl.col("validation"))["target"].to_numpy().mean())
        trained = None
        while trained is None:
            resume = _last_checkpoint(checkpoints, run)
            set_seed(seed)  # the new head's weights, and dropout
            model, tokenizer = load_for_training(base, mean)
            ids = token_ids(tokenizer, examples["text"].to_list(), settings.max_tokens)
            rows = examples.with_columns(pl.Series("ids", [some or [model.config.pad_token_id] for some in ids]))
            work = Run(rows, settings, *scale, seed, checkpoints, say)
            try:
                trained = run_training(model, tokenizer, work, resume, device_batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or device_batch == 1:
                    raise
                device_batch = _next_smaller(device_batch, settings.batch_size)
                say(f"memory does not suffice: {device_batch} documents at once from now on")
        model, log, best = trained
        done = FineTuned(tuple(log), best, time.monotonic() - begun, step_of(first) if first else 0)
        with new_directory(output) as folder:
            model.save_pretrained(folder)
            tokenizer.model_max_length = settings.max_tokens
            tokenizer.save_pretrained(folder)
            (folder / RESULT_FILE).write_text(json.dumps({"run": run, **asdict(done)}, indent=1), encoding="utf-8")
        shutil.rmtree(checkpoints)
    return done


def _next_smaller(device_batch: int, batch: int) -> int:
    return max(size for size in range(1, device_batch // 2 + 1) if batch % size == 0)


def _finished(output: Path, run: str) -> FineTuned:
    file = output / RESULT_FILE
    said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if said.pop("run", None) != run:
        raise FineTuneError(f"{output} holds another model than this run would make; move the folder away")
    return FineTuned.from_report({**said, "reused": True})


def _last_checkpoint(checkpoints: Path, run: str) -> Path | None:
    """The newest whole checkpoint of this run; what is not whole or of another run is removed."""
    mark = checkpoints / "run"
    if checkpoints.exists() and (not mark.exists() or mark.read_text(encoding="utf-8") != run):
        shutil.rmtree(checkpoints)
    checkpoints.mkdir(parents=True, exist_ok=True)
    mark.write_text(run, encoding="utf-8")
    for folder in checkpoints.glob("checkpoint-*"):
        if not (folder / COMPLETE_FILE).exists():
            shutil.rmtree(folder)
    return max(checkpoints.glob("checkpoint-*"), key=step_of, default=None)
