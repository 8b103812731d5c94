"""What was found, with its text, for people to look at.

What belongs here: a few rows of each kind, read from the tables. What does not: how they are shown (`assets.py`).
"""

import polars as pl

from datashop_assets.deduplication.paragraphs import spans_of
from datashop_assets.embedding.inputs import documents_of
from datashop_assets.records import DOCUMENTS, Cell
from datashop_assets.seams import Lake

ROWS = 5


def duplicate_pairs(lake: Lake, cell: Cell, answers: pl.DataFrame) -> pl.DataFrame:
    """Some duplicates beside what they are duplicates of, the least similar first: those are to be doubted most."""
    shown = answers.filter(pl.col("reason").is_not_null()).sort("similarity", "id").head(ROWS)
    shards = [cell.shard, *shown["of_shard"].unique().sort()]
    ids = [*shown["id"], *shown["of_id"]]
    texts = (
        lake.scan(DOCUMENTS, {"shard": shards}).filter(pl.col("id").is_in(ids)).select("shard", "id", "text").collect()
    )
    return (
        shown.with_columns(shard=pl.lit(cell.shard))
        .join(texts, on=["shard", "id"], maintain_order="left")
        .join(
            texts.rename({"text": "text of that"}), left_on=["of_shard", "of_id"], right_on=["shard", "id"], how="left"
        )
        .select("reason", "similarity", "id", "text", "of_shard", "of_id", "text of that")
    )


def removed_paragraphs(lake: Lake, cell: Cell, answers: pl.DataFrame) -> pl.DataFrame:
    """Some documents with repeated paragraphs, those that lose most first, and the first part that goes."""
    shown = answers.filter(pl.col("removed_share") > 0).sort("removed_share", "id", descending=[True, False]).head(ROWS)
    texts = dict(
        documents_of(lake, cell)
        .filter(pl.col("id").is_in(shown["id"].to_list()))
        .select("id", "text")
        .collect()
        .iter_rows()
    )
    removed = []
    for identity, spans in shown.select("id", "spans").iter_rows():
        start, end = spans_of(spans)[0]
        removed.append(texts[identity][start:end])
    return shown.select("id", "removed_share", "reason").with_columns(pl.Series("removed", removed, pl.String))


def contaminated_documents(answers: pl.DataFrame) -> pl.DataFrame:
    """Some contaminated documents, those with most matches first."""
    found = answers.filter(pl.col("reason").is_not_null()).sort("matches", "id", descending=[True, False])
    return found.select("id", "item", "matches", "detail").head(ROWS)
