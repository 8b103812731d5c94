"""What a report tells of held-out documents beside their label: source, language, and how far the encoder read them.

What belongs here: reading that of a few documents. What does not: figures by it (`slices.py`).
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from datashop_assets import languages
from datashop_assets.classifier.text_batches import token_ids
from datashop_assets.lineage import stable_fraction
from datashop_assets.records import ANNOTATIONS, DOCUMENTS
from datashop_assets.seams import Lake

TOKENIZER_FILE = "tokenizer_config.json"
# Texts are read of so many shards at most, chosen by hash: a shard of 256 MB takes some seconds to read.
MOST_SHARDS = 32
BEGINNING = 200


def documents_seen(lake: Lake, rows: pl.DataFrame, encoder: Path | None, max_tokens: int) -> pl.DataFrame:
    """`source`, `language` and `cut` of each row (shard, id), in order.

    Language and cut are null in shards beyond MOST_SHARDS; the language also where languages cannot be told here, and
    cut, whether the text has more tokens than `max_tokens`, also without an `encoder`, a folder with
    its tokenizer.
    """
    wanted = rows.select("shard", "id").with_row_index("row")
    sources = lake.scan(DOCUMENTS, {"shard": wanted["shard"].unique().to_list()}).select("shard", "id", "source")
    known = wanted.join(sources.collect(), on=["shard", "id"], how="left", maintain_order="left")
    read = [_seen(lake, shard, wanted, encoder, max_tokens) for shard in _chosen_shards(wanted)]
    return known.join(pl.concat(read), on="row", how="left", maintain_order="left").select("source", "language", "cut")


def cut_short(texts: Sequence[str], encoder: Path, max_tokens: int) -> list[bool]:
    """Does each text have more than `max_tokens` tokens of the encoder's, those that mark its ends included?"""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(encoder), trust_remote_code=False)
    return [len(ids) > max_tokens for ids in token_ids(tokenizer, texts, max_tokens + 1)]


def why_cut_is_unknown(folder: Path) -> str | None:
    """Why it cannot be told which documents an encoder cuts; None where it can."""
    if (folder / TOKENIZER_FILE).is_file():
        return None
    return "the encoder's folder holds no tokenizer, so its tokens cannot be counted"


def with_words(lake: Lake, rows: pl.DataFrame, lens: str, rater: str) -> pl.DataFrame:
    """A few rows (shard, id) with `source`, `begins`, the first BEGINNING characters of the text, and `rationale`."""
    shards = rows["shard"].unique().to_list()
    keys = rows.select("shard", "id").lazy()
    texts = lake.scan(DOCUMENTS, {"shard": shards}).select(
        "shard", "id", "source", pl.col("text").str.slice(0, BEGINNING).alias("begins")
    )
    reasons = lake.scan(ANNOTATIONS.of(lens), {"shard": shards, "rater": [rater]}).select("shard", "id", "rationale")
    known = keys.join(texts, on=["shard", "id"], how="left").join(reasons, on=["shard", "id"], how="left").collect()
    return rows.join(known, on=["shard", "id"], how="left", maintain_order="left")


def texts_for(lake: Lake, rows: pl.DataFrame) -> list[str]:
    """The text of each row (shard, id), in order."""
    read = []
    for shard in rows["shard"].unique().to_list():
        mine = rows.filter(pl.col("shard") == shard)["id"].to_list()
        texts = lake.scan(DOCUMENTS, {"shard": [shard]}).filter(pl.col("id").is_in(mine))
        read.append(texts.select("shard", "id", "text").collect())
    return rows.join(pl.concat(read), on=["shard", "id"], how="left", maintain_order="left")["text"].to_list()


def _chosen_shards(rows: pl.DataFrame) -> list[str]:
    return sorted(rows["shard"].unique(), key=stable_fraction)[:MOST_SHARDS]


def _seen(lake: Lake, shard: str, wanted: pl.DataFrame, encoder: Path | None, max_tokens: int) -> pl.DataFrame:
    mine = wanted.filter(pl.col("shard") == shard)
    texts = lake.scan(DOCUMENTS, {"shard": [shard]}).select("id", "text")
    found = mine.join(texts.filter(pl.col("id").is_in(mine["id"].to_list())).collect(), on="id", maintain_order="left")
    text = found["text"].to_list()
    told = languages.languages(text) if languages.can_tell() else [None] * len(text)
    cut = cut_short(text, encoder, max_tokens) if encoder is not None else [None] * len(text)
    return found.select("row").with_columns(pl.Series("language", told, pl.String), pl.Series("cut", cut, pl.Boolean))
