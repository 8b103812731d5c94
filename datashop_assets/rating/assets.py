"""Assets of the rating stage: a sample of each shard, rated through each lens."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from datashop_assets.asset_metadata import (
    OWNERS,
    RATER,
    RETRY,
    lineage_of,
    picture,
    plain_failures,
    preview,
    report,
    table_metadata,
)
from datashop_assets.graph import Graph
from datashop_assets.lineage import ANNOTATION_RECIPE
from datashop_assets.partitions import RANGES, cells_by_lens, grid_partitions
from datashop_assets.plots import histogram
from datashop_assets.rating.annotate import Progress, summary
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.produce import Assignment, rate_cells
from datashop_assets.records import ANNOTATIONS, DOCUMENTS
from datashop_assets.seams import Lake, Rater


class AnnotationConfig(dg.Config):
    """Overrides the project file for one run."""

    rater: str | None = Field(None, description="name of a rater in the project file; null: the lens's own")
    sample_per_shard: int | None = Field(None, ge=0, description="documents rated in each shard; null: the lens's own")


def annotation_facts(rows: pl.DataFrame, lens: Lens) -> dict[str, Any]:
    """What people see of a rated cell."""
    scores = rows["score"].drop_nulls()
    facts: dict[str, Any] = {**summary(rows, lens), "preview": preview(rows, ["id", "score", "reason", "rationale"])}
    if len(scores):
        facts["scores"] = picture(histogram(scores, xlabel=lens.title, bins=(lens.high - lens.low) * 2), "scores")
    return {name: value for name, value in facts.items() if value is not None}


def rating_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The rating assets of a project."""

    @dg.asset(
        deps=["documents"],
        partitions_def=grid_partitions(graph),
        backfill_policy=RANGES,
        group_name="rating",
        owners=OWNERS,
        kinds={"huggingface", "deltalake"},
        code_version=f"{ANNOTATION_RECIPE}-{graph.lens_code_version}",
        metadata=table_metadata(ANNOTATIONS),
        pool="rater",
        tags=RATER,
        retry_policy=RETRY,
        description=(
            "A hash-chosen sample of each shard, rated by an LLM through a lens. A judgement that fails is a null "
            "score with a reason, never a number. Ratings that exist are never asked for again."
        ),
    )
    @plain_failures
    def annotations(
        context: dg.AssetExecutionContext,
        config: AnnotationConfig,
        lake: dg.ResourceParam[Lake],
        raters: dg.ResourceParam[Callable[[str], Rater]],
        staging: dg.ResourceParam[Callable[..., Progress]],
    ) -> None:
        for lens_name, cells in cells_by_lens(context).items():
            lens, settings = graph.lenses[lens_name], graph.settings(lens_name)
            rater = raters(config.rater or settings.rater)
            size = settings.sample_per_shard if config.sample_per_shard is None else config.sample_per_shard
            assignment = Assignment(lens, rater, size, settings.sample_seed)
            lineage = lineage_of(context, lake, DOCUMENTS)

            def describe(rows: pl.DataFrame, lens: Lens = lens) -> dict[str, Any]:
                return annotation_facts(rows, lens)

            for outcome in rate_cells(lake, assignment, cells, staging, describe, context.log.info, lineage):
                report(context, outcome)

    return [annotations]
