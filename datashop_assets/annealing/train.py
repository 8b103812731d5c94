"""One short anneal: packed sequences in, a model directory out; survives kill -9 at any moment.

What belongs here: the training run, its checkpoints, its completion. Runs in a worker process, on CPU or GPU.
What does not: what is trained on (`mixture.py`, `packing.py`), reporting to Dagster (`workers/anneal.py`).
"""

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.project import AnnealSettings

RECIPE = 1  # raise when the meaning of this module changes
RESULT_FILE = "anneal.json"  # written last into the model directory
COMPLETE_FILE = "complete"  # written last into a checkpoint: transformers does not write one in one step


class AnnealError(RuntimeError):
    """A run that cannot go on; the message says what is wrong and what to change."""


@dataclass(frozen=True)
class StepLog:
    """Where a run is: `step` of `steps`, its mean loss in nats a token, and the speed since the run (re)started."""

    step: int
    steps: int
    loss: float
    learning_rate: float
    tokens_per_second: float


@dataclass(frozen=True)
class AnnealResult:
    """A finished run. `losses` are (step, loss) over the whole run; `seconds` is the time of the last process alone.

    `resumed_from` is the step of the checkpoint from which that process went on (0: from the start); `reused` is
    true where the model was already there and nothing was trained.
    """

    losses: tuple[tuple[int, float], ...]
    tokens: int
    seconds: float
    resumed_from: int = 0
    reused: bool = False


def training_id(base_model: str, mixture: str, settings: AnnealSettings) -> str:
    """Content id of the model that a run yields: base model, mixture and what of the settings changes the weights.

    `filtered_share` is left out (the mixture's id carries it), so the control stays the same when it changes, and
    so is `checkpoint_steps`. `document_tokens` counts: the same number of a document's tokens ends with EOS under one
    limit and in mid-text under another.
    """
    recipe = settings.model_dump(mode="json", exclude={"filtered_share", "checkpoint_steps", "model"})
    content = json.dumps([RECIPE, base_model, mixture, recipe], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def anneal(
    model: Path | str,
    sequences: NDArray[np.int32],
    settings: AnnealSettings,
    output: Path,
    on_log: Callable[[StepLog], None] = lambda _: None,
    threads: int | None = None,
) -> AnnealResult:
    """Train the model (folder or hub name) on the sequences, in their order, once; leave it in `output` as safetensors.

    AdamW, learning rate from `settings.learning_rate` linearly to zero without warm-up, gradients clipped at 1,
    float32. `output` appears whole or not at all. A run that was killed goes on from its last whole checkpoint (beside
    `output`, in `<output>.checkpoints`, removed at the end) and ends with the weights of an undisturbed run. Finished
    output of the same run is returned as it is. `threads` is for torch on CPU; None: all that the process may use.

    Raises AnnealError where the loss is not finite, and where `output` holds something else.
    """
    run = _run_id(model, sequences, settings)
    if output.exists():
        return _finished(output, run)
    import torch

    torch.set_num_threads(threads or available_cpus())
    checkpoints = output.with_name(output.name + ".checkpoints")
    resume = _last_checkpoint(checkpoints, run)
    started = time.monotonic()
    trained, losses = _train(model, sequences, settings, checkpoints, resume, on_log)
    result = AnnealResult(
        losses=losses,
        tokens=int(sequences.size),
        seconds=time.monotonic() - started,
        resumed_from=_step(resume) if resume else 0,
    )
    _publish(trained, model, result, run, output)
    shutil.rmtree(checkpoints)
    return result


def available_cpus() -> int:
    """CPUs that this process may run on: fewer than the machine's where an affinity mask is set."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _train(
    model: Path | str,
    sequences: NDArray[np.int32],
    settings: AnnealSettings,
    checkpoints: Path,
    resume: Path | None,
    on_log: Callable[[StepLog], None],
) -> tuple[Any, tuple[tuple[int, float], ...]]:
    import torch
    from transformers import AutoModelForCausalLM, PrinterCallback, Trainer, TrainingArguments, set_seed

    set_seed(settings.seed)
    weights = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    )
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=1,
        per_device_train_batch_size=settings.batch_size,
        train_sampling_strategy="sequential",  # the mixture's order is part of its id
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=0,
        weight_decay=settings.weight_decay,
        max_grad_norm=1.0,
        seed=settings.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a broken loss must be seen
        save_strategy="steps",
        save_steps=settings.checkpoint_steps,
        save_total_limit=2,  # the older one is dropped before the newer is known to be whole
        report_to="none",
        push_to_hub=False,
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    ids = torch.from_numpy(sequences.astype(np.int64))
    trainer = Trainer(
        model=weights,
        args=arguments,
        train_dataset=[{"input_ids": row, "labels": row} for row in ids],
        callbacks=[_progress(settings, sequences.shape[1], on_log)],
    )
    trainer.remove_callback(PrinterCallback)  # on_log reports
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    history = trainer.state.log_history
    losses = tuple((int(entry["step"]), float(entry["loss"])) for entry in history if "loss" in entry)
    return trainer.model, losses


def _progress(settings: AnnealSettings, sequence_length: int, on_log: Callable[[StepLog], None]) -> Any:
    """Reports each step, stops at a loss that is not finite, and marks each checkpoint when all of it is written."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            self.first_step, self.started = state.global_step, time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, **event: Any) -> None:  # noqa: ARG002
            logs: dict[str, float] = event["logs"]
            if "loss" not in logs:
                return
            if not math.isfinite(logs["loss"]):
                raise AnnealError(
                    f"the loss is {logs['loss']} at step {state.global_step} of {state.max_steps}: lower "
                    f"anneal.learning_rate (now {settings.learning_rate}) in the project file"
                )
            done = (state.global_step - self.first_step) * settings.batch_size * sequence_length
            speed = done / max(time.monotonic() - self.started, 1e-9)
            on_log(StepLog(state.global_step, state.max_steps, logs["loss"], logs["learning_rate"], speed))

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE_FILE).touch()

    return Progress()


def _run_id(model: Path | str, sequences: NDArray[np.int32], settings: AnnealSettings) -> str:
    """Identity of exactly this run: it keeps a checkpoint of another one from being resumed."""
    config = Path(model) / "config.json"
    base = config.read_text(encoding="utf-8") if config.is_file() else str(model)
    data = hashlib.sha256(np.ascontiguousarray(sequences).tobytes()).hexdigest()
    return training_id(base, f"{data}:{sequences.shape}", settings)


def _finished(output: Path, run: str) -> AnnealResult:
    file = output / RESULT_FILE
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if content.get("run") != run:
        raise AnnealError(
            f"{output} exists and holds another model than this run would make; name the output after the run's "
            "content (train.training_id) or move the folder away"
        )
    losses = tuple((int(step), float(loss)) for step, loss in content["losses"])
    return AnnealResult(losses, content["tokens"], content["seconds"], content["resumed_from"], reused=True)


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
    return max(checkpoints.glob("checkpoint-*"), key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def _publish(trained: Any, model: Path | str, result: AnnealResult, run: str, output: Path) -> None:
    """Write the model beside `output` and rename it into place, so that `output` is never half a model."""
    from transformers import AutoTokenizer

    stage = output.with_name(output.name + ".writing")
    if stage.exists():
        shutil.rmtree(stage)
    trained.save_pretrained(stage)
    AutoTokenizer.from_pretrained(model, trust_remote_code=False).save_pretrained(stage)
    content = {"run": run, **asdict(result)}
    (stage / RESULT_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")
    stage.rename(output)
