"""The tables of the filtering stage that no other stage speaks of.

What belongs here: their schemas. What does not: what is in them (the stage's modules), tables that others read too
(`records.py`).
"""

import polars as pl

from datashop_assets.records import TableSpec

SCORE_SKETCHES = TableSpec(
    "score_sketches",
    {
        "ranking": pl.String,
        "shard": pl.String,
        "source": pl.String,
        "values": pl.List(pl.Float32),
        "weights": pl.List(pl.Int64),
        "uncertain": pl.Int64,
        "unranked": pl.List(pl.Struct({"reason": pl.String, "documents": pl.Int64})),
        "version": pl.String,
    },
    partition_by=("ranking", "shard"),
    key="source",
    version_column="version",
    notes={
        "ranking": "content id of classifier, population, condition, draw and the summary's error",
        "source": "a source that has a quota, * for the others; empty where all documents have one bound",
        "values": "some of the ranked scores (with a draw: scores plus noise), ascending; each stands for `weights`",
        "uncertain": "the number of documents below any value is known to within this many",
        "unranked": "documents that the bound is not asked about, by reason",
        "version": "the version of what the shard's documents are ranked by, as of `filtered_documents`",
    },
)

# How much of the corpus `cutoff` has last looked at: the sensor asks for another look where that has changed.
CUTOFF_LOOKS = TableSpec(
    "cutoff_looks",
    {
        "lens": pl.String,
        "cutoff": pl.String,
        "documents": pl.Int64,
        "looked_at": pl.Datetime("us", "UTC"),
        "lacked_at": pl.Int64,
    },
    key="cutoff",
    schema_version=2,
    notes={
        "cutoff": "the record that was in force after the look, whether it was made then or stood",
        "documents": "scored documents of the shards that the look was over",
        "lacked_at": "commits of exact scores before a look that lacked some near the bound; null: it lacked none",
    },
)
