"""A workshop whose workers are scripts: annealing and evaluation in the tiny project, without a model.

A word is a token; a "trained" model is a folder that names its mixture; an "evaluated" one needs as many bits a byte
as the test says. Mixtures, tasks, records, comparison and checks are the real ones.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.annealing.produce import Workshop
from datashop_assets.classifier.recipes import TEXT_ENCODER
from datashop_assets.classifier.registry import ClassifierRecord
from datashop_assets.corpus.registry import registered_shards
from datashop_assets.evaluation.results import ModelResults, TaskResult
from datashop_assets.evaluation.tasks import MMLU_TASK, task_names
from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering.state import current_cutoff, record_cutoff
from datashop_assets.lineage import content_id, filtered_version, stable_fraction, text_scores_version
from datashop_assets.records import CLASSIFIERS, DOCUMENTS, FILTERED, SCORES
from datashop_assets.seams import Launcher
from datashop_assets_tests.filtering.rankings import decide, verdicts
from datashop_assets_tests.worlds import World, worth, write_project
from resources.lake import DeltaLake
from resources.launchers import ScriptedLauncher
from resources.model_store import LocalModelStore

LENS = "teaching"
CLASSIFIER = "by hand"
TOKENS = 400
# Each document has 12 words of its own and the end: the candidate's share is 120 tokens of 400.
FILTERED_SHARE = 0.3
LOSSES = [[1, 3.5], [2, 3.0], [3, 2.75]]


class WordEncoder:
    """In place of `DocumentEncoder`: words for tokens."""

    def __init__(self, model: Path | str, document_tokens: int = 512) -> None:
        self.document_tokens = document_tokens

    def count(self, text: str) -> int:
        return min(len(text.split()) + 1, self.document_tokens)

    def cut(self, text: str) -> str:
        return " ".join(text.split()[: self.document_tokens - 1])


def train(extras: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `workers.anneal` leaves and reports."""
    mixture = pl.read_parquet(extras["mixture"])
    output = Path(extras["output"])
    output.mkdir()
    (output / "model.safetensors").write_text(content_id(mixture["text_sha"].to_list()))
    return {"output": str(output), "tokens": int(mixture["tokens"].sum()), "losses": LOSSES}


def samples(tasks: Path, task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tasks / f"{task}.jsonl").read_text().splitlines()]


def measured(tasks: Path, task: str, saved: float) -> TaskResult:
    """A model on a task: half of the questions right; `saved` bits a byte fewer than the control, give or take 0.01.

    The documents themselves differ by up to 2 bits a byte. `saved` of 0 is the control itself.
    """
    rows = samples(tasks, task)
    ids = tuple(str(row["id"]) for row in rows)
    if task == MMLU_TASK:
        return TaskResult(task, "accuracy", True, ids, tuple(n % 2.0 for n in range(len(ids))), (1.0,) * len(ids))
    sizes = tuple(float(len(row["text"].encode())) for row in rows)
    spread = [stable_fraction(f"noise:{name}") * 0.02 - 0.01 if saved else 0 for name in ids]
    rates = [1 + 2 * stable_fraction(name) - saved + off for name, off in zip(ids, spread, strict=True)]
    bits = tuple(size * rate for size, rate in zip(sizes, rates, strict=True))
    return TaskResult(task, "bits_per_byte", False, ids, bits, sizes)


def evaluation(saved: float) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """What `workers.evaluate` leaves and reports, of a candidate that needs `saved` bits a byte fewer."""

    def evaluate(extras: Mapping[str, Any]) -> Mapping[str, Any]:
        tasks, output = Path(extras["tasks"]), Path(extras["output"])
        output.mkdir(parents=True, exist_ok=True)
        files = {}
        for name, less in zip(extras["models"], (0.0, saved), strict=True):  # control first
            results = ModelResults(name, tuple(measured(tasks, task, less) for task in task_names(tasks)))
            files[name] = str(output / f"{name}.json")
            Path(files[name]).write_text(results.to_json())
        return {"results": files, "seconds": 0.1}

    return evaluate


def filter_by_hand(
    lake: DeltaLake, lens: str, documents: pl.DataFrame, scores: Sequence[float], keep_from: float
) -> None:
    """Score the documents (shard, id, version) so, as a classifier of texts does, set the cut-off there, and filter
    them by it."""
    made = ClassifierRecord(
        lens, CLASSIFIER, TEXT_ENCODER, "by hand", "nowhere", "i", "{}", True, "", datetime.now(UTC)
    )
    lake.commit(CLASSIFIERS, pl.DataFrame([vars(made)], schema=CLASSIFIERS.schema), None, {})
    versions = dict(documents.select("shard", "version").unique().iter_rows())
    versions = {shard: text_scores_version(version, CLASSIFIER) for shard, version in versions.items()}
    scored = documents.select("shard", "id").with_columns(
        classifier=pl.lit(CLASSIFIER),
        score=pl.Series(scores, dtype=pl.Float32),
        int_score=pl.lit(0, pl.Int8),
        version=pl.col("shard").replace_strict(versions),
    )
    shards = scored["shard"].unique(maintain_order=True).to_list()
    addresses = [{"classifier": CLASSIFIER, "shard": shard, "version": versions[shard]} for shard in shards]
    lake.commit(SCORES.of(lens), scored.select(list(SCORES.schema)), addresses, {})
    decision = decide(scored, Threshold(lower=keep_from), lens, CLASSIFIER, current_cutoff(lake, lens))
    if decision.is_new:
        record_cutoff(lake, decision.record, {})
    pool = {shard.shard for shard in registered_shards(lake) if shard.pool_only}
    for shard in shards:
        version = filtered_version(versions[shard], decision.record.cutoff, shard in pool)
        rows = verdicts(scored.filter(shard=shard), decision.record, shard in pool)
        rows = rows.with_columns(shard=pl.lit(shard), version=pl.lit(version)).select(list(FILTERED.schema))
        lake.commit(FILTERED.of(lens), rows, [{"shard": shard, "version": version}], {})


class AnnealingWorld(World):
    """The tiny project, parsed, with `teaching` filtered and asking to be annealed; `scripts` are its workers."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for user in ("annealing.assets", "evaluation.produce"):
            monkeypatch.setattr(f"datashop_assets.{user}.DocumentEncoder", WordEncoder)
        lens = {"rater": "scripted", "sample_per_shard": 40}
        write_project(
            folder,
            lenses={LENS: lens | {"anneal": True}, "clarity": lens},
            anneal={"tokens": TOKENS, "sequence_length": 16, "filtered_share": FILTERED_SHARE},
            evaluation={"mmlu_questions": 4, "slices": {"pages": ["crawl"]}, "slice_documents": 10},
        )
        super().__init__(folder)
        self.scripts = {"anneal": train, "evaluate": evaluation(saved=0.2)}
        self.launcher = ScriptedLauncher(self.scripts)
        self.employ(self.launcher)
        self.land_shards(4)
        self.run("parse_and_embed_shards")
        self.worth_at_least = 4.0
        self.keep(self.worth_at_least)

    def employ(self, launcher: Launcher) -> None:
        """From here on the workers are this launcher's."""
        models = LocalModelStore(Path(self.profile.models))
        workshop = Workshop(launcher, models, lambda: ("base", "/nowhere"), self.profile.work)
        self.overrides["workshop"] = workshop
        self.reload()

    def keep(self, worth_at_least: float) -> None:
        """Score all documents by what they are worth, set the cut-off there, and filter."""
        documents = self.read(DOCUMENTS)
        filter_by_hand(self.lake, LENS, documents, [worth(text) for text in documents["text"]], worth_at_least)

    def grow(self) -> None:
        """As many shards again, parsed and filtered by the cut-off in force."""
        self.land_shards(len(self.shards), start=len(self.shards))
        self.run("parse_and_embed_shards")
        self.keep(self.worth_at_least)

    def calls(self, worker: str) -> list[dict[str, Any]]:
        """What the worker was asked so far."""
        return [extras for name, extras in self.launcher.calls if name == worker]

    def anneal_both(self) -> None:
        self.run("anneal_control")
        self.run("anneal_and_evaluate_candidate", LENS)

    def texts(self, shas: Collection[str]) -> list[str]:
        documents = self.read(DOCUMENTS)
        return documents.filter(pl.col("text_sha").is_in(list(shas)))["text"].to_list()
