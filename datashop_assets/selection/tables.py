"""The tables of the selection stage.

What belongs here: their schemas. What does not: what is in them (`produce.py`).
"""

import polars as pl

from datashop_assets.records import TableSpec

# A cell a subset: what was selected once stays, so that subsets can be compared and trained on later.
SELECTED = TableSpec(
    "selected_subset",
    {
        "subset": pl.String,
        "rank": pl.Int64,
        "shard": pl.String,
        "id": pl.String,
        "text_sha": pl.String,
        "source": pl.String,
        "tokens": pl.Int64,
        "score": pl.Float64,
        "curated_score": pl.Float64,
        "rareness": pl.Float64,
        "reason": pl.String,
        "value": pl.Float64,
        "version": pl.String,
    },
    partition_by=("subset",),
    key="id",
    version_column="version",
    notes={
        "subset": "identity of pool, strategy, budget and seed",
        "rank": "from 1, the best first",
        "score": "the rater's, or the classifier's where all scored documents were chosen from",
        "reason": "why it was taken: a short code of the strategy",
        "value": "what it was ranked by; null where the strategy ranks by nothing",
        "version": "of the pool: the curation, or the scores, that it was made of",
    },
)

SELECTIONS = TableSpec(
    "selections",
    {
        "lens": pl.String,
        "subset": pl.String,
        "strategy": pl.String,
        "settings": pl.String,
        "population": pl.String,
        "budget": pl.String,
        "seed": pl.Int64,
        "pool": pl.String,
        "rows": pl.Int64,
        "tokens": pl.Int64,
        "left_out": pl.String,
        "notes": pl.List(pl.String),
        "uri": pl.String,
        "created_at": pl.Datetime("us", "UTC"),
    },
    key="subset",
    notes={
        "settings": "JSON of the strategy's settings",
        "pool": "version of what was chosen from",
        "left_out": "JSON: documents of the pool that are not in the subset, by reason",
        "uri": "below the folder of subsets",
    },
)

SELECTION_COMPARISONS = TableSpec(
    "selection_comparisons",
    {
        "lens": pl.String,
        "comparison": pl.String,
        "pool": pl.String,
        "selections": pl.String,
        "sources": pl.String,
        "left_out": pl.String,
        "overlap": pl.String,
        "agreement": pl.String,
        "created_at": pl.Datetime("us", "UTC"),
    },
    key="comparison",
    notes={"selections": "JSON of the frame, as are the four that follow", "pool": "version of what was chosen from"},
)
