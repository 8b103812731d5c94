"""The vocabulary of datashop: frozen types, and the schema of every table.

What belongs here: names, types and schemas that more than one stage speaks.
What does not: behaviour (it lives with its stage), storage (`resources/lake.py`), planning (`lineage.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import polars as pl


@dataclass(frozen=True)
class TableSpec:
    """One Delta table of the lake.

    `partition_by` are the columns whose values a commit replaces; a *cell* of the table is one combination of
    them. `version_column` holds the cell's version in every row, so that what the table has can be read from
    file statistics without scanning rows. `key` is null only in the marker row by which a cell without rows is
    recorded as empty. `schema_version` goes up by one whenever a column is added; columns are never removed or
    retyped. `note` is shown to people beside the table.
    """

    name: str
    columns: Mapping[str, pl.DataType | type[pl.DataType]]
    partition_by: tuple[str, ...] = ()
    key: str | None = None
    version_column: str | None = None
    schema_version: int = 1
    notes: Mapping[str, str] = field(default_factory=dict)

    def of(self, part: str) -> "TableSpec":
        """The same table for one lens or one encoder: `scores` of `code_quality` is `scores/code_quality`."""
        return replace(self, name=f"{self.name}/{part}")

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema(dict(self.columns))

    def empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema=self.schema)


SHARDS = TableSpec(
    "shards",
    {
        "dataset": pl.String,
        "shard": pl.String,
        "sequence": pl.Int64,
        "bytes": pl.Int64,
        "pool_only": pl.Boolean,
        "files": pl.List(pl.Struct({"path": pl.String, "bytes": pl.Int64, "etag": pl.String})),
        "registered_at": pl.Datetime("us", "UTC"),
    },
    partition_by=("dataset",),
    key="shard",
    notes={
        "sequence": "position in crawl order within the dataset, from 0",
        "pool_only": "rated for training labels, never released",
        "files": "the crawl files of the bundle, in order, with the identity they had when registered",
    },
)

WITHDRAWN_SHARDS = TableSpec(
    "withdrawn_shards",
    {"shard": pl.String, "reason": pl.String, "by": pl.String, "withdrawn_at": pl.Datetime("us", "UTC")},
    key="shard",
    notes={"reason": "why a person took the shard back; its files are free, its key is never given again"},
)

DOCUMENTS = TableSpec(
    "documents",
    {
        "shard": pl.String,
        "id": pl.String,
        "dataset": pl.String,
        "source": pl.String,
        "license": pl.String,
        "text": pl.String,
        "text_sha": pl.String,
        "chars": pl.Int64,
        "file": pl.String,
        "row": pl.Int64,
        "fields": pl.String,
        "version": pl.String,
    },
    partition_by=("shard",),
    key="id",
    version_column="version",
    notes={
        "id": "unique within its shard; from the id column, or from the text's content",
        "license": "as the crawl file states it; null where it states none, or was read before there was this column",
        "text_sha": "first 32 hex digits of SHA-256 of the UTF-8 text: equal texts share it",
        "row": "0-based row or line in the file",
        "fields": "of instruction and chat records: their fields as JSON, which the text is made of; else null",
        "version": "content of the shard's files + parser version",
    },
    schema_version=3,
)

QUARANTINE = TableSpec(
    "quarantine",
    {
        "shard": pl.String,
        "dataset": pl.String,
        "file": pl.String,
        "row": pl.Int64,
        "reason": pl.String,
        "detail": pl.String,
        "version": pl.String,
    },
    partition_by=("shard",),
    key="file",
    version_column="version",
    notes={
        "reason": "why the row, or (row null) the whole file, is no document: a code of corpus.readers",
        "detail": "what was seen",
    },
)

EMBEDDINGS = TableSpec(
    "embeddings",
    {"shard": pl.String, "id": pl.String, "embedding": pl.Binary, "version": pl.String},
    partition_by=("shard",),
    key="id",
    version_column="version",
    notes={"embedding": "little-endian float16, one value a dimension", "version": "documents version + encoder"},
)

ANNOTATIONS = TableSpec(
    "annotations",
    {
        "shard": pl.String,
        "rater": pl.String,
        "id": pl.String,
        "text_sha": pl.String,
        "score": pl.Float64,
        "reason": pl.String,
        "rationale": pl.String,
        "raw": pl.String,
        "input_tokens": pl.Int64,
        "output_tokens": pl.Int64,
        "seconds": pl.Float64,
        "lens_version": pl.String,
        "rated_at": pl.Datetime("us", "UTC"),
        "criteria": pl.List(pl.Struct({"name": pl.String, "score": pl.Float64})),
        "labels": pl.List(pl.Struct({"set": pl.String, "label": pl.String})),
        "confidence": pl.Float64,
        "chunks": pl.Int64,
        "requests": pl.Int64,
        "cached": pl.Int64,
        "version": pl.String,
    },
    partition_by=("shard", "rater"),
    key="id",
    version_column="version",
    schema_version=2,
    notes={
        "score": "on the lens's scale; null when the judgement failed, never 0, and through a label lens",
        "reason": "failure code; null where the judgement succeeded",
        "criteria": "scores by criterion, on the criteria's own ranges",
        "labels": "through a label lens: the labels of each of its sets; empty where nothing fits",
        "confidence": "in [0, 1], where the rater has one",
        "chunks": "parts of a long document that were judged",
        "requests": "questions to a model, asking again included; null before this was recorded",
        "cached": "parts whose answer came from the cache",
        "raw": "what the rater returned, kept for failures and audits",
        "version": "documents version + lens + rater + sampling",
    },
)

# A rater's judgements of a lens's check exemplars; the one `shard` is "check", the version the lens's.
EXEMPLAR_RATINGS = replace(ANNOTATIONS, name="exemplar_ratings")

CLASSIFIERS = TableSpec(
    "classifiers",
    {
        "lens": pl.String,
        "classifier": pl.String,
        "encoder": pl.String,
        "recipe": pl.String,
        "uri": pl.String,
        "inputs_version": pl.String,
        "metrics": pl.String,
        "passed": pl.Boolean,
        "verdict": pl.String,
        "trained_at": pl.Datetime("us", "UTC"),
        "rater": pl.String,
    },
    key="classifier",
    schema_version=2,
    notes={
        "classifier": "content id of encoder + head",
        "uri": "below the model store; a full path or URL in older rows",
        "inputs_version": "identity of the labels, encoder and recipe it was trained from",
        "metrics": "JSON: every metric with its interval and n",
        "passed": "the verdict of its blocking checks",
    },
)

PROMOTIONS = TableSpec(
    "promotions",
    {
        "lens": pl.String,
        "classifier": pl.String,
        "promoted_at": pl.Datetime("us", "UTC"),
        "by": pl.String,
        "override": pl.Boolean,
        "note": pl.String,
    },
    key="classifier",
    notes={"override": "a person promoted it although its checks failed; the note says why"},
)

SCORES = TableSpec(
    "scores",
    {
        "classifier": pl.String,
        "shard": pl.String,
        "id": pl.String,
        "score": pl.Float32,
        "int_score": pl.Int8,
        "version": pl.String,
    },
    partition_by=("classifier", "shard"),
    key="id",
    version_column="version",
    notes={
        "score": "the classifier's real-valued prediction",
        "int_score": "the score rounded half to even and clipped to the lens's scale",
        "version": "embeddings version + classifier",
    },
)

CUTOFFS = TableSpec(
    "cutoffs",
    {
        "lens": pl.String,
        "cutoff": pl.String,
        "classifier": pl.String,
        "policy": pl.String,
        "lower": pl.Float64,
        "upper": pl.Float64,
        "reverse": pl.Boolean,
        "kept_share": pl.Float64,
        "documents": pl.Int64,
        "shards": pl.List(pl.String),
        "created_at": pl.Datetime("us", "UTC"),
        "share_error": pl.Float64,
        "lower_by_source": pl.List(pl.Struct({"source": pl.String, "lower": pl.Float64})),
    },
    key="cutoff",
    schema_version=2,
    notes={
        "policy": "JSON of the cut-off policy that the project file asked for",
        "lower": "kept when score >= lower (null: no bound)",
        "upper": "kept when score <= upper (null: no bound)",
        "reverse": "keep what the bounds exclude",
        "kept_share": "share of the scored documents inside, over the shards covered",
        "share_error": "bound on the error of kept_share; null (exact) in records made before this was recorded",
        "lower_by_source": "with quotas, instead of lower: the bound of each source; infinite where nothing is kept",
    },
)

FILTERED = TableSpec(
    "filtered_documents",
    {
        "shard": pl.String,
        "id": pl.String,
        "kept": pl.Boolean,
        "reason": pl.String,
        "version": pl.String,
        "detail": pl.String,
    },
    partition_by=("shard",),
    key="id",
    version_column="version",
    schema_version=2,
    notes={
        "reason": "why the document was kept or dropped: a code of filtering.cutoff or deduplication.tables",
        "detail": "unscored: the name whose score is missing; else null",
    },
)

RELEASES = TableSpec(
    "releases",
    {
        "lens": pl.String,
        "release": pl.String,
        "cutoff": pl.String,
        "classifier": pl.String,
        "uri": pl.String,
        "documents": pl.Int64,
        "bytes": pl.Int64,
        "inputs_version": pl.String,
        "manifest": pl.String,
        "created_at": pl.Datetime("us", "UTC"),
    },
    key="release",
    notes={"uri": "below the folder of releases; a full path in older rows"},
)

TARGET_DESCRIPTIONS = TableSpec(
    "target_descriptions",
    {
        "target": pl.String,
        "description": pl.String,
        "parts": pl.List(pl.Struct({"corpus": pl.String, "description": pl.String})),
        "inputs_version": pl.String,
        "rater": pl.String,
        "by": pl.String,
        "made_at": pl.Datetime("us", "UTC"),
    },
    key="target",
    notes={"inputs_version": "example texts + model + recipe; null where a person wrote it", "by": "model or person"},
)

ANNEALED_MODELS = TableSpec(
    "annealed_models",
    {
        "model": pl.String,
        "role": pl.String,
        "lens": pl.String,
        "uri": pl.String,
        "tokens": pl.Int64,
        "mixture": pl.String,
        "losses": pl.String,
        "trained_at": pl.Datetime("us", "UTC"),
    },
    key="model",
    notes={
        "model": "content id of base model + mixture + recipe",
        "role": "control or candidate",
        "lens": "null for the control, which all lenses share",
        "losses": "JSON: [[step, loss], ...]",
    },
)

EVAL_REPORTS = TableSpec(
    "eval_reports",
    {
        "lens": pl.String,
        "report": pl.String,
        "control": pl.String,
        "candidate": pl.String,
        "verdict": pl.String,
        "results": pl.String,
        "created_at": pl.Datetime("us", "UTC"),
    },
    key="report",
    notes={"results": "JSON: per task control, candidate, difference, standard error, interval, n"},
)


class Cell(NamedTuple):
    """One (shard, lens); `lens` is None in the tables that only have shards.

    A tuple, because planning looks cells up by the million: a frozen dataclass takes 20 times as long to hash.
    """

    shard: str
    lens: str | None = None


@dataclass(frozen=True)
class CrawlFile:
    """A file in the landing area as it was listed. `etag` changes when the content does."""

    path: str
    bytes: int
    etag: str
    modified: float = 0.0


@dataclass(frozen=True)
class Shard:
    """An ordered bundle of crawl files, immutable once registered. Its key starts with its dataset."""

    dataset: str
    shard: str
    sequence: int
    files: tuple[CrawlFile, ...]
    pool_only: bool = False

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)
