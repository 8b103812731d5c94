"""A lake of many shards and lenses, grown stage by stage as a project's is, for `python -m benchmarks.automation`.

What belongs here: a project, its landing files, and cells at the versions that the product wants. What does not: how a
cell gets into a table's log (`automation_log.py`), what is measured (`automation.py`).

Everything of which there is one a lens or one a project (registry, classifiers, promotions, cut-offs) is written by the
product's own functions, rows and all.
"""

import hashlib
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import yaml

from benchmarks.automation_log import commit_cells
from datashop_assets.classifier.registry import ClassifierRecord, Promotion, promoted, record_classifier
from datashop_assets.corpus.documents import documents_version
from datashop_assets.corpus.registry import register
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.sketches import SHARDS_AT_ONCE, sketch_rows
from datashop_assets.filtering.state import record_cutoff
from datashop_assets.filtering.tables import SCORE_SKETCHES
from datashop_assets.graph import Graph, load_graph
from datashop_assets.lineage import content_id, embeddings_version, filtered_version, scores_version
from datashop_assets.project import load_project
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, FILTERED, PROMOTIONS, QUARANTINE, SCORES, Shard, TableSpec
from resources.lake import DeltaLake
from resources.landing import FsspecLandingArea

DATASET = "crawl"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# What a shard of the log's statistics has; a crawl's have more, which no planner sees.
DOCUMENTS_A_SHARD = 50
# As the assets commit them: see `batch_cells` in each stage's `produce.py`.
CELLS_A_COMMIT = {"documents": 1, "quarantine": 1, "embeddings": 4, "scores": 16, "filtered_documents": 16}
CELLS_A_COMMIT["score_sketches"] = SHARDS_AT_ONCE


def lens_names(lenses: int) -> list[str]:
    return [f"lens_{number:02d}" for number in range(lenses)]


def write_project(folder: Path, shards: int, lenses: int, files_a_shard: int = 2, **automation: object) -> Path:
    """A project file with as many lenses of its own, and a landing of as many shards' worth of one-line files."""
    landing = folder / "landing"
    for number in range(shards * files_a_shard):
        file = landing / f"crawl-{number // 1000:04d}" / f"part-{number:06d}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"text": "A document."}\n')
    for name in lens_names(lenses):
        library = folder / "lenses" / name
        library.mkdir(parents=True)
        header = {"title": name, "description": "How much of it.", "scale": [0, 5], "positive_at": 3}
        (library / "lens.yaml").write_text(yaml.safe_dump(header))
        (library / "system.jinja").write_text("You rate.")
        (library / "prompt.jinja").write_text("Rate from {{ low }} to {{ high }}:\n{{ document }}")
        (library / "exemplars.yaml").write_text("[]")
    asked = {"rater": "served", "cutoff": {"keep_fraction": 0.25}}
    content = {
        "name": "scale",
        # 24 bytes a file
        "landings": [
            {"dataset": DATASET, "url": "landing", "shard_bytes": 24 * files_a_shard, "settle_s": 0, "close_after_s": 0}
        ],
        "lens_folders": ["lenses"],
        "raters": {"served": {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}},
        "lenses": dict.fromkeys(lens_names(lenses), asked),
        "automation": automation,
    }
    file = folder / "datashop.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@dataclass
class SyntheticLake:
    """The lake of a project; each method brings one stage of it up to date, in the order of the flow."""

    graph: Graph
    lake: DeltaLake
    encoder: str
    shards: list[Shard] = field(default_factory=list)
    minutes: int = 0

    @classmethod
    def of(cls, project_file: Path, lake: DeltaLake, encoder: str) -> "SyntheticLake":
        return cls(load_graph(load_project(project_file)), lake, encoder)

    @property
    def keys(self) -> list[str]:
        return [shard.shard for shard in self.shards]

    def register(self, shards_at_once: int = 1000) -> None:
        """Every landing file into its shard, as the landing sensor does it, some shards a look."""
        landing = self.graph.project.landing(DATASET)
        files = FsspecLandingArea().list_files(landing)
        each = landing.shard_bytes // 24
        bundles = [tuple(files[start : start + each]) for start in range(0, len(files), each)]
        self.shards = [
            Shard(DATASET, f"{DATASET}-{number:05d}", number, bundled) for number, bundled in enumerate(bundles)
        ]
        for start in range(0, len(self.shards), shards_at_once):
            register(self.lake, self.shards[start : start + shards_at_once], {"asset": "landing_files"})

    def documents_versions(self) -> dict[str, str]:
        landing = self.graph.project.landing(DATASET)
        return {shard.shard: documents_version(shard, landing) for shard in self.shards}

    def scores_versions(self, classifier: str) -> dict[str, str]:
        vectors = {shard: embeddings_version(made, self.encoder) for shard, made in self.documents_versions().items()}
        return {shard: scores_version(version, classifier) for shard, version in vectors.items()}

    def parse_and_embed(self) -> None:
        """Documents, quarantine and vectors of every shard."""
        made = self.documents_versions()
        self.commit(QUARANTINE, _quarantined(), made)
        self.commit(DOCUMENTS, _documents(), made)
        vectors = {shard: embeddings_version(version, self.encoder) for shard, version in made.items()}
        self.commit(EMBEDDINGS.of(self.encoder), _vectors(), vectors)

    def promote(self, lens: str, classifier: str) -> None:
        """A classifier is trained and promoted."""
        now = self.later()
        trained = ClassifierRecord(lens, classifier, self.encoder, "ridge", classifier, "i", "{}", True, "", now)
        record_classifier(self.lake, trained, {})
        row = vars(Promotion(lens, classifier, now, "benchmark", False, None))
        self.lake.commit(PROMOTIONS, pl.DataFrame([row], schema=PROMOTIONS.schema), None, {})

    def score(self, lens: str) -> None:
        """The promoted classifier's scores of every shard."""
        classifier = self.promoted(lens)
        made = self.scores_versions(classifier)
        self.commit(SCORES.of(lens), _scores(), made, classifier=classifier)

    def cut(self, lens: str) -> None:
        """A cut-off over every shard, its summaries, and what it keeps."""
        classifier, rule = self.promoted(lens), Rule.of(self.graph.settings(lens))
        ranking, made = Ranking(lens, classifier, rule), self.scores_versions(classifier)
        rows = sketch_rows(_ranked(), rule.policy.share_error)
        self.commit(SCORE_SKETCHES.of(lens), rows, made, ranking=ranking.id)
        cutoff = content_id(lens, classifier, rule.text)
        documents = len(self.shards) * DOCUMENTS_A_SHARD
        bounds = (2.5, None, False, 0.25)
        record = CutoffRecord(
            lens, cutoff, classifier, rule.text, *bounds, documents, tuple(self.keys), self.later(), 0.001
        )
        record_cutoff(self.lake, record, {})
        kept = {shard: filtered_version(version, cutoff, False) for shard, version in made.items()}
        self.commit(FILTERED.of(lens), _filtered(), kept)

    def scatter(self, lens: str, shards: Collection[str]) -> None:
        """These shards' scores become those of another recipe: stale, and nothing beside them is."""
        classifier = self.promoted(lens)
        stale = {shard: content_id("an older recipe", shard) for shard in shards}
        self.commit(SCORES.of(lens), _scores(), stale, classifier=classifier)

    def mend(self, lens: str, shards: Collection[str]) -> None:
        """The shards' scores as they are wanted."""
        classifier = self.promoted(lens)
        made = self.scores_versions(classifier)
        self.commit(SCORES.of(lens), _scores(), {shard: made[shard] for shard in shards}, classifier=classifier)

    def promoted(self, lens: str) -> str:
        promotion = promoted(self.lake, lens)
        if promotion is None:
            raise LookupError(f"no classifier of {lens} was promoted")
        return promotion.classifier

    def later(self) -> datetime:
        self.minutes += 1
        return EPOCH + timedelta(minutes=self.minutes)

    def commit(self, table: TableSpec, rows: pl.DataFrame, versions: dict[str, str], **address: str) -> None:
        cells = [{**address, "shard": shard, "version": version} for shard, version in versions.items()]
        per_commit = CELLS_A_COMMIT[table.name.partition("/")[0]]
        commit_cells(self.lake, table, rows, cells, cells_a_commit=per_commit)


def scattered(shards: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Some of the shards, drawn at random, in crawl order."""
    return sorted(random.Random(seed).sample(list(shards), count))


def _ids() -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(DOCUMENTS_A_SHARD)]


def _documents() -> pl.DataFrame:
    ids = _ids()
    texts = [f"{id_} " + "words of a document of the crawl, " * 30 for id_ in ids]
    return pl.DataFrame({"id": ids, "text_sha": ids, "text": texts}).with_columns(
        dataset=pl.lit(DATASET),
        source=pl.lit("web"),
        license=pl.lit(None, pl.String),
        chars=pl.col("text").str.len_chars().cast(pl.Int64),
        file=pl.lit("crawl-0000/part-000000.jsonl"),
        row=pl.int_range(pl.len(), dtype=pl.Int64),
        fields=pl.lit(None, pl.String),
    )


def _quarantined() -> pl.DataFrame:
    row = {"dataset": DATASET, "file": "part-000000.jsonl", "row": 3, "reason": "empty_text", "detail": "0 characters"}
    return pl.DataFrame([row])


def _vectors() -> pl.DataFrame:
    return pl.DataFrame({"id": _ids()}).with_columns(embedding=pl.lit(bytes(768), pl.Binary))


def _scores() -> pl.DataFrame:
    scores = pl.Series("score", [number / 10 for number in range(DOCUMENTS_A_SHARD)], pl.Float32)
    return pl.DataFrame({"id": _ids()}).with_columns(scores, scores.cast(pl.Int8).alias("int_score"))


def _ranked() -> pl.DataFrame:
    return _scores().select(key="score", reason=pl.lit(None, pl.String), source=pl.lit(""))


def _filtered() -> pl.DataFrame:
    kept = pl.col("score") >= 2.5
    reason = pl.when(kept).then(pl.lit("kept")).otherwise(pl.lit("below_lower"))
    return _scores().select("id", kept=kept, reason=reason, detail=pl.lit(None, pl.String))
