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
