"""Is a new crawl written in the languages of the one that cut-offs were decided over?

What belongs here: a sample's languages by shard, kept, and the comparison. What does not: telling a language
(`datashop_assets/languages.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from datashop_assets.cellwork import Produced, Target, have, refresh
from datashop_assets.drift.crawl import Crawl, by_age, choose, decided_over
from datashop_assets.drift.measures import Shift, shift
from datashop_assets.drift.tables import LANGUAGE_SAMPLES
from datashop_assets.drift_settings import DriftSettings
from datashop_assets.graph import Graph
from datashop_assets.languages import READ_CHARS, languages
from datashop_assets.lineage import content_id
from datashop_assets.records import DOCUMENTS, Cell
from datashop_assets.seams import Lake

RECIPE = 1
# Languages of less than this share on both sides are one bin: a bin of a few documents is mostly chance.
LEAST_SHARE, OTHERS = 0.01, "others"


@dataclass(frozen=True, eq=False)
class LanguageDrift:
    """`mix` has one row [language, reference, new] a language: documents of the samples, the most frequent first."""

    crawl: Crawl
    shift: Shift
    mix: pl.DataFrame


def language_drift(
    lake: Lake, graph: Graph, settings: DriftSettings, lineage: Mapping[str, Any]
) -> LanguageDrift | None:
    """Sample what is not sampled yet, keep it, and compare. None where no cut-off was decided, or nothing came since.

    Raises ImportError where py3langid is missing.
    """
    there = set(lake.cells(DOCUMENTS).filter(pl.col("rows") > 0)["shard"])
    shards = [shard for shard in by_age(lake, graph.project) if shard in there]
    crawl = choose(shards, decided_over(lake, graph.score_lenses), settings)
    if not crawl.reference or not crawl.new:
        return None
    update_samples(lake, (*crawl.reference, *crawl.new), settings, lineage)
    parts = {
        part: lake.scan(LANGUAGE_SAMPLES, {"shard": chosen})
        .group_by("language")
        .agg(pl.col("documents").sum())
        .collect()
        for part, chosen in (("reference", crawl.reference), ("new", crawl.new))
    }
    mix = _mix(parts["reference"], parts["new"])
    return LanguageDrift(crawl, shift(mix["reference"].to_list(), mix["new"].to_list()), mix)


def update_samples(lake: Lake, shards: tuple[str, ...], settings: DriftSettings, lineage: Mapping[str, Any]) -> int:
    """Tell the languages of the shards' samples that are not told yet; how many shards that were."""
    documents = have(lake, Target(DOCUMENTS), [Cell(shard) for shard in shards])
    size = settings.documents_per_shard
    wanted = {cell: content_id("languages", RECIPE, version, size) for cell, (version, _) in documents.items()}

    def produce(cell: Cell) -> Produced:
        told = pl.Series("language", languages(sample(lake, cell.shard, size)), pl.String)
        counts = told.value_counts(name="documents", sort=True)
        return Produced(counts.with_columns(pl.col("documents").cast(pl.Int64)))

    made = refresh(lake, Target(LANGUAGE_SAMPLES), wanted, produce, lineage)
    return sum(not outcome.skipped for outcome in made)


def sample(lake: Lake, shard: str, size: int) -> list[str]:
    """The start of the texts of so many documents of a shard, those with the smallest `text_sha`: a draw without
    replacement. Of the shard's texts those alone are held in memory."""
    rows = lake.scan(DOCUMENTS, {"shard": [shard]})
    chosen = rows.select("text_sha").collect()["text_sha"].unique().sort().head(size)
    texts = rows.filter(pl.col("text_sha").is_in(chosen.implode())).unique("text_sha", keep="first")
    return texts.select(pl.col("text").str.slice(0, READ_CHARS)).collect(engine="streaming")["text"].to_list()


def _mix(reference: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    both = reference.rename({"documents": "reference"}).join(
        new.rename({"documents": "new"}), on="language", how="full", coalesce=True
    )
    both = both.with_columns(pl.col("reference", "new").fill_null(0))
    rare = pl.max_horizontal(pl.col(side) / pl.col(side).sum() for side in ("reference", "new")) < LEAST_SHARE
    named = both.with_columns(language=pl.when(rare).then(pl.lit(OTHERS)).otherwise("language"))
    mix = named.group_by("language").agg(pl.col("reference", "new").sum())
    return mix.sort(pl.col("reference") + pl.col("new"), "language", descending=[True, False])
