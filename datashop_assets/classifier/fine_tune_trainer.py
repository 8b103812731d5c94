"""The training loop of a fine-tune, by transformers' Trainer: checkpoints, the best of them, early stopping.

What belongs here: what of the Trainer is used, and how. What does not: the run around it, its identity and its result
(`fine_tune.py`).
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.classifier.sequence_classification import TextModelError
from datashop_assets.text_model_settings import FineTuneSettings

COMPLETE_FILE = "complete"  # written last into a checkpoint: transformers does not write one in one step
SAY_SECONDS = 15.0


class FineTuneError(RuntimeError):
    """A run that cannot go on; the message says what is wrong and what to change."""


@dataclass(frozen=True)
class Run:
    """What a training needs. `examples` has ids (token ids), target, weight, rated and validation (true: not trained
    on), a row a text; `low` and `high` bound the scale."""

    examples: pl.DataFrame
    settings: FineTuneSettings
    low: int
    high: int
    seed: int
    checkpoints: Path
    say: Callable[[str], Any]


@dataclass(frozen=True)
class Measured:
    """A checkpoint's step, the mean training loss since the one before, and its figures on validation rows."""

    step: int
    train_loss: float
    loss: float
    mae: float
    macro_f1: float


def run_training(
    model: Any, tokenizer: Any, run: Run, resume: Path | None, device_batch: int
) -> tuple[Any, list[Measured], int]:
    """Train the model, and return it at its best checkpoint, the checkpoints' figures and the best one's step.

    AdamW, the loss squared error weighted by row, gradients clipped at 1. A batch that is larger than `device_batch` is
    accumulated. Raises FineTuneError where the loss is not finite.
    """
    import torch
    from transformers import EarlyStoppingCallback, PrinterCallback, TrainingArguments

    settings = run.settings
    rows = run.examples.filter(~pl.col("validation"))
    epoch_steps = math.ceil(rows.height / settings.batch_size)
    evaluate_steps = min(settings.evaluate_steps, epoch_steps)
    arguments = TrainingArguments(
        output_dir=str(run.checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=device_batch,
        per_device_eval_batch_size=device_batch,
        gradient_accumulation_steps=settings.batch_size // device_batch,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule if settings.schedule != "constant" else "constant_with_warmup",
        warmup_steps=settings.warmup_share,  # below 1: a share of all steps
        weight_decay=settings.weight_decay,
        max_grad_norm=1.0,
        seed=run.seed,
        bf16=settings.precision == "bfloat16",
        logging_steps=1,
        logging_nan_inf_filter=False,  # a broken loss must be seen
        eval_strategy="steps",
        eval_steps=evaluate_steps,
        save_strategy="steps",
        save_steps=evaluate_steps,
        save_total_limit=2,  # the best and the last
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{settings.best_by}",
        greater_is_better=settings.best_by == "macro_f1",
        restore_callback_states_from_checkpoint=True,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        push_to_hub=False,
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = _trainer_class()(
        model=model,
        args=arguments,
        train_dataset=list(_items(rows, "target")),
        # Choices are made on scores as they were rated, each counting once.
        eval_dataset=list(_items(run.examples.filter("validation").with_columns(weight=1.0), "rated")),
        data_collator=_collator(tokenizer.pad_token_id or 0),
        compute_metrics=_figures(run.low, run.high),
        callbacks=[
            _progress(run),
            *([EarlyStoppingCallback(settings.patience)] if settings.patience is not None else []),
        ],
    )
    trainer.remove_callback(PrinterCallback)  # `say` reports
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    best = trainer.state.best_model_checkpoint
    return trainer.model, list(_measured(trainer.state.log_history)), step_of(Path(best))


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def _items(rows: pl.DataFrame, label: str) -> Iterator[dict[str, Any]]:
    for ids, target, weight in rows.select("ids", label, "weight").iter_rows():
        yield {"input_ids": ids, "labels": target, "weight": weight}


def _collator(pad: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    import torch

    def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
        longest = max(len(item["input_ids"]) for item in items)
        ids = torch.full((len(items), longest), pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, item in enumerate(items):
            ids[row, : len(item["input_ids"])] = torch.tensor(item["input_ids"])
            mask[row, : len(item["input_ids"])] = 1
        numbers = {name: torch.tensor([item[name] for item in items], dtype=torch.float32) for name in _NUMBERS}
        return {"input_ids": ids, "attention_mask": mask, **numbers}

    return collate


_NUMBERS = ("labels", "weight")


def _trainer_class() -> Any:
    from transformers import Trainer

    class WeightedRegression(Trainer):
        # Else the loss is taken for one that is divided by the accumulated batches already, and is not divided.
        loss_is_scaled_for_ga = False

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, *_: Any, **__: Any) -> Any:
            outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            error = outputs.logits.squeeze(-1).float() - inputs["labels"]
            loss = (inputs["weight"] * error**2).mean()
            return (loss, outputs) if return_outputs else loss

    return WeightedRegression


def _figures(low: int, high: int) -> Callable[[Any], dict[str, float]]:
    """Of a checkpoint: MAE of its scores, and macro-F1 of them rounded to the scale."""
    from sklearn.metrics import f1_score

    def figures(evaluated: Any) -> dict[str, float]:
        scores, labels = np.asarray(evaluated.predictions, np.float64).reshape(-1), evaluated.label_ids.reshape(-1)
        classes = [np.clip(np.rint(values), low, high).astype(int) for values in (labels, scores)]
        return {
            "mae": float(np.abs(scores - labels).mean()),
            "macro_f1": float(f1_score(*classes, average="macro", zero_division=0)),
        }

    return figures


def _measured(history: list[dict[str, float]]) -> Iterator[Measured]:
    losses: list[float] = []
    for entry in history:
        if "loss" in entry:
            losses.append(entry["loss"])
        elif "eval_mae" in entry:
            loss = sum(losses) / len(losses) if losses else float("nan")
            yield Measured(int(entry["step"]), loss, entry["eval_loss"], entry["eval_mae"], entry["eval_macro_f1"])
            losses = []


def _progress(run: Run) -> Any:
    """Reports, stops at a loss that is not finite, and marks each checkpoint when all of it is written."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            self.first, self.begun = state.global_step, time.monotonic()
            self.said = self.begun

        def on_log(self, args: Any, state: Any, control: Any, **event: Any) -> None:  # noqa: ARG002
            logs: dict[str, float] = event["logs"]
            if not math.isfinite(logs.get("loss", 0.0)):
                raise FineTuneError(
                    f"the loss is {logs['loss']} at step {state.global_step} of {state.max_steps}: lower the model's "
                    f"learning_rate (now {run.settings.learning_rate:g}) in the project file"
                )
            if "eval_mae" in logs:
                run.say(
                    f"step {state.global_step}/{state.max_steps}: validation MAE {logs['eval_mae']:.3f}, macro-F1 "
                    f"{logs['eval_macro_f1']:.3f}"
                )
            elif "loss" in logs and time.monotonic() - self.said > SAY_SECONDS:
                self.said = time.monotonic()
                rate = (state.global_step - self.first) / (self.said - self.begun)
                left = (state.max_steps - state.global_step) / rate / 60
                run.say(
                    f"step {state.global_step}/{state.max_steps}: loss {logs['loss']:.4f}, "
                    f"{rate * run.settings.batch_size:.1f} documents/s, {left:.0f} min left"
                )

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE_FILE).touch()

    return Progress()


def load_for_training(place: Path, mean: float) -> tuple[Any, Any]:
    """The encoder in float32 with a new head of one output, which starts at the mean target, and its tokenizer.

    Never runs code that comes with a model. Raises TextModelError.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(place), trust_remote_code=False)
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            str(place),
            num_labels=1,
            id2label={0: "score"},
            label2id={"score": 0},
            problem_type="regression",
            ignore_mismatched_sizes=True,  # a head of other labels is replaced
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError) as error:
        raise TextModelError(
            f"{place} cannot be loaded as an encoder with safetensors weights and without code of its own: {error}. "
            "Of gte-base-en-v1.5, which is published as such code, Alibaba-NLP/gte-modernbert-base is a native "
            "substitute."
        ) from error
    if model.config.pad_token_id is None:
        known = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        model.config.pad_token_id = next(number for number in known if number is not None)
    heads = [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part.out_features == 1]
    if heads and heads[-1].bias is not None:
        # From 0 the few steps of a small training would be spent on the mean: 3 epochs of 500 texts are 12 steps.
        torch.nn.init.constant_(heads[-1].bias, mean)
    return model, tokenizer
