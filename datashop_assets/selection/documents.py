"""The documents of a lens that can be selected, as a pool.

What belongs here: reading them from the tables, with the version of all that was read. What does not: pools
(`pool.py`), strategies, writing subsets (`produce.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from datashop_assets.classifier.recipes import TEXT_ENCODER
from datashop_assets.classifier.registry import require_promoted
from datashop_assets.curation.neighbours import has_direction, neighbourhood
from datashop_assets.curation.produce import current_curation
from datashop_assets.curation.tables import CURATED_ANNOTATIONS
from datashop_assets.curation.transition import PoolTooSmallError
from datashop_assets.embedding.inputs import MissingUpstreamError, current_embeddings, vectors_for
from datashop_assets.filtering.state import releasable_shards
from datashop_assets.lineage import content_id
from datashop_assets.project import CurationSettings, Project
from datashop_assets.rating.lens import Lens
from datashop_assets.records import DOCUMENTS, SCORES, Cell
from datashop_assets.scoring.state import wanted_scores
from datashop_assets.seams import Lake, LanguageModels
from datashop_assets.selection.pool import COLUMNS, Pool, SelectionError

# Documents whose texts are in memory at once, besides those of one whole shard.
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Population:
    """The documents to choose from, not read yet. `rows`: shard, id, score, curated_score, rareness and, where the
    scores were given to a text, its text_sha. `version` is the identity of all that the pool is made of."""

    lake: Lake
    lens: Lens
    encoder: str
    models: LanguageModels
    curation: CurationSettings
    rows: pl.DataFrame
    version: str
    measures_rareness: bool = False

    def __len__(self) -> int:
        return self.rows.height

    @cached_property
    def pool(self) -> Pool:
        """Reads the texts, shard by shard, and the vectors. Raises SelectionError where no document is left."""
        kept = pl.concat(list(self._documents())).select([pl.col(name).cast(kind) for name, kind in COLUMNS.items()])
        kept = kept.sort("shard", "id")
        if kept.is_empty():
            raise SelectionError(
                f"all {len(self):,} documents with a score are gone or have another text by now; rate, curate and "
                "score the documents as they are"
            )
        vectors = vectors_for(self.lake, self.encoder, kept)
        if self.measures_rareness:
            kept = kept.with_columns(rareness=_rareness(vectors, kept["text_sha"].to_list(), self.curation))

        def texts(numbers: Sequence[int]) -> list[str]:
            return texts_of(self.lake, kept[list(numbers)], ["text"])["text"].to_list()

        return Pool(kept, vectors, texts, self.lens.low, self.lens.high)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it; reads the pool."""
        gone = len(self) - len(self.pool)
        return (f"{gone:,} documents with a score are gone or have another text by now",) if gone else ()

    def _documents(self) -> Iterator[pl.DataFrame]:
        """The documents' columns beside the scores, and their tokens; of some shards at a time."""
        address = ["shard", "id", "text_sha"] if "text_sha" in self.rows.columns else ["shard", "id"]
        columns = ["shard", "id", "text_sha", "source", "chars", "text"]
        for mine in _stretches(self.rows):
            shards = mine["shard"].unique().sort().to_list()
            documents = self.lake.scan(DOCUMENTS, {"shard": shards}).select(columns)
            found = documents.join(mine.lazy(), on=address, how="inner").collect()
            counts = self.models.count_tokens(found["text"].to_list())
            yield found.with_columns(pl.Series("tokens", counts, pl.Int64)).drop("text")


def rated_documents(lake: Lake, lens: Lens, encoder: str, project: Project, models: LanguageModels) -> Population:
    """Every document of the lens's curation that can be released, with its curated score.

    Raises MissingUpstreamError naming the asset to materialize first.
    """
    report, curation = current_curation(lake, lens.name)
    if report is None:
        raise MissingUpstreamError(f"materialize `curated_annotations` for lens {lens.name!r} first")
    if (report.lens_version, report.encoder) != (lens.version, encoder):
        raise MissingUpstreamError(
            f"materialize `curated_annotations` for lens {lens.name!r} again: the lens or the encoder has changed since"
        )
    curated = lake.scan(CURATED_ANNOTATIONS.of(lens.name)).filter(
        pl.col("shard").is_in(releasable_shards(lake, project))
    )
    rows = curated.select("shard", "id", "text_sha", "score", "curated_score", "rareness").collect()
    if rows.is_empty():
        raise MissingUpstreamError(
            f"lens {lens.name!r} has no curated document that can be released; rate more, then materialize "
            "`curated_annotations`"
        )
    # The version of the vectors is that of the documents and of the encoder.
    shards = rows["shard"].unique().sort().to_list()
    version = content_id("rated", curation, current_embeddings(lake, encoder, shards), models.id())
    return Population(lake, lens, encoder, models, CurationSettings(), rows, version)


def scored_documents(lake: Lake, lens: Lens, encoder: str, project: Project, models: LanguageModels) -> Population:
    """Every document that the lens's promoted classifier has scored and that can be released.

    The classifier's score stands for the curated one too: it is no single rater's. Rareness is measured over all of
    them. Raises MissingUpstreamError or LookupError naming the asset to materialize first.
    """
    promoted = require_promoted(lake, lens.name)
    classifier = promoted.classifier
    table, releasable = SCORES.of(lens.name), set(releasable_shards(lake, project))
    cells = lake.cells(table).filter(pl.col("classifier") == classifier, pl.col("shard").is_in(releasable))
    scored = {shard: version for shard, version in cells.select("shard", "version").iter_rows() if version is not None}
    if not scored:
        raise MissingUpstreamError(f"materialize `scores` for lens {lens.name!r} first: {classifier} scored nothing")
    wanted = current_embeddings(lake, encoder, sorted(scored))
    read = TEXT_ENCODER if promoted.encoder == TEXT_ENCODER else encoder
    current = wanted_scores(lake, read, classifier, [Cell(shard) for shard in sorted(scored)])
    stale = [cell.shard for cell, version in current.items() if scored[cell.shard] != version]
    if stale:
        raise MissingUpstreamError(
            f"materialize `scores` for lens {lens.name!r} first: {len(stale)} shards are not scored by {classifier} as "
            f"they are now ({', '.join(stale[:5])})"
        )
    rows = (
        lake.scan(table, {"classifier": [classifier], "shard": sorted(scored)}).select("shard", "id", "score").collect()
    )
    rows = rows.with_columns(
        pl.col("score").cast(pl.Float64),
        curated_score=pl.col("score").cast(pl.Float64),
        rareness=pl.lit(None, pl.Float64),
    )
    settings = project.lenses[lens.name].curation
    version = content_id("scored", classifier, scored, settings.version, wanted, models.id())
    return Population(lake, lens, encoder, models, settings, rows, version, measures_rareness=True)


def texts_of(lake: Lake, rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Columns of the rows' documents (by shard, id and text_sha), in the rows' order. Raises SelectionError where a
    document is gone or has another text."""
    address = ["shard", "id", "text_sha"]
    asked = rows.select(address)
    shards = asked["shard"].unique().to_list()
    documents = lake.scan(DOCUMENTS, {"shard": shards}).select(*address, *columns)
    known = documents.join(asked.lazy(), on=address, how="semi").collect()
    if known.height < asked.height:
        raise SelectionError(
            f"{asked.height - known.height} documents have changed while they were selected; materialize this again"
        )
    return asked.join(known, on=address, how="left", maintain_order="left")


def _stretches(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows of whole shards, in order, ROWS_AT_ONCE or one shard at a time."""
    ordered = rows.sort("shard")
    sizes = ordered["shard"].value_counts().sort("shard")["count"].to_list()
    start = size = 0
    for count in sizes:
        if size and size + count > ROWS_AT_ONCE:
            yield ordered[start : start + size]
            start, size = start + size, 0
        size += count
    yield ordered[start:]


def _rareness(vectors: np.ndarray, texts: Sequence[str], settings: CurationSettings) -> pl.Series:
    """Of each row the mean distance to its nearest texts; null without a direction, or where there are too few."""
    usable = has_direction(vectors)
    rare = np.full(len(vectors), np.nan)
    try:
        near = neighbourhood(
            vectors[usable],
            [text for text, used in zip(texts, usable.tolist(), strict=True) if used],
            settings.neighbours,
            twin_distance=settings.twin_distance,
        )
        rare[usable] = near.rareness
    except PoolTooSmallError:
        pass  # a strategy that needs rareness says that there is none
    return pl.Series(rare).fill_nan(None)
