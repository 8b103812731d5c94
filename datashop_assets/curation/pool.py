"""What a curation is made from: the documents that a lens's raters judged, their scores and their vectors.

What belongs here: gathering them from the tables, with their versions. What does not: what is made of them
(`curate.py`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.embedding.inputs import MissingUpstreamError, current_embeddings, vectors_for
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.quality import annotation_versions, labelled
from datashop_assets.records import DOCUMENTS
from datashop_assets.seams import Lake


@dataclass(frozen=True)
class RatedPool:
    """The documents that some rater gave a score, in the order of their shards and ids.

    `rows`: shard, id, text_sha. `scores`: of shape [rows, raters], nan where a rater gave none. `vectors`: of shape
    [rows, dimension]. `without_score`: documents that were judged, and by nobody with success. `outdated`: judgements
    of documents that are gone or have another text by now; they are not in the pool. `annotations` are the versions of
    each rater's shards, `embeddings` those of the vectors.
    """

    rows: pl.DataFrame
    scores: NDArray[np.float64]
    vectors: NDArray[np.float32]
    raters: tuple[str, ...]
    without_score: int
    outdated: int
    annotations: Sequence[Mapping[str, str]]
    embeddings: Mapping[str, str]


def rated_pool(lake: Lake, lens: Lens, raters: Sequence[str], encoder: str, active: Collection[str]) -> RatedPool:
    """What the raters (ids, the lens's own first) judged through the lens as it is now in the `active` shards.

    Raises MissingUpstreamError naming the asset to materialize first.
    """
    counted = set(active)
    versions = [
        {shard: version for shard, version in annotation_versions(lake, lens.name, rater).items() if shard in counted}
        for rater in raters
    ]
    if not any(versions):
        raise MissingUpstreamError(
            f"materialize `annotations` for lens {lens.name!r} first: {', '.join(raters)} rated nothing"
        )
    address = ["shard", "id", "text_sha"]
    judged = pl.concat(
        [
            labelled(lake, lens, rater, shards).with_columns(pl.lit(number).alias("rater"))
            for number, (rater, shards) in enumerate(zip(raters, versions, strict=True))
        ]
    )
    shards = judged["shard"].unique().sort().to_list()
    current = (
        lake.scan(DOCUMENTS, {"shard": shards}).select(address).join(judged.lazy(), on=address, how="semi").collect()
    )
    known = judged.join(current, on=address, how="semi", maintain_order="left")
    outdated, judged = judged.height - known.height, known
    scored = judged.with_columns(pl.col("score").fill_nan(None)).drop_nulls("score")
    rows = scored.select(address).unique().sort(address)
    scores = np.full((rows.height, len(raters)), np.nan)
    positions = scored.join(rows.with_row_index("row"), on=address, how="left", maintain_order="left")
    scores[positions["row"].to_numpy(), positions["rater"].to_numpy()] = positions["score"].to_numpy()
    embeddings = current_embeddings(lake, encoder, rows["shard"].unique().sort().to_list())
    return RatedPool(
        rows=rows,
        scores=scores,
        vectors=vectors_for(lake, encoder, rows) if rows.height else np.zeros((0, 1), np.float32),
        raters=tuple(raters),
        without_score=judged.select(address).n_unique() - rows.height,
        outdated=outdated,
        annotations=versions,
        embeddings=embeddings,
    )
