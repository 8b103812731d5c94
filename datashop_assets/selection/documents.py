"""The documents of a lens that can be selected, as a pool.

What belongs here: reading them from the tables, with the version of what was read. What does not: pools
(`pool.py`), strategies, writing subsets (`produce.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from datashop_assets.classifier.registry import require_promoted
from datashop_assets.curation.neighbours import neighbourhood
from datashop_assets.curation.pool import has_direction
from datashop_assets.curation.tables import CURATED_ANNOTATIONS
from datashop_assets.curation.transition import PoolTooSmallError
from datashop_assets.embedding.inputs import MissingUpstreamError, vectors_for
from datashop_assets.filtering.produce import releasable_shards
from datashop_assets.lineage import content_id
from datashop_assets.project import CurationSettings, Project
from datashop_assets.rating.lens import Lens
from datashop_assets.records import DOCUMENTS, SCORES
from datashop_assets.seams import Lake
from datashop_assets.selection.pool import COLUMNS, Pool

CountTokens = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Population:
    """A pool, the version of what it was made of, and what a person should know of it."""

    pool: Pool
    version: str
    notes: tuple[str, ...]


def rated_documents(lake: Lake, lens: Lens, encoder: str, project: Project, count_tokens: CountTokens) -> Population:
    """Every document of the lens's curation that can be released, with its curated score.

    Raises MissingUpstreamError naming the asset to materialize first.
    """
    curated = lake.scan(CURATED_ANNOTATIONS.of(lens.name)).filter(
        pl.col("shard").is_in(releasable_shards(lake, project))
    )
    rows = curated.select("shard", "id", "text_sha", "score", "curated_score", "rareness", "version").collect()
    if rows.is_empty():
        raise MissingUpstreamError(f"materialize `curated_annotations` for lens {lens.name!r} first")
    version = content_id("rated", rows["version"].unique().sort().to_list(), rows["shard"].unique().sort().to_list())
    return _population(lake, lens, encoder, rows, version, count_tokens)


def scored_documents(lake: Lake, lens: Lens, encoder: str, project: Project, count_tokens: CountTokens) -> Population:
    """Every document that the lens's promoted classifier has scored and that can be released.

    The classifier's score stands for the curated one too: it is no single rater's. Rareness is measured here, over all
    of them. Raises MissingUpstreamError or LookupError naming
    the asset to materialize first.
    """
    classifier = require_promoted(lake, lens.name).classifier
    scores = lake.scan(SCORES.of(lens.name), {"classifier": [classifier]}).filter(
        pl.col("shard").is_in(releasable_shards(lake, project))
    )
    rows = scores.select("shard", "id", pl.col("score").cast(pl.Float64), "version").collect()
    if rows.is_empty():
        raise MissingUpstreamError(f"materialize `scores` for lens {lens.name!r} first: {classifier} scored nothing")
    version = content_id("scored", classifier, sorted(rows.select("shard", "version").unique().iter_rows()))
    rows = rows.with_columns(curated_score=pl.col("score"), rareness=pl.lit(None, pl.Float64))
    found = _population(lake, lens, encoder, rows, version, count_tokens)
    rareness = _rareness(found.pool, project.lenses[lens.name].curation)
    pool = Pool(
        found.pool.rows.with_columns(rareness=rareness), found.pool.vectors, found.pool.texts, lens.low, lens.high
    )
    return Population(pool, version, found.notes)


def _population(
    lake: Lake, lens: Lens, encoder: str, rows: pl.DataFrame, version: str, count_tokens: CountTokens
) -> Population:
    """The rows with what the documents' table says of them; those whose document is gone or changed are left out."""
    address = ["shard", "id", "text_sha"] if "text_sha" in rows.columns else ["shard", "id"]
    found = pl.concat(list(_documents(lake, rows, address, count_tokens)))
    gone = rows.height - found.height
    notes = (f"{gone:,} documents are gone or have another text by now; materialize this again",) if gone else ()
    kept = found.select([pl.col(name).cast(kind) for name, kind in COLUMNS.items()]).sort("shard", "id")

    def texts(numbers: Sequence[int]) -> list[str]:
        asked = kept[list(numbers)].select("shard", "id")
        known = (
            lake.scan(DOCUMENTS, {"shard": asked["shard"].unique().to_list()})
            .filter(pl.col("id").is_in(asked["id"].unique().to_list()))
            .select("shard", "id", "text")
            .collect()
        )
        return asked.join(known, on=["shard", "id"], how="left", maintain_order="left")["text"].to_list()

    return Population(Pool(kept, vectors_for(lake, encoder, kept), texts, lens.low, lens.high), version, notes)


def _documents(lake: Lake, rows: pl.DataFrame, address: list[str], count_tokens: CountTokens) -> Iterator[pl.DataFrame]:
    """Shard by shard, so that only one shard's texts are in memory."""
    for shard in rows["shard"].unique().sort():
        mine = rows.filter(pl.col("shard") == shard)
        columns = ["shard", "id", "text_sha", "source", "chars", "text"]
        documents = lake.scan(DOCUMENTS, {"shard": [shard]}).select(columns).collect()
        found = documents.join(mine, on=address, how="inner")
        yield found.with_columns(pl.Series("tokens", count_tokens(found["text"].to_list()), pl.Int64)).drop("text")


def _rareness(pool: Pool, settings: CurationSettings) -> pl.Series:
    usable = has_direction(pool.vectors)
    rare = np.full(len(pool), np.nan)
    try:
        near = neighbourhood(
            pool.vectors[usable],
            pool.rows["text_sha"].filter(pl.Series(usable)).to_list(),
            settings.neighbours,
            twin_distance=settings.twin_distance,
        )
        rare[usable] = near.rareness
    except PoolTooSmallError:
        pass  # a strategy that needs rareness says that there is none
    return pl.Series(rare).fill_nan(None)
