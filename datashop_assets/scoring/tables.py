"""The tables of attributes' scores.

What belongs here: their schemas; all that read scores of any name know them. What does not: what is in them
(the attributes stage); lenses' scores, which more stages speak of (`records.py`).
"""

from dataclasses import replace

import polars as pl

from datashop_assets.records import SCORES, TableSpec

# An attribute's scores stand beside the lenses', as `scores/<attribute>`.
ATTRIBUTE_SCORES = replace(
    SCORES,
    columns={**SCORES.columns, "reason": pl.String, "label": pl.String},
    notes={
        "classifier": "content id of what made the scores: a row of `attributes`",
        "score": "null where there is none, with its reason",
        "int_score": "the score rounded half to even and clipped to the attribute's scale; null for one without scale",
        "reason": "why the score is null: a short code",
        "label": "the class that was found, where the attribute finds one, e.g. a language",
        "version": "versions of documents or of the scores it is made of + classifier",
    },
)

# What made an attribute's scores; the newest row of the settings in the project file is in force.
ATTRIBUTES = TableSpec(
    "attributes",
    {
        "attribute": pl.String,
        "classifier": pl.String,
        "kind": pl.String,
        "settings": pl.String,
        "sources": pl.String,
        "content": pl.String,
        "distribution": pl.String,
        "documents": pl.Int64,
        "recorded_at": pl.Datetime("us", "UTC"),
    },
    key="classifier",
    notes={
        "classifier": "content id of all that follows, but for the number of documents",
        "settings": "version of the settings in the project file",
        "sources": "JSON: name -> classifier of the scores it is made of",
        "content": "JSON: what it is made of beside settings and sources, e.g. a model's or a file list's content id",
        "distribution": "JSON: the distribution of each source that ranks or levels are taken from; null without",
        "documents": "scored documents of the sources when that distribution was last looked at",
    },
)

ATTRIBUTE_REPORTS = TableSpec(
    "attribute_reports",
    {
        "report": pl.String,
        "documents": pl.Int64,
        "scores": pl.String,
        "correlations": pl.String,
        "overlaps": pl.String,
        "created_at": pl.Datetime("us", "UTC"),
    },
    key="report",
    notes={
        "documents": "how many were compared",
        "scores": "JSON: for each name its classifier, documents, nulls by reason and quantiles",
        "correlations": "JSON: Spearman's rank correlation of each pair, with n",
        "overlaps": "JSON: share that two names' best tenths have in common, with n",
    },
)

CASCADES = TableSpec(
    "cascades",
    {
        "lens": pl.String,
        "cascade": pl.String,
        "classifier": pl.String,
        "cutoff": pl.String,
        "lower": pl.Float64,
        "threshold": pl.Float64,
        "audit_share": pl.Float64,
        "seed": pl.Int64,
        "recall": pl.Float64,
        "confidence": pl.Float64,
        "learnt": pl.Int64,
        "calibrated": pl.Int64,
        "kept": pl.Int64,
        "missed": pl.Int64,
        "passed": pl.Float64,
        "uri": pl.String,
        "inputs_version": pl.String,
        "made_at": pl.Datetime("us", "UTC"),
    },
    key="cascade",
    notes={
        "lower": "the cut-off that it was made for; good for a higher one too",
        "threshold": "of the cheap stage's estimate: below it the encoder is spared",
        "recall": "promised share of what is above the cut-off that passes, at `confidence`",
        "kept": "calibration documents above the cut-off; `missed` of them lie below the threshold",
        "passed": "share of the calibration documents that the encoder would read",
        "uri": "below the model store: the cheap stage",
    },
)

# What a cascade did in each shard that it scored: one row a shard.
CASCADE_AUDITS = TableSpec(
    "cascade_audits",
    {
        "classifier": pl.String,
        "shard": pl.String,
        "cascade": pl.String,
        "documents": pl.Int64,
        "passed": pl.Int64,
        "audited": pl.Int64,
        "found": pl.Int64,
        "missed": pl.Int64,
        "version": pl.String,
    },
    partition_by=("classifier", "shard"),
    key="cascade",
    version_column="version",
    notes={
        "passed": "documents that the encoder read because the cheap stage let them pass",
        "audited": "documents that it would have spared the encoder, and that were read all the same",
        "found": "documents at or above the cut-off among the passed ones; `missed` those among the audited",
        "version": "of the shard's scores",
    },
)

# Documents encoded both in a reduced precision and exactly: how far an encoder's reduced precision moves scores.
PRECISION_SAMPLES = TableSpec(
    "precision_samples",
    {
        "encoder": pl.String,
        "shard": pl.String,
        "id": pl.String,
        "reduced": pl.Binary,
        "exact": pl.Binary,
        "version": pl.String,
    },
    partition_by=("encoder",),
    key="id",
    version_column="version",
    notes={
        "encoder": "the encoder of the reduced precision",
        "reduced": "its stored vector of the document, little-endian float16",
        "exact": "the vector of the same encoder in float32, stored alike",
        "version": "which documents, and which float32 encoder",
    },
)

# Which encoder the project's settings of a reduced precision stand for: versions of filtered cells are told without it.
REDUCED_ENCODERS = TableSpec(
    "reduced_encoders",
    {"settings": pl.String, "encoder": pl.String, "recorded_at": pl.Datetime("us", "UTC")},
    notes={
        "settings": "version of the project file's `encoder`",
        "encoder": "the encoder that these settings stood for; the newest row of the settings is in force",
    },
)

# Scores made again in float32, of documents near a cut-off; of every lens whose encoder has a reduced precision.
EXACT_SCORES = TableSpec(
    "exact_scores",
    {
        "classifier": pl.String,
        "shard": pl.String,
        "id": pl.String,
        "score": pl.Float32,
        "reduced": pl.Float32,
        "version": pl.String,
    },
    partition_by=("classifier", "shard"),
    key="id",
    version_column="version",
    notes={
        "score": "the classifier's score of the float32 vector: what bounds are compared with",
        "reduced": "the score of the reduced precision, as in `scores`",
        "version": "version of the shard's scores + the float32 encoder",
    },
)
