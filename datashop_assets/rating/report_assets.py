"""Assets that report on ratings.

What belongs here: what people are shown of a score lens's ratings. What does not: the figures (`summary.py`), label
lenses (`label_assets.py`).
"""

from typing import Any

import dagster as dg
from pydantic import Field

from datashop_assets.asset_metadata import CPU, OWNERS, explained, picture, plain_failures, table, table_metadata
from datashop_assets.graph import Graph
from datashop_assets.partitions import GRID_TO_LENS, lens_partitions
from datashop_assets.plots import histograms
from datashop_assets.project import SummarySettings
from datashop_assets.rating.annotate import FAILED, LEFT_OUT
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.rated_examples import best_and_worst
from datashop_assets.rating.summary import (
    NOTHING_RATED,
    QUALITY,
    Summary,
    publish_summary,
    scores_by_dataset,
    summarise,
)
from datashop_assets.seams import Exports, Lake

BOUNDS = (
    "a document is {} from these shares of the scales on: `every` of its lowest criterion, `overall` of the overall "
    "one, each from 0 to 1; null: the project file's"
)


class SummaryConfig(dg.Config):
    """Overrides the lens's cut-offs for one run: {good: {every: 0.75, overall: 0.875}, ...}, as in the project file."""

    good: dict[str, float] | None = Field(None, description=BOUNDS.format("good"))
    medium: dict[str, float] | None = Field(None, description=BOUNDS.format("medium"))
    low: dict[str, float] | None = Field(None, description=BOUNDS.format("low"))

    def over(self, settings: SummarySettings) -> SummarySettings:
        """The settings with what this run asks for instead. Raises ValueError where the two do not fit together."""
        asked = {name: bounds for name, bounds in self.model_dump().items() if bounds is not None}
        return SummarySettings.model_validate(settings.model_dump() | asked)


def summary_facts(summary: Summary, lens: Lens) -> dict[str, Any]:
    """What people see of a summary: both tables, and the histogram of scores by dataset."""
    facts: dict[str, Any] = {
        "judgements": summary.rated.height,
        "failed": summary.rated.filter(FAILED).height,
        "skipped": summary.rated.filter(LEFT_OUT).height,
        "classes": table(summary.classes.drop("lens")),
        "mean scores": table(summary.means.drop("lens")),
    }
    if summary.rated.is_empty():
        facts["note"] = NOTHING_RATED
    if groups := scores_by_dataset(summary.rated):
        bins = (lens.high - lens.low) * 2
        facts["scores"] = picture(histograms(groups, xlabel=lens.title, bins=bins), "scores by dataset")
    return facts


def report_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The reports on a project's ratings."""

    @dg.asset(
        deps=[dg.AssetDep("annotations", partition_mapping=GRID_TO_LENS)],
        partitions_def=lens_partitions(graph),
        group_name="rating",
        owners=OWNERS,
        kinds={"polars", "csv"},
        metadata=table_metadata(QUALITY) | {"dagster/storage_kind": "csv"},
        tags=CPU,
        description=explained(
            "What the ratings say of each dataset: mean scores by criterion with intervals, the share of poor, low, "
            "medium and good documents, and every rating with its document as JSONL.",
            costs="seconds on the CPU",
            by_hand="when you want to read what was rated",
        ),
    )
    @plain_failures
    def rating_summary(
        context: dg.AssetExecutionContext,
        config: SummaryConfig,
        lake: dg.ResourceParam[Lake],
        summaries: dg.ResourceParam[Exports],
    ) -> dg.MaterializeResult:
        lens = graph.lenses[context.partition_key]
        summary = summarise(lake, lens, config.over(graph.settings(lens.name).summary))
        files = publish_summary(lake, lens, summary, summaries)
        paths = {name: dg.MetadataValue.path(file) for name, file in files.items()}
        examples = table(best_and_worst(lake, lens))
        return dg.MaterializeResult(metadata={**paths, **summary_facts(summary, lens), "best and worst": examples})

    return [rating_summary]
