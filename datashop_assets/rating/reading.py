"""Reading a cell's sampled documents for a rater, a slice at a time.

What belongs here: from ids to documents. What does not: choosing the ids (`sampling.py`), rating (`annotate.py`).
"""

import json
from collections.abc import Iterator

import polars as pl

from datashop_assets.rating.judgement import Document
from datashop_assets.records import DOCUMENTS
from datashop_assets.seams import Lake

# Text of a slice. Each slice costs a scan of the shard's text, and the sample's order is not the file's; at this size
# a shard of 256 MB takes at most four.
SLICE_CHARS = 64_000_000


def identities(lake: Lake, shard: str, version: int | None) -> pl.DataFrame:
    """`id`, `text_sha` and `chars` of the shard's documents at a version of the table; no text is read."""
    return lake.scan(DOCUMENTS, {"shard": [shard]}, version).select("id", "text_sha", "chars").collect()


def read_documents(
    lake: Lake, shard: str, version: int | None, wanted: pl.DataFrame, slice_chars: int = SLICE_CHARS
) -> Iterator[Document]:
    """The documents of `wanted` (`id`, `chars`), in its order; of their texts one slice is in memory at a time.

    Raises LookupError where one of them is not in the shard at that version.
    """
    columns = ["id", "text", "fields"]
    slices = wanted.select("id", part=(pl.col("chars").cum_sum() - pl.col("chars")) // slice_chars)
    for ids in slices.partition_by("part", maintain_order=True):
        rows = (
            lake.scan(DOCUMENTS, {"shard": [shard]}, version)
            .filter(pl.col("id").is_in(ids["id"].implode()))
            .select(columns)
            .collect()
        )
        found = ids.select("id").join(rows, on="id", how="left", maintain_order="left")
        if found["text"].null_count():
            gone = found.filter(pl.col("text").is_null())["id"][0]
            raise LookupError(f"document {gone} of shard {shard} is not in table version {version} any more")
        for row in found.iter_rows(named=True):
            yield Document(row["text"], json.loads(row["fields"]) if row["fields"] else {})
