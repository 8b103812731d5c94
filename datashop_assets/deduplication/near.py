"""Which documents are near duplicates of earlier ones.

What belongs here: candidates by band, their verification, and which earlier document is named. What does not:
signatures (`minhash.py`), the order of shards and reading them (`duplicates.py`).

A document is a near duplicate where *any* earlier document is similar enough, itself a duplicate or not. So of each
connected group the first document is kept, whatever chain of likenesses connects the others with it, and a verdict
depends on earlier documents alone: it never changes because something is added behind them. (A document that makes two
groups into one comes too late to undo that the first of each was kept.)

Positions are int64, one for each document, ascending in the order in which documents count as earlier.
"""

from collections.abc import Callable, Iterable

import polars as pl

from datashop_assets.deduplication.minhash import similarities

# Of the earlier documents that share a band with one, so many are looked at, the earliest. A band that a million pages
# share (a cookie notice) would else give a million pairs for each of them.
MOST_OF_A_BAND = 8
# Pairs whose signatures are in memory at once: 100,000 x 2 x 112 values are 45 MB.
CHUNK_PAIRS = 100_000

ANSWER_SCHEMA = {"position": pl.Int64, "of": pl.Int64, "of_id": pl.String, "similarity": pl.Float32}

Slices = Iterable[pl.DataFrame]
Lookup = Callable[[pl.Series], pl.DataFrame]


def near_duplicates(asked: pl.DataFrame, keys: Slices, lookup: Lookup, threshold: float) -> pl.DataFrame:
    """The `asked` documents [position, keys, signature] that are near duplicates of earlier ones.

    `keys` are the [position, keys] of all documents up to the last asked one, the asked ones included, in slices in
    any order; `lookup` gives the [position, id, signature] of documents at positions. One row [position, of, of_id,
    similarity] a near duplicate: `of` is the most similar earlier document that was looked at, the earliest of several.
    """
    pairs = candidates(asked.select("position", "keys"), keys)
    found = lookup(pairs["of"].unique()).select(of="position", of_id="id", of_signature="signature")
    verified = [
        _verified(pairs.slice(at, CHUNK_PAIRS), asked, found, threshold) for at in range(0, pairs.height, CHUNK_PAIRS)
    ]
    if not verified:
        return pl.DataFrame(schema=ANSWER_SCHEMA)
    return (
        pl.concat(verified)
        .sort("position", "similarity", "of", descending=[False, True, False])
        .unique("position", keep="first", maintain_order=True)
    )


def candidates(asked: pl.DataFrame, keys: Slices) -> pl.DataFrame:
    """Pairs [position, of] of an asked document and an earlier one with which it shares a band.

    Of each band the earliest MOST_OF_A_BAND documents count. Memory is that of the asked documents' keys, plus one
    slice.
    """
    wanted = asked.explode("keys", empty_as_null=False, keep_nulls=False).rename({"keys": "key"})
    distinct = wanted.select("key").unique()
    first = pl.DataFrame(schema={"key": pl.Int64, "of": pl.Int64})
    for part in keys:
        hits = (
            part.select("keys", of="position")
            .explode("keys", empty_as_null=False, keep_nulls=False)
            .select("of", key="keys")
            .join(distinct, on="key", how="semi")
        )
        first = (
            pl.concat([first, hits.select("key", "of")])
            .group_by("key")
            .agg(pl.col("of").bottom_k(MOST_OF_A_BAND))
            .explode("of", empty_as_null=False)
        )
    return (
        wanted.join(first, on="key")
        .filter(pl.col("of") < pl.col("position"))
        .select("position", "of")
        .unique()
        .sort("position", "of")
    )


def _verified(pairs: pl.DataFrame, asked: pl.DataFrame, found: pl.DataFrame, threshold: float) -> pl.DataFrame:
    both = pairs.join(asked.select("position", "signature"), on="position").join(found, on="of")
    shown = pl.Series("similarity", similarities(both["signature"], both["of_signature"]))
    return both.select("position", "of", "of_id", shown).filter(pl.col("similarity") >= threshold)
