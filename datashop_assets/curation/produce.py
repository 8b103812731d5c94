"""One curation, from the tables to the tables: what was made of the same ratings and vectors is not made again.

What belongs here: reading, keeping and recording. What does not: curating (`curate.py`), the asset (`assets.py`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from datashop_assets.curation.curate import curate
from datashop_assets.curation.pool import RatedPool, rated_pool
from datashop_assets.curation.report import Report
from datashop_assets.curation.tables import CURATED_ANNOTATIONS, CURATIONS
from datashop_assets.lineage import content_id
from datashop_assets.project import CurationSettings
from datashop_assets.rating.lens import Lens
from datashop_assets.records import DOCUMENTS
from datashop_assets.seams import Lake

# Raised by hand when the same ratings and vectors would be curated otherwise.
RECIPE = 1


@dataclass(frozen=True)
class ProducedCuration:
    """A curation as it stands in the tables. `table_version` is that of the commit that wrote it."""

    curation: str
    report: Report
    table_version: int | None
    reused: bool


def current_curation(lake: Lake, lens: str) -> tuple[Report | None, str | None]:
    """The report and id of the curation that the lens's table holds, or None where there is none."""
    cells = lake.cells(CURATED_ANNOTATIONS.of(lens))
    if cells.is_empty():
        return None, None
    version = str(cells["version"][0])
    rows = lake.scan(CURATIONS).filter(pl.col("lens") == lens, pl.col("curation") == version).sort("created_at")
    found = rows.collect()
    return (Report.from_json(found["report"][-1]), version) if found.height else (None, None)


def produce_curation(
    lake: Lake,
    lens: Lens,
    raters: Mapping[str, str],
    encoder: str,
    settings: CurationSettings,
    active: Collection[str],
    lineage: Mapping[str, Any],
) -> ProducedCuration:
    """Curate what the raters (id -> name to show, the lens's own first) judged in the `active` shards, and keep it; or
    return what is there.

    The vectors are those of the encoder's table: none is made again. Raises MissingUpstreamError naming the asset to
    materialize first.
    """
    pool = rated_pool(lake, lens, list(raters), encoder, active)
    version = content_id(
        "curation", RECIPE, lens.version, encoder, settings.model_dump(), raters, pool.annotations, pool.embeddings
    )
    table, cell = CURATED_ANNOTATIONS.of(lens.name), {"lens": lens.name}
    report, there = current_curation(lake, lens.name)
    if report is not None and there == version:
        return ProducedCuration(version, report, None, reused=True)

    def excerpts(rows: pl.DataFrame, chars: int) -> Sequence[str]:
        texts = (
            lake.scan(DOCUMENTS, {"shard": rows["shard"].unique().to_list()})
            .filter(pl.col("id").is_in(rows["id"].unique().to_list()))
            .select("shard", "id", pl.col("text").str.slice(0, chars))
            .collect()
        )
        found = rows.join(texts, on=["shard", "id"], how="left", maintain_order="left")
        return found["text"].fill_null("").to_list()

    made = curate(pool, lens, encoder, settings, list(raters.values()), excerpts)
    rows = _with_versions(made.rows, pool).with_columns(lens=pl.lit(lens.name), version=pl.lit(version))
    record = {
        "lens": lens.name,
        "curation": version,
        "encoder": encoder,
        "raters": list(raters),
        "fitted": made.report.fitted,
        "report": made.report.to_json(),
        "created_at": datetime.now(UTC),
    }
    # The record first: the rows' version says which record is in force, and a run that is killed between the two leaves
    # the curation before it as it was. The next one finds the record there.
    if lake.scan(CURATIONS).filter(pl.col("curation") == version).collect().is_empty():
        lake.commit(CURATIONS, pl.DataFrame([record], schema=CURATIONS.schema), None, lineage)
    commit = lake.commit(table, rows.select(list(table.schema)), [cell | {"version": version}], lineage)
    return ProducedCuration(version, made.report, commit.version, reused=False)


def _with_versions(rows: pl.DataFrame, pool: RatedPool) -> pl.DataFrame:
    """Each row with the versions of its shard's annotations, in the raters' order, and embeddings."""
    shards = rows["shard"].unique().sort().to_list()
    versions = pl.DataFrame(
        {
            "shard": shards,
            "annotations_versions": [[of.get(shard) for of in pool.annotations] for shard in shards],
            "embeddings_version": [pool.embeddings[shard] for shard in shards],
        },
        schema={"shard": pl.String, "annotations_versions": pl.List(pl.String), "embeddings_version": pl.String},
    )
    return rows.join(versions, on="shard", how="left", maintain_order="left")
