"""The recipe `fine_tune`: an encoder with all its weights trained, in a worker process.

What belongs here: handing rated texts to the worker, and its model back as a scorer. What does not: training
(`fine_tune.py`), scoring (`sequence_classification.py`), how workers are run (`resources/launchers.py`).
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from datashop_assets.classifier.fine_tune import EXAMPLES, FineTuned, run_id
from datashop_assets.classifier.recipes import Examples, Fit, Reads, Step
from datashop_assets.classifier.sequence_classification import SequenceClassifier, files_digest
from datashop_assets.classifier.workbench import Workbench
from datashop_assets.finished_settings import SequenceClassificationSettings
from datashop_assets.rating.lens import Lens
from datashop_assets.text_model_settings import FineTuneSettings

WORKER = "fine_tune"
KEPT_S = 7 * 24 * 3600.0


@dataclass(frozen=True)
class FineTuneRecipe:
    """The base model is loaded, trained and measured by the worker; here only files are written and read."""

    settings: FineTuneSettings
    bench: Workbench | None = None
    reads: Reads = "texts"

    def fit(self, train: Examples, validation: Examples, lens: Lens, seed: int) -> Fit:
        """Train on the training rows; the checkpoint that is best on validation rows is taken.

        The scorer reads the worker's output where it lies, in a folder of the work bench that is named by content: a
        killed training goes on from its last checkpoint, and one whose result was not stored is not done again.
        Folders of trainings that nobody touched for a week are removed. Raises what the launcher raises, and ValueError
        without a work bench.
        """
        if self.bench is None:
            raise ValueError("a fine-tune runs in a worker process; give `recipe_of` a Workbench")
        _remove_old(self.bench.work)
        base = self.bench.files.folder(self.settings.model, self.settings.revision)
        examples = pl.concat([_frame(train, validation=False), _frame(validation, validation=True)])
        folder = self.bench.work / run_id(base, examples, self.settings, (lens.low, lens.high), seed)
        folder.mkdir(parents=True, exist_ok=True)
        examples.write_parquet(folder / "examples.parquet")
        extras = {
            "base": str(base),
            "examples": str(folder / "examples.parquet"),
            "settings": self.settings.model_dump(mode="json"),
            "scale": [lens.low, lens.high],
            "seed": seed,
            "output": str(folder / "model"),
        }
        done = FineTuned.from_report(self.bench.launch(WORKER, extras))
        return Fit(scorer_in(folder / "model", self.settings.max_tokens), _chosen(done), _steps(done))


def base_content(settings: object, bench: Workbench | None) -> list[str]:
    """The content of what a recipe with these settings starts from: a digest of the base model's files, whatever name
    leads to them; nothing for all other recipes. Raises what finding the model's files does, and ValueError as `fit`.
    """
    if not isinstance(settings, FineTuneSettings):
        return []
    if bench is None:
        raise ValueError("a fine-tune starts from a model's files; give a Workbench")
    return [files_digest(bench.files.folder(settings.model, settings.revision))]


def scorer_in(model: Path, max_tokens: int) -> SequenceClassifier:
    """The scorer of a fine-tuned model's folder."""
    return SequenceClassifier(model, SequenceClassificationSettings(model=str(model), max_tokens=max_tokens))


def _remove_old(work: Path) -> None:
    for folder in work.glob("*/"):
        newest = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
        if time.time() - newest > KEPT_S:
            shutil.rmtree(folder)


def _frame(examples: Examples, *, validation: bool) -> pl.DataFrame:
    texts = [str(text) for text in examples.inputs]
    weights = examples.weights / (1.0 if validation else float(np.mean(examples.weights)))
    columns = (texts, examples.targets, weights, examples.rated, [validation] * len(texts))
    return pl.DataFrame(dict(zip(EXAMPLES, columns, strict=True)), schema=EXAMPLES)


def _chosen(done: FineTuned) -> dict[str, float | str]:
    best = next(measured for measured in done.log if measured.step == done.best_step)
    return {"step": best.step, "validation_mae": best.mae, "validation macro-F1": best.macro_f1}


def _steps(done: FineTuned) -> tuple[Step, ...]:
    return tuple(Step("step", measured.step, measured.train_loss, measured.mae) for measured in done.log)
