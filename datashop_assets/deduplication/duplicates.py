"""The duplicates in some shards: every document compared with all earlier ones of the lake.

What belongs here: reading the tables slice by slice, and one answer a document. What does not: what a duplicate is
(`exact.py`, `near.py`), versions and commits (`produce.py`).

Memory is that of the asked shards' keys and of one slice; time is that of reading every earlier shard's keys once (112
bytes a document), however many shards are asked at once. So ask for many.
"""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from datashop_assets.deduplication.exact import exact_duplicates
from datashop_assets.deduplication.near import ANSWER_SCHEMA, near_duplicates
from datashop_assets.deduplication.order import shards_at, with_positions
from datashop_assets.deduplication.tables import MINHASHES, Rejection
from datashop_assets.deduplication_settings import DeduplicationSettings
from datashop_assets.records import DOCUMENTS
from datashop_assets.seams import Lake

# Earlier documents that are in memory at once: their keys are 3.5 million rows of 16 bytes, some 200 MB with the join.
SLICE_DOCUMENTS = 250_000

COLUMNS = ("id", "reason", "of_shard", "of_id", "similarity")


def judge(
    lake: Lake, settings: DeduplicationSettings, order: Sequence[str], sizes: Mapping[str, int], asked: Sequence[str]
) -> dict[str, pl.DataFrame]:
    """For each asked shard of `order` one row [id, reason, of_shard, of_id, similarity] a document, in their order.

    `sizes` are the documents of every shard that has some. The reason is null, `exact_duplicate` or, with signatures
    (the table `minhashes` has them of all shards up to the last asked one), `near_duplicate`.
    """
    there = [shard for shard in order[: max(map(order.index, asked)) + 1] if sizes.get(shard)]
    slices = list(_slices(there, sizes))
    own = _texts(lake, order, asked)
    nothing = pl.DataFrame(schema=ANSWER_SCHEMA)
    exact = nothing
    if settings.exact:
        exact = exact_duplicates(own.select("position", "text_sha"), (_texts(lake, order, part) for part in slices))
    near = nothing
    if settings.near is not None:
        near = near_duplicates(
            _signatures(lake, order, asked, "keys", "signature"),
            (_signatures(lake, order, part, "keys") for part in slices),
            lambda positions: _signatures_at(lake, order, sizes, positions),
            settings.near.threshold,
        )
    return _answers(own, order, exact, near, asked)


def undisputed(ids: pl.Series) -> pl.DataFrame:
    """The answers of documents that are not compared with any."""
    return pl.DataFrame({"id": ids}).with_columns(
        *(pl.lit(None, pl.String).alias(column) for column in COLUMNS[1:4]), similarity=pl.lit(None, pl.Float32)
    )


def _answers(
    own: pl.DataFrame, order: Sequence[str], exact: pl.DataFrame, near: pl.DataFrame, asked: Sequence[str]
) -> dict[str, pl.DataFrame]:
    reasons = (Rejection.EXACT_DUPLICATE.value, exact), (Rejection.NEAR_DUPLICATE.value, near)
    found = pl.concat([answer.with_columns(reason=pl.lit(reason)) for reason, answer in reasons])
    first = found.unique("position", keep="first", maintain_order=True)
    of_shard = [order[position >> 32] for position in first["of"]]
    rows = own.join(
        first.with_columns(pl.Series("of_shard", of_shard, pl.String)), on="position", how="left", maintain_order="left"
    )
    return {shard: rows.filter(pl.col("shard") == shard).select(COLUMNS) for shard in asked}


def _slices(shards: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    part: list[str] = []
    for shard in shards:
        if part and sum(sizes[each] for each in part) + sizes[shard] > SLICE_DOCUMENTS:
            yield part
            part = []
        part.append(shard)
    if part:
        yield part


def _texts(lake: Lake, order: Sequence[str], shards: Sequence[str]) -> pl.DataFrame:
    """[shard, id, text_sha, position] of the shards' documents, in order."""
    rows = lake.scan(DOCUMENTS, {"shard": shards}).select("shard", "id", "text_sha", "file", "row").collect()
    ordered = rows.sort("shard", "file", "row").with_columns(row=pl.int_range(pl.len()).over("shard")).drop("file")
    return with_positions(ordered, order).sort("position")


def _signatures(lake: Lake, order: Sequence[str], shards: Sequence[str], *columns: str) -> pl.DataFrame:
    """[shard, <columns>, position] of the shards' documents."""
    return with_positions(lake.scan(MINHASHES, {"shard": shards}).select("shard", "row", *columns).collect(), order)


def _signatures_at(lake: Lake, order: Sequence[str], sizes: Mapping[str, int], positions: pl.Series) -> pl.DataFrame:
    """[position, id, signature] of the documents at the positions."""
    wanted = positions.alias("position").to_frame()
    parts = [
        _signatures(lake, order, part, "id", "signature").join(wanted, on="position", how="semi")
        for part in _slices(shards_at(positions, order), sizes)
    ]
    empty = pl.DataFrame(schema={"position": pl.Int64, "id": pl.String, "signature": pl.Binary})
    return pl.concat([empty, *(part.select(empty.columns) for part in parts)])
