"""The tables of the curation stage.

What belongs here: their schemas. What does not: what is in them (`curate.py`, `produce.py`).
"""

import polars as pl

from datashop_assets.records import TableSpec

# One cell a lens, replaced as a whole: a new rating can change what any other one is taken for.
CURATED_ANNOTATIONS = TableSpec(
    "curated_annotations",
    {
        "lens": pl.String,
        "shard": pl.String,
        "id": pl.String,
        "text_sha": pl.String,
        "score": pl.Float64,
        "raters": pl.Int64,
        "wrong": pl.Float64,
        "suggested": pl.Float64,
        "confidence": pl.Float64,
        "curated_score": pl.Float64,
        "changed": pl.Boolean,
        "rareness": pl.Float64,
        "annotations_versions": pl.List(pl.String),
        "embeddings_version": pl.String,
        "version": pl.String,
    },
    partition_by=("lens",),
    key="id",
    version_column="version",
    notes={
        "score": "by the first of the lens's raters that rated the document",
        "raters": "how many of the lens's raters gave it a score",
        "wrong": "probability that the score's class is not the true one; null where nothing could be estimated",
        "suggested": "mean score of the most probable class; the score itself where that is its own class",
        "confidence": "probability of the suggested class",
        "curated_score": "the suggestion where it is sure enough, else the score",
        "rareness": "mean cosine distance to the nearest independent texts; the higher, the rarer",
        "annotations_versions": "of the document's shard, in the order of the lens's raters; null where one has none",
        "embeddings_version": "of the document's shard",
        "version": "identity of all ratings, vectors and settings that the curation was made from",
    },
)

CURATIONS = TableSpec(
    "curations",
    {
        "lens": pl.String,
        "curation": pl.String,
        "encoder": pl.String,
        "raters": pl.List(pl.String),
        "fitted": pl.Boolean,
        "report": pl.String,
        "created_at": pl.Datetime("us", "UTC"),
    },
    key="curation",
    notes={
        "curation": "the version of its rows",
        "fitted": "whether the raters' errors could be estimated; if not, the ratings stay as they are",
        "report": "JSON: transition matrices, priors, histograms, counts and the most suspicious rows",
    },
)
