"""The texts that an anneal or an evaluation draws from: whole shards in hash order, until there is enough.

What belongs here: reading documents and releases from the lake. What does not: choosing among them (`mixture.py`,
`evaluation/slices.py`).
"""

from collections.abc import Callable

import polars as pl

from datashop_assets.corpus.registry import registered_shards
from datashop_assets.lineage import stable_fraction
from datashop_assets.records import DOCUMENTS, FILTERED
from datashop_assets.seams import Lake

COLUMNS = ("id", "text", "text_sha", "source")


def draw_documents(lake: Lake, seed: int, enough: Callable[[pl.DataFrame], bool]) -> pl.DataFrame:
    """Documents (id, text, text_sha, source) of whole shards in a seeded hash order, until `enough` says so.

    A corpus of any size costs no more than the shards that are needed. Shards that serve annotation alone are left
    out. May return fewer than enough, and nothing for an empty corpus.
    """
    keys = [shard.shard for shard in registered_shards(lake) if not shard.pool_only]
    keys.sort(key=lambda key: stable_fraction(f"shard:{seed}:{key}"))
    drawn = DOCUMENTS.empty().select(COLUMNS)
    for key in keys:
        rows = lake.scan(DOCUMENTS, {"shard": [key]}).sort("file", "row").select(COLUMNS).collect()
        drawn = pl.concat([drawn, rows])
        if enough(drawn):
            break
    return drawn


def kept_documents(lake: Lake, lens: str, characters: int, seed: int) -> pl.DataFrame:
    """Documents that the lens's cut-off keeps, of shards in hash order, until there are `characters` of them."""
    keys = lake.cells(FILTERED.of(lens))["shard"].to_list()
    keys.sort(key=lambda key: stable_fraction(f"shard:{seed}:{key}"))
    drawn = DOCUMENTS.empty().select(COLUMNS)
    for key in keys:
        kept = lake.scan(FILTERED.of(lens), {"shard": [key]}).filter("kept").select("id")
        rows = lake.scan(DOCUMENTS, {"shard": [key]}).join(kept, on="id", how="semi").select(COLUMNS).collect()
        drawn = pl.concat([drawn, rows.sort("id")])
        if int(drawn["text"].str.len_chars().sum() or 0) >= characters:
            break
    return drawn
