"""The table of the drift stage.

What belongs here: its schema. What does not: what is in it (`languages.py`).
"""

import polars as pl

from datashop_assets.records import TableSpec

# What a sample of each shard that was looked at is written in; read once, however often shards are compared.
LANGUAGE_SAMPLES = TableSpec(
    "language_samples",
    {"shard": pl.String, "language": pl.String, "documents": pl.Int64, "version": pl.String},
    partition_by=("shard",),
    key="language",
    version_column="version",
    notes={
        "language": "ISO 639 code, or `unknown` where there is too little text of one",
        "documents": "of the sample: the documents with the smallest text_sha, which are as good as drawn",
        "version": "documents version + size of the sample + recipe",
    },
)
