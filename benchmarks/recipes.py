"""How good each recipe's classifier is on the same held-out texts, and what training it costs.

    python -m benchmarks.recipes [--quick]

The texts are the demo's sources, real documents of seven kinds, of at most 128 tokens. The score to learn is a stand-in
for a rating: each kind has a value from 0 (minified code) to 4.5 (encyclopedia), and a rater's error of standard
deviation 0.7 is added, so that no classifier can have a mean absolute error below about 0.5. The encoder is the demo's,
all-MiniLM-L6-v2: mean vectors of unit length, and CLS states that are not normalised, which is what the published
recipes with a frozen encoder train on. A second lens, for the recipe that learns from several, is how much of a text is
letters, with no error.

Every recipe trains on the same texts and is measured on the same held-out ones: Spearman's rank correlation, mean
absolute error and F1 of `score >= 3`, each with its 95 % bootstrap interval, and the standard deviation of the mean
absolute error over three seeds, where validation split, initial values and order differ. In a second table labels are
scarce (a fifth as many). Costs are CPU seconds of one training on one thread, without encoding.

`--quick` takes 1,000 texts in place of 3,000, and one seed. Prints Markdown tables and, as the last line, one JSON
object.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier.dataset import is_held_out
from datashop_assets.classifier.recipes import Examples
from datashop_assets.classifier.report import Report
from datashop_assets.classifier.train import train
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.demo.sources import SOURCES
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.rating.lens import Lens
from resources.encoders import TransformerEncoder

VALUES = {
    "encyclopedia": 4.5,
    "language_reference": 4.0,
    "python_code": 3.0,
    "readme": 2.0,
    "license": 1.0,
    "generated_code": 0.5,
    "minified_js": 0.0,
}
ERROR, TEXTS, QUICK_TEXTS, SEEDS, SEED, MAX_TOKENS = 0.7, 3000, 1000, 3, 2026, 128
LENS = Lens("worth", "Worth", "Of what kind a text is.", 0, 5, 3.0, 4000, "", "", ())
MEAN, CLS = "mean, unit length", "CLS, raw"
# name -> vectors, recipe
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": (MEAN, {}),
    "ordinal": (MEAN, {"model": {"kind": "ordinal"}}),
    "softmax": (MEAN, {"model": {"kind": "softmax"}}),
    "pooler": (MEAN, {"model": {"kind": "pooler"}}),
    "multi_lens": (MEAN, {"model": {"kind": "multi_lens", "lenses": ["letters"]}}),
    "linear_balanced": (MEAN, {"balance": "weights"}),
    "linear_cls": (CLS, {}),
    "pooler_cls": (CLS, {"model": {"kind": "pooler"}}),
    "fineweb_edu_cls": (CLS, {"preset": "fineweb_edu"}),
    "llm_data_eval_cls": (CLS, {"preset": "llm_data_eval"}),
    "fasttext": ("texts", {"model": {"kind": "fasttext"}}),
}


@dataclass(frozen=True, eq=False)
class Task:
    """Rated texts, and what recipes read of them; `letters` are the second lens's scores."""

    rows: pl.DataFrame
    letters: NDArray[np.float64]
    inputs: Mapping[str, Any]

    def few(self, share: int) -> "Task":
        """All held-out rows, and one in `share` of the others."""
        held_out = np.array([is_held_out(sha, 0.2) for sha in self.rows["text_sha"]])
        kept = np.flatnonzero(held_out | (np.arange(self.rows.height) % share == 0))
        inputs = {
            name: given[kept] if isinstance(given, np.ndarray) else [given[row] for row in kept]
            for name, given in self.inputs.items()
        }
        return Task(self.rows[kept.tolist()], self.letters[kept], inputs)


def rated_texts(count: int) -> Task:
    """So many texts of all sources, shuffled, with the rater's scores, and their vectors."""
    found = [(VALUES[name], text) for name, texts in SOURCES.items() for text in dict.fromkeys(t.text for t in texts())]
    random.Random(SEED).shuffle(found)
    texts = [text for _, text in found[:count]]
    errors = np.random.default_rng(SEED).normal(0, ERROR, len(texts))
    rows = pl.DataFrame(
        {
            "shard": ["texts"] * len(texts),
            "id": [str(number) for number in range(len(texts))],
            "text_sha": [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts],
            "chars": [len(text) for text in texts],
            "score": np.clip(np.array([value for value, _ in found[:count]]) + errors, 0, 5),
        }
    )
    letters = np.array([5 * sum(map(str.isalpha, text[:1000])) / max(1, len(text[:1000])) for text in texts])
    inputs: dict[str, Any] = {"texts": texts}
    for name, settings in ((MEAN, {}), (CLS, {"pooling": "cls", "normalize": False})):
        encoder = TransformerEncoder(EncoderSettings(max_tokens=MAX_TOKENS, **settings), threads=1)
        # As the lake keeps them.
        inputs[name] = encoder.encode(texts).astype(np.float16).astype(np.float32)
    return Task(rows, letters, inputs)


def trained(task: Task, name: str, seeds: int) -> tuple[Report, float]:
    """The report of a recipe's classifier, and the CPU seconds of one training."""
    reads, settings = RECIPES[name]
    recipe = ClassifierRecipe.model_validate(settings)
    free = [row for row, sha in enumerate(task.rows["text_sha"]) if not is_held_out(sha, recipe.held_out_share)]
    letters = task.letters[free]
    others = {"letters": Examples(task.inputs[MEAN][free], letters, np.ones(len(free)), letters)}

    def run(recipe: ClassifierRecipe) -> tuple[Report, float]:
        start = time.process_time()
        made = train(task.rows, task.inputs[reads], LENS, recipe, "benchmark", others=others)
        return made.report, time.process_time() - start

    report, _ = run(recipe.model_copy(update={"seeds": seeds}))
    _, seconds = run(recipe.model_copy(update={"bootstrap": 100}))  # the libraries are loaded now
    return report, seconds


def table(title: str, found: Mapping[str, tuple[Report, float]]) -> str:
    """One row a recipe."""
    lines = [
        f"### {title}",
        "",
        "| recipe | reads | Spearman | MAE | sd of MAE over seeds | F1 at 3 | chosen | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, (report, seconds) in found.items():
        figures = [report.figures["spearman"], report.figures["mae"], report.figures["f1_at_positive"]]
        spearman, mae, f1 = ("" if each is None else f"{each.value:.3f} {each.interval}" for each in figures)
        over = report.over_seeds.get("mae")
        deviation = f"{over.deviation:.3f} ({over.seeds})" if over else ""
        chosen = ", ".join(f"{key} {value}" for key, value in report.chosen.items())
        cells = [name, RECIPES[name][0], spearman, mae, deviation, f1, chosen, f"{seconds:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def figures(found: Mapping[str, tuple[Report, float]], prefix: str) -> dict[str, Any]:
    """What the JSON line says of a table."""
    values: dict[str, Any] = {}
    for name, (report, seconds) in found.items():
        values[f"{prefix}{name}_cpu_s"] = round(seconds, 2)
        for metric in ("spearman", "mae", "f1_at_positive"):
            figure = report.figures[metric]
            values[f"{prefix}{name}_{metric}"] = None if figure is None else round(figure.value, 4)
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    import torch

    torch.set_num_threads(1)
    task = rated_texts(QUICK_TEXTS if quick else TEXTS)
    few = task.few(5)
    seeds = 1 if quick else SEEDS
    all_labels = {name: trained(task, name, seeds) for name in RECIPES}
    few_labels = {name: trained(few, name, seeds) for name in RECIPES}
    counts = [each["linear"][0].counts for each in (all_labels, few_labels)]
    for title, found, count in (("All labels", all_labels, counts[0]), ("A fifth of them", few_labels, counts[1])):
        print(table(f"{title}: {count.train + count.validation} rated texts, {count.held_out} held out", found))  # noqa: T201
    result = {
        **figures(all_labels, ""),
        **figures(few_labels, "few_"),
        "n_labels": counts[0].train + counts[0].validation,
        "n_few_labels": counts[1].train + counts[1].validation,
        "n_held_out": counts[0].held_out,
        "seeds": seeds,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
    }
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
