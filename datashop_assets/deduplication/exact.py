"""Which documents have the text of an earlier one.

What belongs here: comparing hashes of texts. What does not: near duplicates (`near.py`), reading shards
(`duplicates.py`). Where ids come from the texts a shard has none within itself: the corpus stage quarantines them.
"""

import polars as pl

from datashop_assets.deduplication.near import ANSWER_SCHEMA, Slices


def exact_duplicates(asked: pl.DataFrame, texts: Slices) -> pl.DataFrame:
    """The `asked` documents [position, text_sha] whose text an earlier document has.

    `texts` are the [position, id, text_sha] of all documents up to the last asked one, the asked ones included, in
    slices in any order. One row [position, of, of_id, similarity] a duplicate; `of` is the earliest with the text.
    """
    distinct = asked.select("text_sha").unique()
    first = pl.DataFrame(schema={"text_sha": pl.String, "of": pl.Int64, "of_id": pl.String})
    for part in texts:
        hits = part.select("text_sha", of="position", of_id="id").join(distinct, on="text_sha", how="semi")
        first = pl.concat([first, hits]).sort("of").unique("text_sha", keep="first")
    return (
        asked.join(first, on="text_sha")
        .filter(pl.col("of") < pl.col("position"))
        .with_columns(similarity=pl.lit(1.0, pl.Float32))
        .select(list(ANSWER_SCHEMA))
        .sort("position")
    )
