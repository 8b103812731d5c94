"""The tables of the deduplication stage.

What belongs here: their schemas and the reason codes in them. What does not: what is in them (the stage's modules).

Each has one row a document of its shard, in the documents' order, rejected or not: a shard where nothing is wrong is
judged too, and that every document was judged can be counted.
"""

from enum import StrEnum

import polars as pl

from datashop_assets.records import TableSpec


class Rejection(StrEnum):
    """Why a document is left out, in the order in which they count where several are true."""

    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    CONTAMINATED = "contaminated"
    MOSTLY_REPEATED = "mostly_repeated"


class Removal(StrEnum):
    """Why a part of a document is left out."""

    REPEATED_PARAGRAPH = "repeated_paragraph"


MINHASHES = TableSpec(
    "minhashes",
    {
        "shard": pl.String,
        "id": pl.String,
        "row": pl.Int32,
        "signature": pl.Binary,
        "keys": pl.List(pl.Int64),
        "version": pl.String,
    },
    partition_by=("shard",),
    key="id",
    version_column="version",
    notes={
        "row": "0-based position of the document in its shard: earlier ones have smaller positions",
        "signature": "little-endian uint16, one MinHash value each; null where the text has no word",
        "keys": "one hash a band: documents that share one are compared",
        "version": "documents version + near-duplicate settings",
    },
)

DUPLICATES = TableSpec(
    "duplicates",
    {
        "shard": pl.String,
        "id": pl.String,
        "reason": pl.String,
        "of_shard": pl.String,
        "of_id": pl.String,
        "similarity": pl.Float32,
        "version": pl.String,
    },
    partition_by=("shard",),
    key="id",
    version_column="version",
    notes={
        "reason": "exact_duplicate, near_duplicate, or null: the first of its kind",
        "of_id": "the earlier document, in the shard `of_shard`, that it is a duplicate of",
        "similarity": "1 of exact duplicates, else the Jaccard similarity that the signatures show",
        "version": "documents version + settings, a dot, and the same of all earlier shards",
    },
)

REPEATED_PARAGRAPHS = TableSpec(
    "repeated_paragraphs",
    {
        "shard": pl.String,
        "id": pl.String,
        "reason": pl.String,
        "spans": pl.List(pl.Struct({"start": pl.Int64, "end": pl.Int64})),
        "removed_share": pl.Float32,
        "version": pl.String,
    },
    partition_by=("shard",),
    key="id",
    version_column="version",
    notes={
        "reason": "mostly_repeated where too little would be left, else null",
        "spans": "characters that a release cuts out: [start, end), ascending, not overlapping",
        "removed_share": "of the document's characters, those in the spans",
    },
)

CONTAMINATION = TableSpec(
    "contamination",
    {
        "shard": pl.String,
        "id": pl.String,
        "reason": pl.String,
        "item": pl.String,
        "matches": pl.Int64,
        "detail": pl.String,
        "version": pl.String,
    },
    partition_by=("shard",),
    key="id",
    version_column="version",
    notes={
        "reason": "contaminated, or null",
        "item": "set and item that most of the matching n-grams come from, e.g. mmlu/anatomy/0",
        "matches": "different n-grams of evaluation items in the document",
        "detail": "the first matching words, as they are compared",
        "version": "documents version + settings + content of the evaluation sets",
    },
)
